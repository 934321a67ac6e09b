"""Duties that recur: bridge filtering, foreign changes of the table, the age of the metadata."""

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

# Nothing tells when somebody turns the switch off, and nothing is enforced while it is: look often, it costs 0.1 ms.
BRIDGE_INTERVAL = 1.0
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
    if not bridge:
        return "the managed network names no usable bridge: see the problems of the inventory"
    try:
        filtering = await bridge_filtering(bridge)
        if filtering is None:
            return f"there is no bridge {bridge} in this network namespace: run the agent in the host's"
        if _sufficient(filtering, ipv6=ipv6):
            return None
        await enable_bridge_filtering(bridge, ipv6=ipv6)
        filtering = await bridge_filtering(bridge)
    except DataplaneError as error:
        return f"bridge {bridge}: {error}"
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
    """Expire what events said and nothing confirmed; watch the age of the metadata; log what readiness turns on."""
    started = time.monotonic()
    said: list[str] = []
    while True:
        await asyncio.sleep(CLOCK_INTERVAL)
        if desk.expire(time.monotonic()):
            engine.wake()
        _judge_age(settings, desk, engine, facts, _silence(metadata, started))
        said = _log_reasons(facts, said)


def _silence(metadata: SourceStatus, started: float) -> float:
    """For how long the service has not answered. A long poll that is under way is no silence."""
    if metadata.connected:
        return 0.0
    age = metadata.age()
    return time.monotonic() - started if age is None else age


def _judge_age(settings: Settings, desk: Desk, engine: Engine, facts: Facts, silence: float) -> None:
    if silence <= settings.stale_after.total_seconds():
        facts.stale = None
        if facts.opened:
            desk.resume()
            engine.wake()
        return
    facts.stale = f"no answer of the metadata service for {silence:.0f} s"
    if settings.on_stale == "open" and not facts.opened:
        desk.suspend()
        engine.wake()


def _log_reasons(facts: Facts, said: list[str]) -> list[str]:
    """Log what came and what went since the last look."""
    # The sentence with the running number would be new each second.
    now = [reason for reason in facts.reasons() if reason != facts.stale] + (["stale"] if facts.stale else [])
    for reason in now:
        if reason not in said:
            log.warning("not in order", reason=reason)
    for reason in said:
        if reason not in now:
            log.info("in order again", reason=reason)
    return now
