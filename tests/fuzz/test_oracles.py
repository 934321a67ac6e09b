"""Each oracle sees what it is there for: with the code broken in the one way, it complains."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from corral.errors import UnreachableError, UsageError
from corral.model.entities import Snapshot
from corral.nft.values import Chain, Equals, Field, NftRule, NftSet, Ruleset
from corral.policy.rules import Policy
from corral.policy.validate import parse_policy
from corral.wire.rancher import Translation

from . import oracles
from .targets import TARGETS, settled
from .world import document, events

FORGED = "x\n2017-10-01T00:00:00Z [info     ] in order again"


def named(name: str = "stack/one", comment: str = "a stack") -> Ruleset:
    return Ruleset(sets={name: NftSet(name, comment=comment)}, elements={name: frozenset()})


def on_bridge(name: str) -> Ruleset:
    rule = NftRule((Equals(Field.INPUT_INTERFACE, name),))
    return Ruleset(chains={"forward": Chain("forward", (rule,))})


def test_what_is_right_is_taken() -> None:
    oracles.check_grammar(named())
    oracles.check_grammar(on_bridge("docker0"))
    oracles.check_words([FORGED])


@pytest.mark.parametrize(
    "ruleset",
    [
        named("stack one"),
        named("-stack"),
        named("stack/é"),
        named("x" * 256),
        named(comment='a " b'),
        named(comment="a\nb"),
        named(comment="\ud800"),
        named(comment="é" * 64),
        on_bridge('x" accept'),
        on_bridge("x" * 16),
    ],
)
def test_names_outside_of_the_grammar(ruleset: Ruleset) -> None:
    with pytest.raises(AssertionError):
        oracles.check_grammar(ruleset)


@pytest.mark.parametrize(
    "renderer",
    [structlog.processors.KeyValueRenderer(repr_native_str=False), structlog.processors.LogfmtRenderer()],
)
def test_forged_log_lines(renderer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(*_: str) -> None:
        structlog.configure(
            processors=[structlog.processors.add_log_level, renderer],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        )

    monkeypatch.setattr(oracles, "configure_logs", careless)
    with pytest.raises((AssertionError, ValueError)):
        oracles.check_logged(FORGED)


@pytest.mark.parametrize("text", [FORGED, "\x1b[31m", "\u202e", "\u2028", "\x7f"])
@pytest.mark.parametrize(("name", "error"), [("say", False), ("say_error", True)])
def test_lines_that_a_terminal_acts_upon(name: str, error: bool, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oracles.check_line(text)
    monkeypatch.setattr(oracles, name, lambda text: print(text, file=sys.stderr if error else None))
    with pytest.raises(AssertionError):
        oracles.check_line(text)


@pytest.mark.parametrize("view", [{"age": float("nan")}, {"age": float("inf")}])
def test_json_that_is_none(view: object) -> None:
    with pytest.raises((AssertionError, ValueError)):
        oracles.check_json(view)


def test_metrics_of_more_than_there_is() -> None:
    text = b'corral_rule_packets_total{counter="x"} 1.0\ncorral_ready 1.0\n'
    with pytest.raises((AssertionError, KeyError)):
        oracles.check_metrics_text(text, set())


def test_a_ruleset_that_is_not_the_one_from_scratch() -> None:
    agent = settled()
    oracles.check_ruleset(agent)
    agent.tracker.put_counter("superfluous")
    with pytest.raises(AssertionError, match="from scratch"):
        oracles.check_ruleset(agent)


def test_a_ruleset_that_gives_other_verdicts() -> None:
    agent = settled()
    agent.tracker.put_chain(Chain("forward", ()))
    with pytest.raises((AssertionError, ValueError)):
        oracles.check_verdicts(agent)


def test_a_wound_that_does_not_heal(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = settled()
    oracles.check_heals(agent)
    agent.facts.network_error = "still there"
    monkeypatch.setattr(agent.desk, "_take_network", lambda _: None)
    with pytest.raises(AssertionError, match="still told"):
        oracles.check_heals(agent)


def test_an_exception_that_nobody_expects(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = settled()

    def overflowing(*_: object) -> Snapshot:
        raise RecursionError

    monkeypatch.setattr(agent._decoder, "decode", overflowing)
    with pytest.raises(RecursionError):
        agent.read(document())


def test_a_rejected_document_that_changes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = settled()

    def late(_: bytes) -> Snapshot:
        agent.tracker.put_counter("superfluous")
        raise UnreachableError("no metadata")

    monkeypatch.setattr(agent._decoder, "decode", late)
    with pytest.raises(AssertionError, match=r"depends on|rejected document"):
        agent.read(b"{}")


def test_a_rejected_policy_that_changes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    TARGETS["policy"].run(b'{"policy": 7}')

    def lenient(policy: object, default: object) -> Policy:
        return Policy() if policy == 7 else parse_policy(policy, default)

    monkeypatch.setattr("corral.daemon.desk.parse_policy", lenient)
    with pytest.raises(AssertionError, match="rejected policy"):
        TARGETS["policy"].run(b'{"policy": 7}')


def test_a_quick_way_that_reads_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    agent = settled()
    translate: Callable[..., Translation] = agent._translator.translate
    monkeypatch.setattr(agent._translator, "translate", lambda event: translate(event)._replace(updates=()))
    told = next(message for message in events() if message.get("resourceType") == "container")
    with pytest.raises(AssertionError, match="something else"):
        agent.hear(json.dumps(told).encode())


def test_selectors_that_are_read_back_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    TARGETS["selector"].run(b"tier=web")
    monkeypatch.setattr("corral.selector.Clause.__str__", lambda _: "other")
    with pytest.raises(AssertionError, match="read back"):
        TARGETS["selector"].run(b"tier=web")


def test_a_secret_that_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    given = b'{"CORRAL_RANCHER_SECRET_KEY": "s3cr3t"}'
    TARGETS["settings"].run(given)

    def telling(environment: dict[str, str]) -> None:
        raise UsageError(str(environment))

    monkeypatch.setattr("tests.fuzz.targets.load_settings", telling)
    with pytest.raises(AssertionError, match="secret"):
        TARGETS["settings"].run(given)
