"""Trials in a real kernel: they find what it can not do, and leave nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from corral.dataplane.host.trial import FEATURES, LOG, Inability, inabilities, why_no_log
from corral.nft.transaction import AddRule, Operation
from corral.nft.values import Field, InSet, NftRule
from tests.dataplane.places import load
from tests.kernel.namespaces import Namespace


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        yield created


@pytest.mark.parametrize("ours", ["", "table inet corral {\n\tcounter here {\n\t\tpackets 0 bytes 0\n\t}\n}\n"])
async def test_a_good_kernel_can_do_all_and_nothing_stays(namespace: Namespace, ours: str) -> None:
    load(namespace, ours)
    assert await inabilities() == ()
    assert namespace.run("nft list ruleset") == ours


@pytest.mark.usefixtures("namespace")
async def test_what_the_kernel_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> tuple[Operation, ...]:
        *good, rule = FEATURES["sets of subnets"]()
        assert isinstance(rule, AddRule)
        absent = InSet(Field.CLIENT, "absent")
        return *good, AddRule(rule.chain, NftRule((absent,)))

    monkeypatch.setattr("corral.dataplane.host.trial.FEATURES", {"sets of subnets": refused, "what works": lambda: ()})
    assert await inabilities() == (Inability("sets of subnets", "ENOENT"),)


@pytest.mark.usefixtures("namespace")
async def test_whether_the_kernel_can_log_is_a_question_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await why_no_log() is None
    possible = FEATURES[LOG]
    refused = {**FEATURES, LOG: lambda: possible()[1:]}  # without its set
    monkeypatch.setattr("corral.dataplane.host.trial.FEATURES", refused)
    assert await why_no_log() == "ENOENT"


@pytest.mark.usefixtures("namespace")
async def test_trials_are_unseen_by_others() -> None:
    """No commit, so no new generation: agents that watch do not even wake."""
    from corral.dataplane.kernel import KernelDataplane

    async with KernelDataplane() as dataplane:
        before = await dataplane._generation(dataplane._queries)
        await inabilities()
        await why_no_log()
        assert await dataplane._generation(dataplane._queries) == before
