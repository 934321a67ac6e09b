"""What a flood of denied packets does to the agent: an event's way into the kernel, with the flood and without.

The agent's parts and the table are the real ones; the packets come from a container of the table's host. A process of
its own says when an event comes, so that what the event waits for while the agent reads reports counts, too.
"""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from time import perf_counter, thread_time

import uvloop

from corral.daemon.denialwatch import DenialWatch
from corral.daemon.hub import EventHub
from corral.dataplane.bridge import enable_bridge_filtering
from corral.dataplane.flows.flowlog import FlowLog
from corral.dataplane.kernel import KernelDataplane
from corral.sandbox.namespace import Namespace
from corral.sandbox.topology import BRIDGE, HostNetwork, Topology, require_bridge_netfilter
from corral.types import Address

from ..daemon.running import until
from ..e2e.flooding import flooding
from .path import Path, path_in
from .report import TIMES, Row, micro, percentile
from .world import FIRST, ROLES, World, size_of, world_of

RATE = 10_000
_ROUTER = "10.42.255.250"
# Of two stacks; the first address is the gateway's.
_SERVER, _CLIENT = Address(FIRST + 1), Address(FIRST + len(ROLES))
_CLIENTS = 20  # so that the kernel's limit for all clients is met, not that for one
_EVERY = 0.005  # seconds between events
_TICK = struct.Struct("d")
_TICKER = f"""
import os, select, struct, time
while True:
    os.write(1, struct.pack("d", time.perf_counter()))
    select.select((), (), (), {_EVERY})
"""


@dataclass
class Side:
    """Rounds of one kind: seconds of each event, the loop's own processor time, and how long it all took."""

    samples: list[float] = field(default_factory=list)
    cpu: float = 0.0
    seconds: float = 0.0
    packets: int = 0
    reports: int = 0


def measure_denied(*, quick: bool) -> list[Row]:
    """Rounds without and with the flood, in turn."""
    require_bridge_netfilter()
    world = world_of(size_of(1000 if quick else 10_000))
    topology = Topology([_ROUTER])
    try:
        host = topology.hosts[0]
        for address in (_CLIENT, _SERVER):
            topology.add_container(0, str(address))
        _add_addresses(host.containers[str(_CLIENT)])
        with host.namespace, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            quiet, flooded = runner.run(_rounds(world, host, 2 if quick else 12, 100 if quick else 300))
    finally:
        topology.close()
    return [_row(world, quiet, flooded)]


def _add_addresses(space: Namespace) -> None:
    with space:
        for number in range(1, _CLIENTS):
            command = ("ip", "address", "add", f"{Address(_CLIENT + number)}/16", "dev", "eth0")
            subprocess.run(command, check=True)  # noqa: S603


async def _rounds(world: World, host: HostNetwork, rounds: int, events: int) -> tuple[Side, Side]:
    quiet, flooded = Side(), Side()
    async with AsyncExitStack() as opened:
        dataplane = await opened.enter_async_context(KernelDataplane())
        opened.push_async_callback(dataplane.delete_table)
        await enable_bridge_filtering(BRIDGE, ipv6=False)
        path = await path_in(world, dataplane)
        ticks = await opened.enter_async_context(_ticking())
        await opened.enter_async_context(_watching(path))
        for _ in range(rounds):
            await _measure(quiet, world, path, ticks, events)
            space = host.containers[str(_CLIENT)]
            async with flooding(space, str(_SERVER), 9999, rate=RATE, first=str(_CLIENT), clients=_CLIENTS):
                await _flows(path)
                await _measure(flooded, world, path, ticks, events)
    return quiet, flooded


@asynccontextmanager
async def _watching(path: Path) -> AsyncIterator[None]:
    watch = DenialWatch(FlowLog(), path.desk, path.facts, EventHub(), changed=lambda: None)
    await watch.open()
    running = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait([running])


@asynccontextmanager
async def _ticking() -> AsyncIterator[asyncio.Queue[float]]:
    """Moments at which an event comes, as a process of its own says them."""
    ticks: asyncio.Queue[float] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    process = subprocess.Popen([sys.executable, "-c", _TICKER], stdout=subprocess.PIPE)  # noqa: ASYNC220, S603
    assert process.stdout is not None
    pipe = process.stdout.fileno()

    def read() -> None:
        for (tick,) in _TICK.iter_unpack(os.read(pipe, 1 << 16)):
            ticks.put_nowait(tick)

    loop.add_reader(pipe, read)
    try:
        yield ticks
    finally:
        loop.remove_reader(pipe)
        process.kill()
        process.stdout.close()
        await asyncio.to_thread(process.wait)


async def _measure(side: Side, world: World, path: Path, ticks: asyncio.Queue[float], events: int) -> None:
    texts = [world.coming_and_going(world.spare(number)) for number in range(world.size.spare)]
    while not ticks.empty():
        ticks.get_nowait()
    packets, reports = await _denied(path), sum(path.facts.denied.reports.values())
    started, cpu = perf_counter(), thread_time()
    for number in range(events):
        begin, end = texts[number % len(texts)]
        came = await ticks.get()
        await path.hear(begin)
        side.samples.append(perf_counter() - came)
        await path.hear(end)
        await path.settle()
    side.cpu += thread_time() - cpu
    side.seconds += perf_counter() - started
    side.packets += await _denied(path) - packets
    side.reports += sum(path.facts.denied.reports.values()) - reports


async def _flows(path: Path) -> None:
    """Wait until the flood flows: its process takes a moment to start."""
    before = await _denied(path)

    async def flows() -> bool:
        return await _denied(path) >= before + RATE / 10

    await until(flows)


async def _denied(path: Path) -> int:
    return (await path.dataplane.counters())["default-deny"][0]


def _row(world: World, quiet: Side, flooded: Side) -> Row:
    before, during = ([percentile(side.samples, percent) for percent in (50, 99)] for side in (quiet, flooded))
    ratio, tail = (each / other for each, other in zip(during, before, strict=True))
    rate, reports = flooded.packets / flooded.seconds, flooded.reports / flooded.seconds
    cpu = flooded.cpu / flooded.seconds - quiet.cpu / quiet.seconds
    return Row(
        "denied",
        f"event while {rate:,.0f} packets a second are denied, {world.size.containers:,} containers",
        micro(during[0]),
        micro(during[1]),
        ratio=ratio,
        target="p50 ≤ 1.1 of without",
        met=ratio <= 1.1,
        note=f"p99 {tail:.2f} {TIMES}, {reports:.0f} reports a second, {100 * cpu:.1f} % more of a processor",
    )
