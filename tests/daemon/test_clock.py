"""The age of what the sources told: by a clock that is set by hand, and by a real agent."""

from __future__ import annotations

import time

import pytest
from structlog.testing import capture_logs

from corral.daemon.clock import FROZEN_AFTER, events_lapse, judge_progress, tell_policy, trouble_of
from corral.daemon.facts import Facts, Trouble
from corral.errors import UnreachableError
from corral.policy.digest import policy_digest
from corral.policy.rules import OPEN, Policy
from corral.sources.status import SourceStatus
from corral.types import Action


class Scene:
    """A metadata service, answering since 0, and the facts about it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.status = SourceStatus("metadata", clock=lambda: self.now)
        self.status.succeeded()
        self.facts = Facts(inventory_loaded=True, programmed=True)

    def after(self, seconds: float) -> str:
        """What is said of its progress some seconds later."""
        self.now += seconds
        judge_progress(self.facts, self.status, self.now)
        return self.facts.frozen.text if self.facts.frozen else ""


def test_frozen_is_what_shows_nothing_of_what_events_changed() -> None:
    scene = Scene()
    assert scene.after(1000) == ""
    scene.facts.unshown_since = scene.now
    assert scene.after(FROZEN_AFTER - 1) == ""
    assert "frozen" in scene.after(1)
    assert scene.facts.frozen is not None
    assert time.time() - scene.facts.frozen.since == pytest.approx(FROZEN_AFTER, abs=1)
    since = scene.facts.frozen.since
    scene.after(100)
    assert scene.facts.frozen.since == since


def test_the_next_version_clears_it() -> None:
    scene = Scene()
    scene.facts.unshown_since = 0.0
    assert scene.after(FROZEN_AFTER)
    scene.facts.unshown_since = None
    assert scene.after(1) == ""


def test_a_service_that_does_not_answer_is_not_called_frozen() -> None:
    scene = Scene()
    scene.facts.unshown_since = 0.0
    assert scene.after(FROZEN_AFTER)
    scene.status.failed(UnreachableError("refused"))
    assert scene.after(1) == ""
    scene.status.succeeded()
    assert scene.after(FROZEN_AFTER - 1) == ""
    assert scene.after(1)


def test_trouble_says_since_when_it_has_been_failing() -> None:
    now = 0.0
    status = SourceStatus("events", clock=lambda: now)
    now = 30.0
    status.failed(UnreachableError("refused"))
    now = 50.0
    status.failed(UnreachableError("status 500"))
    trouble = trouble_of(status)
    assert trouble is not None
    assert trouble.text == "status 500"
    assert time.time() - trouble.since == pytest.approx(50, abs=1)
    status.succeeded()
    assert trouble_of(status) is None
    status.failed(UnreachableError("refused"))
    status.forget()
    assert trouble_of(status) is None


def test_what_events_said_does_not_lapse_for_want_of_a_picture() -> None:
    """It would bring back what is gone, with the rights it had, and close what has just started."""
    scene = Scene()
    assert events_lapse(scene.facts, scene.status, 600.0)
    scene.facts.frozen = Trouble("frozen", time.time() - 30)
    assert not events_lapse(scene.facts, scene.status, 600.0)
    scene.facts.frozen = Trouble("frozen", time.time() - 601)
    assert events_lapse(scene.facts, scene.status, 600.0)
    scene.facts.frozen = None
    scene.status.failed(UnreachableError("refused"))
    assert not events_lapse(scene.facts, scene.status, 600.0)


def test_what_events_said_does_not_lapse_against_the_version_from_before_a_failure() -> None:
    """A service that is back, and cut off from its server, answers with what it had; that takes some time to tell."""
    scene = Scene()
    scene.facts.unshown_since = 1.0
    scene.after(2.0)
    scene.status.failed(UnreachableError("refused"))
    scene.after(100.0)
    scene.status.succeeded()
    scene.after(1.0)
    assert not events_lapse(scene.facts, scene.status, 600.0)
    assert scene.after(FROZEN_AFTER)
    assert not events_lapse(scene.facts, scene.status, 600.0)
    scene.facts.unshown_since = None
    scene.after(1.0)
    assert events_lapse(scene.facts, scene.status, 600.0)


def test_the_policy_is_told_once_and_when_the_kernel_holds_it() -> None:
    facts, denying = Facts(inventory_loaded=True), Policy(default=Action.DENY)
    with capture_logs() as logs:
        told = tell_policy(facts, None)
        assert told is None
        for policy in (denying, denying, OPEN):
            facts.opened = policy is OPEN
            facts.programming.policy_changed(policy)
            facts.programming.begin()
            facts.programming.committed(0.0)
            facts.programming.settled(0.0)
            told = tell_policy(facts, told)
    assert told == denying
    (line,) = logs
    assert (line["event"], line["policy"]) == ("policy in force", policy_digest(denying))
