"""Duties that recur: bridge filtering, foreign changes of the table, stale and frozen data, the process itself."""

from __future__ import annotations

import asyncio
import time

import structlog

from corral.config import Settings
from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.dataplane.base import Dataplane
from corral.dataplane.bridge import BridgeFiltering, bridge_filtering, enable_bridge_filtering
from corral.errors import DataplaneError
from corral.sources.status import SourceStatus
from corral.types import Action

log = structlog.get_logger()

BRIDGE_INTERVAL = 5.0
CLOCK_INTERVAL = 1.0


async def watch_bridge(desk: Desk, facts: Facts, woken: asyncio.Event) -> None:
    """Keep bridged packets passing netfilter: without that nothing between containers of a bridge is enforced."""
    while True:
        if desk.network is not None:
            ipv6 = desk.policy is not None and desk.policy.default is Action.DENY
            facts.bridge_error = await _bridge_error(desk.network.bridge, ipv6=ipv6)
        try:
            async with asyncio.timeout(BRIDGE_INTERVAL):
                await woken.wait()
        except TimeoutError:
            continue
        woken.clear()


async def _bridge_error(bridge: str, *, ipv6: bool) -> str | None:
    try:
        if _sufficient(await bridge_filtering(bridge), ipv6=ipv6):
            return None
        await enable_bridge_filtering(bridge, ipv6=ipv6)
        filtering = await bridge_filtering(bridge)
    except DataplaneError as error:
        return f"bridge {bridge}: {error}"
    if filtering is None:
        return f"there is no bridge {bridge} in this network namespace: run the agent in the host's"
    if _sufficient(filtering, ipv6=ipv6):
        log.info("bridge filtering switched on", bridge=bridge, ipv6=ipv6)
        return None
    return (
        f"bridge {bridge}: packets between its ports do not pass netfilter, so nothing is enforced between them: "
        "load br_netfilter on the host (modprobe br_netfilter)"
    )


def _sufficient(filtering: BridgeFiltering | None, *, ipv6: bool) -> bool:
    """Our own switch must be on: the namespace's may be turned off by whoever turned it on."""
    return filtering is not None and bool(filtering.ipv4) and (bool(filtering.ipv6) or not ipv6)


async def watch_foreign_changes(dataplane: Dataplane, engine: Engine) -> None:
    """Have the table compared as soon as somebody else touches it, or when notifications were lost."""
    async for change in dataplane.changes():
        if change.lost:
            engine.doubt("notifications of ruleset changes were lost")
        else:
            engine.doubt(f"table changed by {change.process or 'unknown process'} (pid {change.pid})")


async def watch_clock(settings: Settings, desk: Desk, engine: Engine, facts: Facts, metadata: SourceStatus) -> None:
    """Expire what events said and nothing confirmed; say when the metadata is older than allowed."""
    started = time.monotonic()
    limit = settings.stale_after.total_seconds()
    while True:
        await asyncio.sleep(CLOCK_INTERVAL)
        if desk.expire(time.monotonic()):
            engine.wake()
        answered = metadata.age()
        age = time.monotonic() - started if answered is None else answered
        if age <= limit:
            facts.stale = None
            continue
        if facts.stale is None:
            log.error("metadata is stale", seconds=round(age), on_stale=settings.on_stale)
        facts.stale = f"no answer of the metadata service for {age / 60:.0f} minutes"
        if settings.on_stale == "open" and not facts.opened:
            desk.suspend()
            engine.wake()
