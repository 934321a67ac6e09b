"""Recurring duties, those of the bridge on a real one of a namespace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from corral.daemon.engine import Engine
from corral.daemon.facts import BRIDGE_NOT_CHECKED
from corral.daemon.watch import watch_bridge, watch_foreign_changes
from corral.dataplane.bridge import bridge_filtering
from corral.dataplane.fake import FakeDataplane
from corral.nft.transaction import FlushChain, Transaction
from corral.sandbox.links import Links
from corral.sandbox.namespace import Namespace

from .running import desk_of, small_environment, until


@pytest.fixture
def host() -> Iterator[Namespace]:
    namespace = Namespace.create()
    links = Links(namespace)
    links.add_bridge("docker0")
    links.close()
    yield namespace
    namespace.close()


def test_the_managed_bridge_is_switched_on_and_others_are_left_alone(host: Namespace) -> None:
    links = Links(host)
    links.add_bridge("other")
    links.close()
    desk = desk_of(small_environment())
    desk.facts.bridge_error = BRIDGE_NOT_CHECKED

    async def main() -> None:
        task = asyncio.create_task(watch_bridge(desk, desk.facts, asyncio.Event()))
        await until(lambda: desk.facts.bridge_error is None)
        task.cancel()
        managed, other = await bridge_filtering("docker0"), await bridge_filtering("other")
        assert managed is not None
        assert (managed.ipv4, managed.ipv6) == (True, True)
        assert other is not None
        assert (other.ipv4, other.ipv6) == (False, False)

    with host, asyncio.Runner() as runner:
        runner.run(main())


def test_what_somebody_switches_off_is_told_until_the_next_look(host: Namespace) -> None:
    desk = desk_of(small_environment())
    desk.facts.bridge_error = BRIDGE_NOT_CHECKED

    async def main() -> None:
        woken = asyncio.Event()
        task = asyncio.create_task(watch_bridge(desk, desk.facts, woken))
        await until(lambda: desk.facts.bridge_error is None)
        switch_off = ("ip", "link", "set", "docker0", "type", "bridge", "nf_call_iptables", "0")
        off = await asyncio.create_subprocess_exec(*switch_off)
        await off.wait()
        woken.set()
        await until(lambda: desk.facts.bridge_error is not None)
        assert "somebody switched filtering off" in str(desk.facts.bridge_error)
        filtering = await bridge_filtering("docker0")
        assert filtering is not None
        assert filtering.ipv4
        woken.set()
        await until(lambda: desk.facts.bridge_error is None)
        task.cancel()

    with host, asyncio.Runner() as runner:
        runner.run(main())


def test_ipv6_is_left_alone_where_the_default_allows(host: Namespace) -> None:
    environment = small_environment()
    environment.set_policy([], "allow")
    desk = desk_of(environment)
    desk.facts.bridge_error = BRIDGE_NOT_CHECKED

    async def main() -> None:
        woken = asyncio.Event()
        task = asyncio.create_task(watch_bridge(desk, desk.facts, woken))
        await until(lambda: desk.facts.bridge_error is None)
        task.cancel()
        filtering = await bridge_filtering("docker0")
        assert filtering is not None
        assert (filtering.ipv4, filtering.ipv6) == (True, False)

    with host, asyncio.Runner() as runner:
        runner.run(main())


def test_a_missing_bridge_is_said(host: Namespace) -> None:
    desk = desk_of(small_environment())
    links = Links(host)
    links.remove("docker0")
    links.close()

    async def main() -> None:
        task = asyncio.create_task(watch_bridge(desk, desk.facts, asyncio.Event()))
        await until(lambda: desk.facts.bridge_error is not None)
        task.cancel()

    with host, asyncio.Runner() as runner:
        runner.run(main())
    assert "docker0" in str(desk.facts.bridge_error)


async def test_what_somebody_else_changed_is_not_relied_on_until_it_is_repaired() -> None:
    """The repair may have to rest for half a second, where somebody writes again and again."""
    desk, dataplane = desk_of(small_environment()), FakeDataplane()
    engine = Engine(dataplane, desk.tracker, desk.facts, enforceable=lambda: True)
    tasks = [asyncio.create_task(duty) for duty in (engine.run(), watch_foreign_changes(dataplane, engine))]
    engine.wake()
    await until(lambda: desk.facts.programmed)
    engine._rested_at = time.monotonic() + 0.2
    dataplane.interfere(Transaction((FlushChain("forward"),)))
    await until(lambda: not desk.facts.programmed)
    assert desk.facts.repairs == 0
    await until(lambda: desk.facts.programmed)
    assert desk.facts.repairs == 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
