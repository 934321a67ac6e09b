"""Readiness: what blocks it, what merely hinders, and the sentences for both."""

from __future__ import annotations

import dataclasses

import pytest

from corral.daemon.facts import Facts, Status
from corral.types import Problem


def ready() -> Facts:
    return Facts(inventory_loaded=True, programmed=True)


def test_a_new_agent_is_starting() -> None:
    facts = Facts()
    assert (facts.ready, facts.status) == (False, Status.STARTING)
    assert facts.reasons() == ["waiting for the first answer of the metadata service"]


def test_ready_gives_no_reasons() -> None:
    assert (ready().ready, ready().status, ready().reasons()) == (True, Status.READY, [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"metadata_error": "refused"}, "metadata service: refused"),
        ({"stale": "no answer for 11 minutes"}, "no answer for 11 minutes"),
        ({"network_error": "no managed network found"}, "no managed network found"),
        ({"kernel_error": "EPERM"}, "kernel: EPERM"),
        ({"bridge_error": "bridge docker0: off"}, "bridge docker0: off"),
        ({"programmed": False}, "does not hold the current ruleset"),
        ({"mode_off": True}, "mode is off"),
        ({"opened": True}, "CORRAL_ON_STALE=open"),
        ({"policy_problems": (Problem("policy[0].action", "'permit' given"),)}, "policy[0].action: 'permit' given"),
    ],
)
def test_each_of_these_blocks_readiness(change: dict[str, object], reason: str) -> None:
    facts = dataclasses.replace(ready(), **change)  # type: ignore[arg-type]
    assert (facts.ready, facts.status) == (False, Status.DEGRADED)
    assert any(reason in sentence for sentence in facts.reasons())


@pytest.mark.parametrize(
    ("known", "said"), [(True, "the last good one stays in force"), (False, "no good one is known")]
)
def test_a_rejected_policy_says_what_is_in_force_instead(known: bool, said: str) -> None:
    facts = dataclasses.replace(ready(), policy_problems=(Problem("policy[0]", "wrong"),), policy_known=known)
    assert said in facts.reasons()[0]


def test_a_lost_event_stream_degrades_but_does_not_block() -> None:
    facts = dataclasses.replace(ready(), events_error="401: wrong keys")
    assert (facts.ready, facts.status) == (True, Status.DEGRADED)
    assert "401: wrong keys" in facts.reasons()[0]
