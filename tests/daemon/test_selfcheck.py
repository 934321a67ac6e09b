"""A drift, however it came, is found, told and repaired; and checking changes nothing where there is none."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from structlog.testing import capture_logs

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.daemon.guard import GuardedDesk
from corral.daemon.selfcheck import SelfCheck, differences, picture_of
from corral.dataplane.fake import FakeDataplane
from corral.model.updates import ContainerUpdate
from corral.nft.tracker import Tracker
from corral.policy.enforcement import ENFORCE, Enforcement
from corral.policy.render import DISPATCH
from corral.policy.verdict import Scene

from .running import running_agent, small_environment, snapshot_of, until


def guarded_desk() -> GuardedDesk:
    desk = GuardedDesk(Tracker(), Facts(), unknown_allowed=False)
    desk.load(snapshot_of(small_environment()), 0.0)
    return desk


def check_of(desk: Desk, interval: float = 3600.0) -> SelfCheck:
    engine = Engine(FakeDataplane(), desk.tracker, desk.facts, enforceable=lambda: desk.enforceable)
    return SelfCheck(desk, engine, desk.facts, interval=interval)


def some_endpoint(desk: Desk) -> int:
    return next(address for address, endpoint in desk.inventory.endpoints.items() if not endpoint.system)


@pytest.mark.parametrize("enforcement", [ENFORCE, Enforcement(audit=True), Enforcement(log=False)])
def test_nothing_differs_however_it_is_enforced(enforcement: Enforcement) -> None:
    desk = Desk(Tracker(), Facts(), unknown_allowed=False, enforcement=enforcement)
    desk.load(snapshot_of(small_environment()), 0.0)
    picture = picture_of(desk)
    assert picture is not None
    assert differences(picture) == []


def lose_element(desk: Desk) -> None:
    desk.tracker.remove_elements("unjudged", [next(iter(desk.inventory.endpoints))])


def lose_verdict(desk: Desk) -> None:
    desk.tracker.remove_verdict(DISPATCH.name, next(iter(desk.tracker.desired_ruleset().verdicts[DISPATCH.name])))


def lose_chain(desk: Desk) -> None:
    desk.tracker.remove_chain("default-action")


def forget_endpoint(desk: Desk) -> None:
    desk._compiler.update({next(iter(desk.inventory.endpoints)): None})


def distort_inventory(desk: Desk) -> None:
    inventory = desk.inventory
    address, endpoint = next((at, each) for at, each in inventory.endpoints.items() if not each.system)
    distorted = replace(endpoint, system=True)
    inventory._addresses.endpoints[address] = distorted
    desk._compiler.update({address: distorted})


@pytest.mark.parametrize(
    "drift",
    [lose_element, lose_verdict, lose_chain, forget_endpoint, distort_inventory],
    ids=lambda each: each.__name__,
)
async def test_a_drift_is_told_once_and_repaired(drift: Callable[[Desk], None]) -> None:
    desk = guarded_desk()
    right, check = desk.tracker.desired_ruleset(), check_of(desk)
    drift(desk)
    assert desk.tracker.desired_ruleset() != right
    with capture_logs() as logs:
        await check.check()
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == [
        "self-check: differs from scratch, made anew"
    ]
    assert desk.tracker.desired_ruleset() == right
    checks = desk.facts.self_checks
    assert (checks.runs, checks.last, checks.error) == (2, 0, None)
    assert checks.differences > 0


async def test_without_drift_nothing_is_said_or_done() -> None:
    desk = guarded_desk()
    desk.tracker.committed(desk.tracker.pending())
    with capture_logs() as logs:
        await check_of(desk).check()
    assert logs == []
    assert not desk.tracker.pending()
    assert (desk.facts.self_checks.runs, desk.facts.self_checks.differences) == (1, 0)


async def test_what_events_said_belongs_to_the_picture_and_survives_a_repair() -> None:
    desk = guarded_desk()
    uuid = next(uuid for uuid, each in desk.inventory.containers.items() if each.name == "back-job-1")
    desk.apply(ContainerUpdate(uuid, {"state": "stopped"}), 1.0)
    right = desk.tracker.desired_ruleset()
    picture = picture_of(desk)
    assert picture is not None
    assert differences(picture) == []
    lose_element(desk)
    await check_of(desk).check()
    assert desk.tracker.desired_ruleset() == right
    assert desk.expire(1000.0), "it is still known since when the event holds"


async def test_changes_that_arrive_meanwhile_are_no_drift() -> None:
    desk = guarded_desk()
    check = check_of(desk)
    looking = asyncio.create_task(check.check())
    await until(lambda: desk.facts.self_checks.runs == 0 and bool(looking.get_coro()))
    desk.apply(ContainerUpdate(next(iter(desk.inventory.containers)), {"state": "stopped"}), 1.0)
    await looking
    assert desk.facts.self_checks.differences == 0


async def test_a_twin_that_is_itself_wrong_is_told_as_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = guarded_desk()
    monkeypatch.setattr("corral.daemon.selfcheck.compile_ruleset", lambda *_, **__: Tracker().desired_ruleset())
    check = check_of(desk)
    await check.check()
    assert any("self-check" in reason for reason in desk.facts.reasons())
    assert not desk.facts.ready
    monkeypatch.undo()
    await check.check()
    assert desk.facts.self_checks.error is None


async def test_a_check_that_fails_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    desk = guarded_desk()
    monkeypatch.setattr("corral.daemon.selfcheck.compile_ruleset", fail)
    with capture_logs() as logs:
        await check_of(desk).check()
    assert [entry["event"] for entry in logs] == ["self-check failed"]


async def test_before_anything_is_known_there_is_nothing_to_check() -> None:
    desk = GuardedDesk(Tracker(), Facts(), unknown_allowed=False)
    await check_of(desk).check()
    assert desk.facts.self_checks.runs == 0


async def test_it_recurs() -> None:
    desk = guarded_desk()
    task = asyncio.create_task(check_of(desk, interval=0.001).run())
    await until(lambda: desk.facts.self_checks.runs > 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_running_agent_checks_itself_on_sighup_and_shows_it() -> None:
    async with running_agent() as running:
        agent = running.agent
        await until(lambda: agent.facts.programmed)
        lose_element(agent.desk)
        agent.engine.wake()
        signal.raise_signal(signal.SIGHUP)

        async def shown() -> bool:
            _, state = await running.get("/v1/state")
            return bool(orjson.loads(state)["self_check"]["runs"] == 2)

        await until(shown)
        _, state = await running.get("/v1/state")
        check = orjson.loads(state)["self_check"]
        assert (check["differences"], check["differences_ever"]) == (0, 1)
        _, metrics = await running.get("/metrics")
        assert "corral_self_check_differences_total 1.0" in metrics
        assert "corral_self_checks_total 2.0" in metrics
        picture = picture_of(agent.desk)
        assert picture is not None
        await until(lambda: agent.facts.programmed)
        dump = await running.dataplane.dump()
        assert dump is not None
        assert dump.ruleset == picture.desired


def test_a_picture_is_a_copy() -> None:
    desk = guarded_desk()
    picture = picture_of(desk)
    assert picture is not None
    assert isinstance(picture.scene, Scene)
    lose_element(desk)
    desk.apply(ContainerUpdate(next(iter(desk.inventory.containers)), {"state": "stopped"}), 1.0)
    assert differences(picture) == []
