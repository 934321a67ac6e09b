"""Readiness: what blocks it, what merely hinders, and the sentences for both."""

from __future__ import annotations

import dataclasses
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import corral.daemon.facts
from corral.daemon.facts import (
    BRIDGE_NOT_CHECKED,
    NOTHING_LOADED,
    PROBLEMS_TOLD,
    Facts,
    Reason,
    SelfChecks,
    Status,
    Trouble,
    bridge_reason,
    lasting,
)
from corral.daemon.programming import GRACE, Programming
from corral.policy.rules import Policy
from corral.types import Action, Problem

DAEMON = Path(corral.daemon.facts.__file__).parent
TROUBLESHOOTING = Path(__file__).parents[2] / "docs" / "troubleshooting.md"

# Every fact that can be wrong by itself, and a part of the sentence that it makes.
BLOCKING: list[tuple[dict[str, object], str]] = [
    ({"inventory_loaded": False}, "waiting for the first answer"),
    ({"metadata_error": Trouble("refused", 0.0)}, "metadata service: refused"),
    ({"stale": Trouble("metadata service: no answer for longer than CORRAL_STALE_AFTER", 0.0)}, "no answer for longer"),
    ({"network_error": "no managed network found; the last picture stays in force"}, "no managed network found"),
    ({"kernel_error": "Operation not permitted"}, "kernel: Operation not permitted"),
    ({"contested": "repaired again and again"}, "kernel: repaired again and again"),
    ({"unexpected_error": "an event about a container could not be taken in"}, "could not be taken in"),
    ({"self_checks": SelfChecks(error="self-check: what is compiled differs")}, "self-check: what is compiled"),
    ({"bridge_error": BRIDGE_NOT_CHECKED}, "not checked yet"),
    ({"bridge_error": bridge_reason("the managed network names no usable bridge", "see")}, "no usable bridge"),
    (
        {"bridge_error": bridge_reason("there is no bridge docker0 in this network namespace", "go")},
        "there is no bridge",
    ),
    (
        {"bridge_error": bridge_reason("bridge docker0: somebody switched filtering off; just switched on again", "x")},
        "somebody switched filtering off",
    ),
    ({"bridge_error": bridge_reason("bridge docker0: packets between its ports do not", "load")}, "do not; load"),
    ({"programmed": False}, "does not hold the current ruleset"),
    ({"mode_off": True}, "mode is off"),
    ({"opened": True}, "CORRAL_ON_STALE=open"),
    ({"policy_problems": (Problem("policy[0].action", "'permit' given"),)}, "policy[0].action: 'permit' given"),
    (
        {"policy_problems": (Problem("policy[0].action", "'permit' given"),), "policy_known": True},
        "the last good one stays in force",
    ),
    (
        {"frozen": Trouble("metadata service: frozen: events", 0.0), "events_error": Trouble("refused", 0.0)},
        "nothing tells of changes",
    ),
]
HINDERING: list[tuple[dict[str, object], str]] = [
    ({"frozen": Trouble("metadata service: frozen: events", 0.0)}, "events keep the picture current meanwhile"),
    ({"events_error": Trouble("401: wrong keys", 0.0)}, "event stream: 401: wrong keys"),
    ({"api_error": Trouble("status 500", 0.0)}, "Rancher API: status 500"),
    ({"denied_error": Trouble("no module", 0.0)}, "denied flows: no module"),
    (
        {"inventory_problems": tuple(Problem(f"container {n}", "wrong") for n in range(100))},
        f"{100 - PROBLEMS_TOLD} more problems",
    ),
]
HINDERING += [
    ({"inventory_problems": (Problem(f"{kind} x", "wrong"),)}, f"{kind} x: wrong")
    for kind in ("service", "container", "address", "network", "environment")
]
# What is counted or kept for its own sake.
NO_REASON = {
    "commits",
    "failed_commits",
    "repairs",
    "last_repair",
    "last_commit_at",
    "last_commit_seconds",
    "committing",
    "held",
    "unshown_since",
    "timing",
    "programming",
    "changes",
    "denied",
    "clock",
}


def with_facts(change: dict[str, object]) -> Facts:
    ready = Facts(inventory_loaded=True, programmed=True)
    return dataclasses.replace(ready, **change)  # type: ignore[arg-type]


def test_a_new_agent_is_starting() -> None:
    stated = Facts()
    assert (stated.ready, stated.status) == (False, Status.STARTING)
    (said,) = stated.reasons()
    assert said == f"{NOTHING_LOADED.text}; {NOTHING_LOADED.remedy}"


def test_ready_gives_no_reasons() -> None:
    stated = with_facts({})
    assert (stated.ready, stated.status, stated.reasons()) == (True, Status.READY, [])


@pytest.mark.parametrize(("change", "reason"), BLOCKING)
def test_each_of_these_blocks_readiness(change: dict[str, object], reason: str) -> None:
    stated = with_facts(change)
    assert not stated.ready
    assert any(reason in sentence for sentence in stated.reasons())
    assert stated.status is (Status.STARTING if "inventory_loaded" in change else Status.DEGRADED)


