"""Readiness and commits, told to whoever listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from corral.daemon import announcer
from corral.daemon.announcer import Announcer
from corral.daemon.facts import Trouble
from corral.daemon.hub import EventHub, Subscription
from corral.documents.events import StateEvent

from ..documents.checking import check
from .running import desk_of, running_agent, small_environment, until
from .test_agent import until_table


async def following(events: AsyncIterator[tuple[str, Mapping[str, Any]] | None], kind: str) -> Mapping[str, Any]:
    async for event in events:
        if event is not None and event[0] == kind:
            return event[1]
    raise AssertionError("the events ended")


def everything(_kind: str, _data: Mapping[str, Any]) -> bool:
    return True


@asynccontextmanager
async def announced(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Announcer, Subscription]]:
    monkeypatch.setattr(announcer, "LOOK_EVERY", 0.001)
    desk = desk_of(small_environment())
    made = Announcer(EventHub(), desk, desk.facts)
    running = asyncio.create_task(made.run())
    try:
        with made.subscribed(everything) as subscription:
            yield made, subscription
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_the_first_event_tells_how_things_are(monkeypatch: pytest.MonkeyPatch) -> None:
    async with announced(monkeypatch) as (made, subscription):
        first = await following(subscription.events(5), "state")
        check(StateEvent, first)
        assert first == made._state()


async def test_readiness_is_told_when_it_turns_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async with announced(monkeypatch) as (made, subscription):
        events = subscription.events(0.05)
        await following(events, "state")
        assert await anext(events) is None
        made._facts.events_error = Trouble("no answer", 0.0)
        turned = await following(events, "state")
        assert any(reason.startswith("event stream: no answer") for reason in turned["reasons"])
        assert await anext(events) is None  # although for how long it has been so goes on changing


async def test_a_commit_is_told_in_words_and_costs_nothing_while_nobody_listens() -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        agent = running.agent
        assert agent.facts.changes.told is None
        with agent._announcer.subscribed(everything) as subscription:
            container = running.environment.create_container("front/web")
            running.environment.set_running(container.name, running.environment.allocate_address(0))
            running.environment.set_policy([], "allow")
            running.publish()
            change = await following(subscription.events(5), "change")
            assert change["came"] == {"count": 1, "names": ["front/web/front-web-2"]}
            assert change["policy"] is not None
        assert agent.facts.changes.told is None
        commits = agent.facts.commits
        running.environment.remove_container(container.name)
        running.publish()
        await until(lambda: agent.facts.commits > commits)
        assert not agent.facts.changes._next
        assert not agent.facts.changes._committing


async def test_a_repair_is_told() -> None:
    async with running_agent() as running:
        await until_table(running, 3)
        with running.agent._announcer.subscribed(everything) as subscription:
            await running.dataplane.delete_table()
            running.agent.engine.tampered("table changed by nft (pid 7)")
            change = await following(subscription.events(5), "change")
        assert change["repair"] == "table changed by nft (pid 7)"


async def test_what_can_not_be_told_of_a_commit_does_not_concern_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(announcer, "change_event", told)
    async with running_agent() as running:
        await until_table(running, 3)
        with running.agent._announcer.subscribed(everything):
            running.environment.remove_container("back-job-1")
            running.publish()
            await until_table(running, 2)
            await until(lambda: running.agent.facts.programmed)
        assert running.agent.facts.failed_commits == 0
