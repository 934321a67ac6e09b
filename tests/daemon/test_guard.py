"""A bug in the desk, here a value that nobody can read, costs the events for a moment and never the right table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from structlog.testing import capture_logs

from corral.daemon.facts import Facts
from corral.daemon.guard import GuardedDesk
from corral.model.entities import Snapshot
from corral.model.updates import ContainerUpdate
from corral.nft.tracker import Tracker
from corral.nft.values import Ruleset
from corral.sandbox.environment import Environment

from .running import desk_of, running_agent, small_environment, snapshot_of, until

BY_TEAM = [{"between": {"groupBy": "team"}, "action": "allow"}]


class Poison(Mapping[str, str]):
    """Labels that can be carried about but not read."""

    def __getitem__(self, _: str) -> NoReturn:
        raise RuntimeError("poison")

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError("poison")

    def __len__(self) -> int:
        return 1


def guarded(environment: Environment) -> GuardedDesk:
    desk = GuardedDesk(Tracker(), Facts(), unknown_allowed=False)
    assert desk.load(snapshot_of(environment), 0.0)
    assert desk.facts.unexpected_error is None
    return desk


def some_container(snapshot: Snapshot) -> str:
    return next(uuid for uuid, container in snapshot.containers.items() if container.name == "front-web-1")


def poisonous(snapshot: Snapshot) -> Snapshot:
    """One container of it can not be read; others that come later are new."""
    uuid = some_container(snapshot)
    container = replace(snapshot.containers[uuid], labels=Poison())
    return replace(snapshot, containers={**snapshot.containers, uuid: container})


def poison(snapshot: Snapshot) -> ContainerUpdate:
    return ContainerUpdate(some_container(snapshot), {"labels": Poison()})


def wanted(environment: Environment) -> Ruleset:
    """From scratch."""
    return desk_of(environment).tracker.desired_ruleset()


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as captured:
        yield captured


@pytest.fixture
def environment() -> Environment:
    made = small_environment()
    made.set_policy(BY_TEAM, "deny")
    return made


def test_an_event_that_fails_is_named_and_leaves_the_picture_of_the_last_snapshot(
    environment: Environment, logs: list[MutableMapping[str, Any]]
) -> None:
    desk = guarded(environment)
    before = wanted(environment)
    snapshot = snapshot_of(environment)
    assert desk.apply(ContainerUpdate(some_container(snapshot), {"state": "stopped"}), 1.0)
    assert desk.apply(poison(snapshot), 2.0)
    assert [entry["event"] for entry in logs] == ["unexpected error"]
    assert some_container(snapshot) in logs[0]["input"]
    assert logs[0]["exc_info"]
    assert desk.tracker.desired_ruleset() == before
    assert not desk.facts.held
    assert any("RuntimeError" in reason and "last good picture" in reason for reason in desk.facts.reasons())


def test_events_wait_for_the_next_snapshot_so_that_a_flood_of_bad_ones_costs_no_more(
    environment: Environment, logs: list[MutableMapping[str, Any]]
) -> None:
    desk = guarded(environment)
    snapshot = snapshot_of(environment)
    desk.apply(poison(snapshot), 1.0)
    before = desk.tracker.desired_ruleset()
    logs.clear()
    for _ in range(100):
        assert not desk.apply(poison(snapshot), 2.0)
    assert not desk.apply(ContainerUpdate(some_container(snapshot), {"state": "stopped"}), 2.0)
    assert logs == []
    assert desk.tracker.desired_ruleset() == before
    environment.remove_container("back-job-1")
    assert desk.load(snapshot_of(environment), 3.0)
    assert desk.facts.unexpected_error is None
    assert desk.tracker.desired_ruleset() == wanted(environment)
    assert desk.apply(ContainerUpdate(some_container(snapshot), {"state": "stopped"}), 4.0)


def test_what_went_wrong_elsewhere_keeps_no_event_out(environment: Environment) -> None:
    desk = guarded(environment)
    desk.facts.unexpected_error = "an event about something else could not be translated"
    assert desk.apply(ContainerUpdate(some_container(snapshot_of(environment)), {"state": "stopped"}), 1.0)


def test_a_snapshot_that_fails_leaves_the_last_good_one(environment: Environment) -> None:
    desk = guarded(environment)
    before = wanted(environment)
    environment.remove_container("back-job-1")
    assert desk.load(poisonous(snapshot_of(environment)), 1.0)
    assert desk.tracker.desired_ruleset() == before
    assert "last good picture" in str(desk.facts.unexpected_error)
    assert desk.load(poisonous(snapshot_of(environment)), 2.0)
    assert desk.tracker.desired_ruleset() == before
    assert desk.load(snapshot_of(environment), 3.0)
    assert desk.tracker.desired_ruleset() == wanted(environment)
    assert desk.facts.unexpected_error is None


def test_without_any_good_snapshot_nothing_is_committed(environment: Environment) -> None:
    desk = GuardedDesk(Tracker(), Facts(), unknown_allowed=False)
    assert not desk.load(poisonous(snapshot_of(environment)), 0.0)
    assert desk.facts.held
    assert "the table stays as it is" in str(desk.facts.unexpected_error)
    desk.suspend()
    assert not desk.facts.opened
    assert not desk.expire(100.0)
    assert desk.load(snapshot_of(environment), 1.0)
    assert not desk.facts.held
    assert desk.tracker.desired_ruleset() == wanted(environment)


def test_whether_the_kernel_can_log_is_remembered_while_nothing_is_committed(environment: Environment) -> None:
    desk = GuardedDesk(Tracker(), Facts(), unknown_allowed=False)
    assert not desk.load(poisonous(snapshot_of(environment)), 0.0)
    desk.set_logging(False)
    assert desk.facts.held
    assert desk.load(snapshot_of(environment), 1.0)
    assert "denied-clients" not in desk.tracker.desired_ruleset().sets
    desk.set_logging(True)
    assert desk.tracker.desired_ruleset() == wanted(environment)


def test_what_expires_and_what_is_suspended_is_guarded_too(environment: Environment) -> None:
    desk = guarded(environment)
    desk.suspend()
    opened = desk.tracker.desired_ruleset()
    desk.apply(poison(snapshot_of(environment)), 1.0)
    assert desk.tracker.desired_ruleset() == opened
    desk.resume()
    assert not desk.expire(1000.0)
    assert desk.tracker.desired_ruleset() == wanted(environment)


async def test_the_agent_goes_on_and_its_table_stays_right() -> None:
    async with running_agent() as running:
        facts, desk = running.agent.facts, running.agent.desk
        await until(lambda: facts.programmed)
        before = await running.dataplane.dump()
        running.environment.set_policy(BY_TEAM, "deny")
        bad = poisonous(snapshot_of(running.environment))
        desk.load(bad, 1.0)
        running.agent.engine.wake()
        await until(lambda: facts.programmed)
        assert (await running.get("/readyz"))[0] == 503
        assert (await running.dataplane.dump()) == before
        running.publish()
        await until(lambda: facts.unexpected_error is None and facts.programmed)
        assert desk.tracker.desired_ruleset() == wanted(running.environment)
