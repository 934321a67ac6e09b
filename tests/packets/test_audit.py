"""What is denied, of every kind: dropped, or in audit mode let through; counted and logged either way."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import pytest

from corral.dataplane.flows.flowlog import FlowLog
from corral.policy.enforcement import ENFORCE, Enforcement, log_prefix
from corral.policy.render import rule_counter
from corral.policy.rules import Policy, Rule, Scope, Within
from corral.sandbox.namespace import Namespace
from corral.sandbox.probes import probe
from corral.sandbox.topology import Topology
from corral.types import Action, Address, Flow, Protocol

from ..policy.strategies import ADDRESSES, UNKNOWN
from .rig import IMPATIENCE, PATIENCE, Rig, scene_of
from .test_beyond_ipv4_flows import PORT, bound, echo_reply_to_nothing, link_local
from .test_open_flows import EVERYBODY, NOTHING, run

A, B, C = ADDRESSES[:3]
RULE = Rule(Within(Scope.STACK), Action.DENY)
DENYING = Policy((RULE,), Action.DENY, default_is_set=True)
COUNTERS = (rule_counter(RULE), "default-deny", "invalid-drop", "ipv6-drop")
AUDIT = Enforcement(audit=True)
RECEIVE_BUFFER_FORCE = 33  # SO_RCVBUFFORCE


async def send_ipv6(rig: Rig) -> bool:
    """Whether a datagram between link-local addresses arrives."""
    one, other = rig.clients[str(A)], rig.clients[str(B)]
    with await bound(one) as client, await bound(other) as server:
        _, index = link_local(one)
        await asyncio.get_running_loop().sock_sendto(client, b"six", (link_local(other)[0], PORT, 0, index))
        return await arrives(server)


async def send_invalid(rig: Rig) -> bool:
    """Whether an answer to nothing arrives."""
    raw = socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP
    with rig.clients[str(B)].socket(*raw) as server, rig.clients[str(A)].socket(*raw) as client:
        client.sendto(echo_reply_to_nothing(), (str(B), 0))
        return await arrives(server)


async def arrives(server: socket.socket) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await asyncio.get_running_loop().sock_recvfrom(server, 256)
            return True
    return False


async def prefixes(log: FlowLog, counters: set[str]) -> dict[str, str]:
    """How the first packet of each counter was logged."""
    found: dict[str, str] = {}
    async with asyncio.timeout(5):
        async for packet in log.packets():
            found.setdefault(packet.prefix.split()[-1], packet.prefix)
            if found.keys() >= counters:
                break
    return found


@pytest.mark.parametrize("enforcement", [ENFORCE, AUDIT, Enforcement(log=False)], ids=["enforce", "audit", "no log"])
def test_every_kind_of_denied_packet(topology: Topology, enforcement: Enforcement) -> None:
    async def check(rig: Rig) -> None:
        async with FlowLog() as log:
            await log.open()
            await rig.enforce(scene_of(DENYING, EVERYBODY), enforcement)
            patience = PATIENCE if enforcement.audit else IMPATIENCE
            by_rule, unknown = (Flow(client, B, Protocol.UDP, 53) for client in (A, UNKNOWN))
            for flow in (by_rule, unknown):
                assert (await probe(rig.clients[str(flow.client)], flow, patience=patience)).passed is enforcement.audit
            assert await send_invalid(rig) is enforcement.audit
            assert await send_ipv6(rig) is enforcement.audit
            counted = await rig.dataplane.counters()
            assert all(counted[counter][0] > 0 for counter in COUNTERS), counted
            logged = await prefixes(log, set(COUNTERS)) if enforcement.log else {}
            expected = {counter: log_prefix(counter, audit=enforcement.audit) for counter in COUNTERS}
            assert logged == (expected if enforcement.log else {})
            if not enforcement.log:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await anext(log.packets())

    run(topology, check)


class Barrage:
    """Numbered datagrams, 1,000 a second from a thread of its own, each with when its sending began and ended."""

    def __init__(self, client: Namespace, server: Namespace, address: Address) -> None:
        self.times: list[tuple[float, float]] = []
        self._address = address
        self._client, self._server = (space.socket(socket.AF_INET, socket.SOCK_DGRAM) for space in (client, server))
        self._server.setsockopt(socket.SOL_SOCKET, RECEIVE_BUFFER_FORCE, 1 << 23)
        self._server.bind((str(address), PORT))
        self._loop = asyncio.get_running_loop()
        self._enough = asyncio.Event()
        self._wanted = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._client.close()
        self._server.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    async def more(self, count: int) -> None:
        """Until so many more were sent."""
        self._enough.clear()
        self._wanted = len(self.times) + count
        async with asyncio.timeout(10):
            await self._enough.wait()

    def arrived(self) -> set[int]:
        """The numbers of those that the server got; to be called once, after `stop`."""
        numbers = set()
        with suppress(BlockingIOError):
            while True:
                numbers.add(int(struct.unpack("!Q", self._server.recv(8))[0]))
        return numbers

    def _send(self) -> None:
        while not self._stop.wait(0.001):
            begun = time.monotonic()
            self._client.sendto(struct.pack("!Q", len(self.times)), (str(self._address), PORT))
            self.times.append((begun, time.monotonic()))
            if len(self.times) == self._wanted:
                self._loop.call_soon_threadsafe(self._enough.set)


def test_a_switch_between_audit_and_enforce_is_one_commit_and_judges_no_packet_otherwise(topology: Topology) -> None:
    async def check(rig: Rig) -> None:
        scene = scene_of(NOTHING, EVERYBODY)
        await rig.enforce(scene, AUDIT)
        spans: list[tuple[float, float, bool]] = []
        with Barrage(rig.clients[str(A)], rig.clients[str(B)], B) as barrage:
            await barrage.more(50)  # the first resolve addresses
            begin, audit = time.monotonic(), True
            for enforcement in (ENFORCE, AUDIT) * 10:
                await barrage.more(30)
                generation, committing = await rig.generation(), time.monotonic()
                await rig.enforce(scene, enforcement)
                committed = time.monotonic()
                assert await rig.generation() == generation + 1
                spans.append((begin, committing, audit))
                begin, audit = committed, enforcement.audit
            await barrage.more(30)
            barrage.stop()
            spans.append((begin, time.monotonic(), audit))
            arrived = barrage.arrived()
        judged = [
            (number in arrived) is audit
            for begin, end, audit in spans
            for number, (sent, done) in enumerate(barrage.times)
            if begin < sent and done < end
        ]
        assert len(judged) > 500
        assert all(judged)
        counted = (await rig.dataplane.counters())["default-deny"][0]
        assert counted == len(barrage.times)

    run(topology, check)
