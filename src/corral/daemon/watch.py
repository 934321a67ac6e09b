"""Duties that recur: bridge filtering, foreign changes of the table."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import structlog

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts, Reason, bridge_reason
from corral.dataplane.base import Dataplane
from corral.dataplane.bridge import BridgeFiltering, bridge_filtering, enable_bridge_filtering
from corral.errors import DataplaneError
from corral.types import Action

log = structlog.get_logger()

# Nothing tells when somebody turns the switch off, and nothing is enforced while it is: look often, it costs 0.1 ms.
BRIDGE_INTERVAL = 1.0


async def watch_bridge(desk: Desk, facts: Facts, woken: asyncio.Event) -> None:
    """Keep bridged packets passing netfilter: without that nothing between containers of a bridge is enforced."""
    seen_on: tuple[str, bool] | None = None
    while True:
        if desk.network is not None:
            ipv6 = desk.policy is not None and desk.policy.default is Action.DENY
            seen_on = await _keep_on(facts, desk.network.bridge, ipv6, seen_on)
        try:
            async with asyncio.timeout(BRIDGE_INTERVAL):
                await woken.wait()
        except TimeoutError:
            continue
        woken.clear()


async def _keep_on(facts: Facts, bridge: str, ipv6: bool, seen_on: tuple[str, bool] | None) -> tuple[str, bool] | None:
    """Note what is wrong; what is on now. What somebody switched off counts as on again from the next look on."""
    switched, facts.bridge_error = await _switch_on(bridge, ipv6=ipv6)
    if facts.bridge_error is not None:
        return None
    if switched and seen_on == (bridge, ipv6):
        facts.bridge_error = bridge_reason(
            f"bridge {bridge}: somebody switched filtering off; just switched on again",
            "find what on this host writes nf_call_iptables",
        )
        log.warning("bridge filtering was switched off by somebody, switched on again", bridge=bridge, ipv6=ipv6)
    elif switched:
        log.info("bridge filtering switched on", bridge=bridge, ipv6=ipv6)
    return bridge, ipv6


async def _switch_on(bridge: str, *, ipv6: bool) -> tuple[bool, Reason | None]:
    """Whether it had to be switched on, and what is wrong."""
    if not bridge:
        return False, bridge_reason("the managed network names no usable bridge", "see the problems of the inventory")
    try:
        filtering = await bridge_filtering(bridge)
        if filtering is None:
            found = f"there is no bridge {bridge} in this network namespace"
            return False, bridge_reason(found, "run the agent in the host's")
        if _sufficient(filtering, ipv6=ipv6):
            return False, None
        await enable_bridge_filtering(bridge, ipv6=ipv6)
        filtering = await bridge_filtering(bridge)
    except DataplaneError as error:
        return False, bridge_reason(f"bridge {bridge}: {error}", "`corral doctor` looks for what is missing")
    if _sufficient(filtering, ipv6=ipv6):
        return True, None
    found = f"bridge {bridge}: packets between its ports do not pass netfilter, so nothing is enforced between them"
    return False, bridge_reason(found, "load br_netfilter on the host (modprobe br_netfilter)")


def _sufficient(filtering: BridgeFiltering | None, *, ipv6: bool) -> bool:
    """Our own switch must be on: the namespace's may be turned off by whoever turned it on."""
    return filtering is not None and bool(filtering.ipv4) and (bool(filtering.ipv6) or not ipv6)


async def watch_foreign_changes(dataplane: Dataplane, engine: Engine) -> None:
    """Have the table compared as soon as somebody else touches it, or when notifications were lost."""
    async with aclosing(dataplane.changes()) as changes:
        async for change in changes:
            if change.lost:
                engine.doubt("notifications of ruleset changes were lost")
            else:
                engine.tampered(f"table changed by {change.process or 'unknown process'} (pid {change.pid})")
