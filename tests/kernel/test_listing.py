"""What `nft` shows of our table, reads back, and what we read of it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from corral.dataplane.kernel import KernelDataplane
from corral.nft.text import render, render_transaction
from corral.nft.values import Chain, Hook, Ruleset
from tests.dataplane.rulesets import WORKED_EXAMPLE, creation, ruleset, rulesets
from tests.kernel.namespaces import Namespace

LIST = "nft list table inet corral"


async def test_everything_lists_as_rendered_and_decodes_as_written(
    kernel: KernelDataplane, namespace: Namespace
) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    assert namespace.run(LIST) == render(WORKED_EXAMPLE)
    dump = await kernel.dump()
    assert dump is not None
    assert (dump.ruleset, dump.alien) == (WORKED_EXAMPLE, ())


async def test_the_listing_loads_again_and_is_the_same_table(kernel: KernelDataplane, namespace: Namespace) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    listing = namespace.run(LIST)
    await kernel.delete_table()
    namespace.run("nft -f -", text=listing)
    assert namespace.run(LIST) == listing
    dump = await kernel.dump()
    assert dump is not None
    assert (dump.ruleset, dump.alien) == (WORKED_EXAMPLE, ())


async def test_a_transaction_as_text_does_what_the_transaction_does(
    kernel: KernelDataplane, namespace: Namespace
) -> None:
    namespace.run("nft -f -", text=render_transaction(creation(WORKED_EXAMPLE)))
    dump = await kernel.dump()
    assert dump is not None
    assert (dump.ruleset, dump.alien) == (WORKED_EXAMPLE, ())


@pytest.mark.parametrize(
    ("hook", "priority"),
    [("prerouting", priority) for priority in (-310, -300, -111, -100, -95, 0)]
    + [("postrouting", priority) for priority in (90, 100, 105, 111)]
    + [("forward", priority) for priority in (-200, -160, -140, -100, -11, -10, 0, 7, 11, 39, 40, 50, 60, 61, 100)]
    + [("input", 5), ("output", -5)],
)
async def test_hooks_list_as_rendered(kernel: KernelDataplane, namespace: Namespace, hook: str, priority: int) -> None:
    wanted = ruleset(chains=(Chain("base", (), Hook(hook, priority)),))
    await kernel.commit(creation(wanted))
    assert namespace.run(LIST) == render(wanted)
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset == wanted


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=rulesets())
async def test_random_tables_list_load_and_decode(
    kernel: KernelDataplane, namespace: Namespace, wanted: Ruleset
) -> None:
    await kernel.delete_table()
    await kernel.commit(creation(wanted))
    listing = namespace.run(LIST)
    assert listing == render(wanted)
    written = await kernel.dump()
    await kernel.delete_table()
    namespace.run("nft -f -", text=listing)
    loaded = await kernel.dump()
    assert written is not None
    assert loaded is not None
    assert (written.ruleset, written.alien) == (loaded.ruleset, loaded.alien) == (wanted, ())