@pytest.mark.parametrize(("change", "reason"), HINDERING)
def test_each_of_these_degrades_but_does_not_block(change: dict[str, object], reason: str) -> None:
    stated = with_facts(change)
    assert (stated.ready, stated.status) == (True, Status.DEGRADED)
    assert any(reason in sentence for sentence in stated.reasons())


def on_its_way(*, since: float, now: float) -> Facts:
    """A change of endpoints came at `since`; all before it is in the kernel."""
    facts = dataclasses.replace(with_facts({"programmed": False}), programming=Programming(), clock=lambda: now)
    facts.programming.policy_changed(Policy())
    facts.programming.begin()
    facts.programming.committed(0.0)
    facts.programming.settled(0.0)
    facts.programming.woken(since)
    return facts


def test_a_change_of_endpoints_that_has_only_just_come_does_not_block() -> None:
    assert on_its_way(since=100.0, now=100.9).ready
    late = on_its_way(since=100.0, now=100.0 + GRACE)
    assert [reason.text for reason in late.not_in_order()] == ["the kernel does not hold the current ruleset yet"]


def test_a_change_of_the_policy_blocks_at_once() -> None:
    facts = on_its_way(since=100.0, now=100.0)
    facts.programming.policy_changed(Policy(default=Action.DENY))
    assert not facts.ready


@pytest.mark.parametrize(("change", "reason"), BLOCKING)
def test_what_makes_the_table_worth_nothing_is_told_apart_from_old_data(change: dict[str, object], reason: str) -> None:
    sources_only = change.keys() & {"metadata_error", "stale", "frozen", "policy_problems", "programmed"}
    told = [found.sentence() for found in with_facts(change).unenforced()]
    assert any(reason in sentence for sentence in told) is not bool(sources_only)


def test_a_source_that_fails_says_since_when_and_the_remedy() -> None:
    stated = with_facts({"metadata_error": Trouble("refused", 1_700_000_000.0)})
    (said,) = stated.reasons(1_700_000_045.4)
    assert said == (
        "metadata service: refused, since 2023-11-14 22:13:20 UTC (45 s); "
        "the last good picture stays in force; look after the metadata service of this host"
    )


def test_nothing_is_said_to_stay_in_force_where_nothing_ever_was() -> None:
    trouble = Trouble("refused", 0.0)
    assert "stays in force" in with_facts({"metadata_error": trouble}).reasons()[0]
    assert not any("stays in force" in said for said in Facts(metadata_error=trouble).reasons())


@pytest.mark.parametrize(
    "name", [field.name for field in dataclasses.fields(Facts) if "Trouble" in str(field.type)], ids=str
)
def test_whatever_fails_since_some_time_says_since_when(name: str) -> None:
    (said,) = with_facts({name: Trouble("wrong", 0.0)}).reasons(7200.0)
    assert "since 1970-01-01 00:00:00 UTC (2 h)" in said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 s"), (0.6, "1 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (3e6, "34 d")],
)
def test_durations(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


def test_causes_are_told_apart() -> None:
    reasons = with_facts({"metadata_error": Trouble("a", 0), "events_error": Trouble("b", 0)}).not_in_order()
    changed = with_facts({"metadata_error": Trouble("c", 9), "events_error": Trouble("d", 9)}).not_in_order()
    assert [reason.cause for reason in reasons] == [reason.cause for reason in changed]
    assert len({reason.cause for reason in reasons}) == 2


def documented() -> dict[str, list[str]]:
    """The reasons by the heading that goes through them, as patterns: the dots stand for anything."""
    sections = re.findall(r"^### (.+)\n\n((?:\* `.+`\n)+)", TROUBLESHOOTING.read_text(), re.MULTILINE)
    return {title.lower().replace(" ", "-"): re.findall(r"`(.+)`", reasons) for title, reasons in sections}


def said_by(change: dict[str, object]) -> list[Reason]:
    return with_facts(change).not_in_order()


def matches(pattern: str, reason: Reason) -> bool:
    escaped = re.sub(r"([\[\]*?])", r"[\1]", pattern)
    return fnmatchcase(reason.text, escaped.replace("…", "*"))


EVERY = [reason for change, _ in (*BLOCKING, *HINDERING) for reason in said_by(change)]


@pytest.mark.parametrize("reason", EVERY, ids=lambda reason: reason.text)
def test_every_reason_says_what_to_do_and_where_more_is_said(reason: Reason) -> None:
    assert reason.remedy
    assert any(matches(pattern, reason) for pattern in documented()[reason.help])


def test_every_documented_reason_is_one() -> None:
    patterns = [pattern for listed in documented().values() for pattern in listed]
    assert [pattern for pattern in patterns if not any(matches(pattern, reason) for reason in EVERY)] == []
