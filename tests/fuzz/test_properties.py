"""No input breaks anything: found by hypothesis, which shrinks what does to few mutations."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corral.dataplane.kernel import KernelDataplane
from corral.nft.text import render
from corral.nft.tracker import difference
from corral.nft.values import Ruleset
from corral.web.metrics import render_metrics

from ..kernel.namespaces import Namespace
from . import oracles
from .agent import Agent
from .engine import FOUND
from .inputs import TEXT, Input, mutations, named_documents, policies, texts
from .targets import TARGETS

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def run(target: str, text: Input) -> None:
    """An input that breaks something is kept: it is often too long to be shown whole."""
    try:
        TARGETS[target].run(text)
    except BaseException as error:
        kept = FOUND / target / f"hypothesis-{hashlib.sha256(text).hexdigest()[:12]}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(text)
        error.add_note(f"python -m tests.fuzz {target} --replay {kept.relative_to(FOUND.parents[1])}")
        raise


@settings(max_examples=120, suppress_health_check=SLOW)
@given(mutations("policy") | policies)
def test_policies(text: Input) -> None:
    run("policy", text)


@settings(max_examples=100, suppress_health_check=SLOW)
@given(mutations("metadata") | named_documents)
def test_metadata_documents(text: Input) -> None:
    run("metadata", text)


@settings(max_examples=120, suppress_health_check=SLOW)
@given(mutations("events"))
def test_events(text: Input) -> None:
    run("events", text)


@settings(max_examples=300, suppress_health_check=SLOW)
@given(mutations("selector") | texts)
def test_selectors(text: Input) -> None:
    run("selector", text)


@settings(max_examples=300, suppress_health_check=SLOW)
@given(mutations("settings") | texts)
def test_settings(text: Input) -> None:
    run("settings", text)


@settings(max_examples=300)
@given(TEXT)
def test_whatever_a_text_says_it_stays_one_line(text: str) -> None:
    """Also texts that no JSON can carry, such as the name of a process or of a file."""
    oracles.check_words([text])
    oracles.check_json({"text": text, text: 1})


@settings(max_examples=100)
@given(st.sets(st.text(), max_size=4))
def test_counters_of_any_name_are_one_sample_each(names: set[str]) -> None:
    """Someone else with the right to do so may add counters to our table."""
    text = render_metrics(Agent().facts, {}, dict.fromkeys(names, (1, 2)), {}, 0.0)
    oracles.check_metrics_text(text, names)


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    with Namespace() as created:
        yield created


@settings(max_examples=40, suppress_health_check=SLOW)
@given(named_documents | mutations("metadata"))
def test_nft_and_the_kernel_take_what_comes_of_it(namespace: Namespace, text: bytes) -> None:
    agent = Agent()
    agent.read(text)
    wanted = agent.desired()
    namespace.run("nft flush ruleset", "nft -c -f -", text=render(wanted))
    with namespace.entered():
        assert asyncio.run(_programmed(wanted)) == wanted


async def _programmed(wanted: Ruleset) -> Ruleset:
    """What the kernel holds after the commit of it all."""
    async with KernelDataplane() as kernel:
        if wanted != Ruleset():
            await kernel.commit(difference(wanted, None))
        dump = await kernel.dump()
        assert dump is None or not dump.alien
        return dump.ruleset if dump else Ruleset()
