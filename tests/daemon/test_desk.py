"""Inventory, policy and compiler in step; what is bad leaves the last good in force."""

from __future__ import annotations

import pytest

from corral.daemon.changes import Change
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.model.entities import Snapshot
from corral.model.updates import NetworkUpdate
from corral.nft.tracker import Tracker
from corral.nft.transaction import DeleteTable
from corral.nft.values import Ruleset
from corral.policy.enforcement import ENFORCE, Enforcement
from corral.policy.rules import Policy
from corral.policy.scratch import compile_ruleset
from corral.types import Action

from .running import WITHIN_STACK, desk_of, small_environment, snapshot_of


def test_the_first_snapshot_makes_a_ruleset() -> None:
    desk = desk_of(small_environment())
    scene = desk.scene()
    assert scene is not None
    assert desk.enforceable
    assert desk.tracker.desired_ruleset() == compiled(desk, ENFORCE)


def test_the_version_tells_that_the_scene_may_differ() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    versions = [desk.version]
    desk.load(snapshot_of(environment), 1.0)
    assert desk.version == versions[0]
    environment.set_policy([], "deny")
    for change in (
        lambda: desk.load(snapshot_of(environment), 2.0),
        desk.suspend,
        desk.resume,
        lambda: desk.start_over(Snapshot(), 3.0),
    ):
        change()
        versions.append(desk.version)
    assert versions == sorted(set(versions))


def test_nothing_is_desired_before_a_good_policy() -> None:
    environment = small_environment()
    environment.set_policy([{"within": "nothing", "action": "allow"}], "deny")
    desk = desk_of(environment)
    assert not desk.enforceable
    assert not desk.tracker.pending()
    assert desk.facts.policy_problems[0].where == "policy[0].within"


def test_a_bad_policy_keeps_the_last_good_one_and_follows_containers() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    good = desk.policy
    environment.set_policy(["not JSON"], "deny")
    container = environment.create_container("front/web")
    environment.set_running(container.name, environment.allocate_address(0))
    assert desk.load(snapshot_of(environment), 1.0)
    assert desk.policy == good
    assert desk.facts.policy_problems
    assert len(desk.tracker.desired_ruleset().elements["local"]) == 4
    environment.set_policy(WITHIN_STACK, "deny")
    desk.load(snapshot_of(environment), 2.0)
    assert desk.facts.policy_problems == ()


def test_a_lost_network_keeps_the_last_picture_until_it_is_back() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    before = desk.tracker.desired_ruleset()
    assert not desk.load(Snapshot(self_host="h"), 1.0)
    assert desk.facts.network_error is not None
    assert desk.tracker.desired_ruleset() == before
    scene = desk.scene()
    assert scene is not None
    assert len(scene.endpoints) == 4
    environment.remove_container("back-job-1")
    desk.load(snapshot_of(environment), 2.0)
    assert desk.facts.network_error is None
    assert len(desk.tracker.desired_ruleset().elements["local"]) == 2


def test_an_event_with_a_policy_takes_effect_at_once() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    update = NetworkUpdate(environment.network.uuid, {"policy": [], "default_policy_action": "allow"})
    assert desk.apply(update, 1.0)
    assert desk.policy == Policy((), Action.ALLOW, default_is_set=True)


def test_suspend_opens_and_resume_closes() -> None:
    desk = desk_of(small_environment())
    closed = desk.tracker.desired_ruleset()
    desk.suspend()
    assert desk.facts.opened
    assert not any(name.startswith("rule-") for name in desk.tracker.desired_ruleset().counters)
    desk.resume()
    assert not desk.facts.opened
    assert desk.tracker.desired_ruleset() == closed


@pytest.mark.parametrize("audit", [False, True])
def test_the_way_of_enforcing_outlives_whatever_is_made_anew(*, audit: bool) -> None:
    environment = small_environment()
    desk = Desk(Tracker(), Facts(), unknown_allowed=False, enforcement=Enforcement(audit=audit))
    assert desk.set_logging(False)
    assert not desk.set_logging(False)
    desk.load(snapshot_of(environment), 0.0)
    without_log = compiled(desk, Enforcement(audit=audit, log=False))
    assert desk.tracker.desired_ruleset() == without_log
    desk.renew(1.0)
    desk.suspend()
    desk.resume()
    assert desk.tracker.desired_ruleset() == without_log
    assert desk.set_logging(True)
    assert desk.tracker.desired_ruleset() == compiled(desk, Enforcement(audit=audit)) != without_log


def compiled(desk: Desk, enforcement: Enforcement) -> Ruleset:
    scene, network = desk.scene(), desk.network
    assert scene is not None
    assert network is not None
    return compile_ruleset(
        scene.policy, scene.subnets, network.bridge, scene.endpoints, unknown_allowed=False, enforcement=enforcement
    )


def test_suspending_before_anything_is_known_removes_what_an_earlier_run_left() -> None:
    desk = Desk(Tracker(), Facts(), unknown_allowed=False)
    desk.tracker.adopt(desk_of(small_environment()).tracker.desired_ruleset())
    assert not desk.tracker.pending()
    desk.suspend()
    assert desk.tracker.pending().operations[-1] == DeleteTable()


def test_a_good_policy_after_opening_without_one_is_enforced() -> None:
    environment = small_environment()
    environment.set_policy(["not JSON"], "deny")
    desk = desk_of(environment)
    desk.suspend()
    environment.set_policy(WITHIN_STACK, "deny")
    desk.load(snapshot_of(environment), 1.0)
    desk.resume()
    assert desk.tracker.desired_ruleset() == desk_of(environment).tracker.desired_ruleset()


def test_whoever_asked_is_told_of_a_changed_network() -> None:
    environment = small_environment()
    desk = desk_of(environment)
    told: list[bool] = []
    desk.network_changed = lambda: told.append(True)
    desk.load(snapshot_of(environment), 1.0)
    assert told == []
    environment.set_policy([], "deny")
    desk.load(snapshot_of(environment), 2.0)
    assert told == [True]


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_expiry_without_events_changes_nothing(seconds: float) -> None:
    assert not desk_of(small_environment()).expire(seconds)


def test_whoever_follows_is_told_what_changed_but_not_what_was_made_anew() -> None:
    told: list[Change] = []
    environment = small_environment()
    desk = desk_of(environment)
    desk.facts.changes.follow(told.append)

    def commit() -> None:
        desk.facts.changes.begin()
        desk.facts.changes.settled()

    desk.renew(1.0)
    commit()
    assert told == []
    environment.set_policy([], "allow")
    environment.remove_container("back-job-1")
    desk.load(snapshot_of(environment), 2.0)
    commit()
    (change,) = told
    assert change.policy == desk.policy
    ((before, after),) = change.endpoints.values()
    assert before is not None
    assert after is None
