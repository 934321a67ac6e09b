"""What a container can try with packets of its own making. SECURITY.md says what comes of it, and names these tests."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from corral.sandbox.exchange import request
from corral.sandbox.namespace import Namespace
from corral.sandbox.topology import BRIDGE, hardware_address
from corral.sandbox.world import Sandbox

from .places import one_host

PORT = 4444
OUTSIDE = "192.0.2.7"
TAGGED = "net/bridge/bridge-nf-filter-vlan-tagged"


def _sum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF


def datagram(source: str, target: str, payload: bytes, source_port: int = 999) -> bytes:
    """An IPv4 packet with UDP in it; the payload's length has to be even. UDP does without its checksum."""
    body = struct.pack("!HHHH", source_port, PORT, 8 + len(payload), 0) + payload
    ends = socket.inet_aton(source) + socket.inet_aton(target)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, socket.IPPROTO_UDP, 0)
    return head[:10] + struct.pack("!H", _sum(head + ends)) + ends + body


def question(hardware: str, source: str, target: str) -> bytes:
    """An ARP request for the target; it remembers what the request says of the source."""
    own = bytes.fromhex(hardware.replace(":", ""))
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + socket.inet_aton(source) + bytes(6)
    return b"\xff" * 6 + own + struct.pack("!H", 0x0806) + body + socket.inet_aton(target)


@dataclass
class Attack:
    """A container that nobody allows anything, with a raw socket on its interface, and a server that it is after."""

    sandbox: Sandbox
    attacker: Namespace
    own_address: str
    target: str
    raw: socket.socket
    server: socket.socket

    def send(self, source: str, payload: bytes, *, tag: int | None = None, source_port: int = 999) -> None:
        tagged = b"" if tag is None else struct.pack("!HH", 0x8100, tag)
        ends = bytes.fromhex((hardware_address(self.target) + hardware_address(self.own_address)).replace(":", ""))
        packet = datagram(source, self.target, payload, source_port)
        self.raw.send(ends + tagged + struct.pack("!H", 0x0800) + packet)

    async def arrives(self, source: str, *, tag: int | None = None) -> bool:
        payload = f"from {source} tag {tag} ".ljust(40).encode()
        self.send(source, payload, tag=tag)
        try:
            async with asyncio.timeout(0.5):
                received = await asyncio.get_running_loop().sock_recv(self.server, 256)
        except TimeoutError:
            return False
        assert received == payload
        return True


@asynccontextmanager
async def attack() -> AsyncIterator[Attack]:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        own, target = (sandbox.environment.container(name).address for name in ("back-job-1", "front-db-1"))
        assert own is not None
        assert target is not None
        attacker = sandbox.topology.containers[own]
        raw = attacker.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind(("eth0", 0))
        with raw, sandbox.topology.containers[target].socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((target, PORT))
            yield Attack(sandbox, attacker, own, target, raw, server)


async def test_a_forged_source_is_judged_as_what_it_says() -> None:
    """Not covered: whoever may make raw packets can send datagrams as another, and gets no answer."""
    async with attack() as under:
        peer = under.sandbox.environment.container("front-web-1").address
        router = under.sandbox.environment.router(0).address
        assert peer is not None
        assert router is not None
        assert not await under.arrives(under.own_address)
        assert not await under.arrives("10.42.200.200")  # an address of the managed network that nobody has
        assert [await under.arrives(source) for source in (peer, router, OUTSIDE)] == [True, True, True]


@pytest.mark.parametrize("filtered", [False, True])
async def test_a_priority_tag_hides_a_packet_unless_the_host_looks_into_tagged_frames(filtered: bool) -> None:
    """The receiver drops a tag of VLAN 0 and takes the packet; netfilter sees tagged frames only on request."""
    async with attack() as under:
        under.sandbox.topology.hosts[0].namespace.write_sysctl(TAGGED, int(filtered))
        assert await under.arrives(under.own_address, tag=0) is not filtered
        assert not await under.arrives(under.own_address, tag=5)
        assert not await under.arrives(under.own_address)


def run_in(namespace: Namespace, command: str) -> None:
    with namespace:
        subprocess.run(command.split(), check=True)  # noqa: S603


async def test_a_container_that_reaches_the_hosts_loopback_is_refused() -> None:
    async with attack() as under:
        host = under.sandbox.topology.hosts[0].namespace
        host.write_sysctl(f"net/ipv4/conf/{BRIDGE}/route_localnet", 1)
        under.attacker.write_sysctl("net/ipv4/conf/eth0/route_localnet", 1)
        run_in(under.attacker, "ip address del 127.0.0.1/8 dev lo")
        run_in(under.attacker, "ip route add 127.0.0.1 via 10.42.0.1 dev eth0 onlink")
        answer = await request(under.attacker, "http://127.0.0.1:8799/v1/state")
        assert (answer.status, answer.json()) == (403, {"error": "loopback is asked from another machine or container"})
        assert (await under.sandbox.agents[0].get("/readyz")).status == 200


async def test_denied_packets_leave_nothing_in_connection_tracking() -> None:
    async with attack() as under:
        host = under.sandbox.topology.hosts[0].namespace

        def tracked() -> int:
            with host:
                return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())

        before = tracked()
        for number in range(2000):
            under.send(under.own_address, b"denied", source_port=10_000 + number)
        assert tracked() < before + 20


async def test_who_takes_over_anothers_address_on_the_bridge_is_judged_as_that_one() -> None:
    """Not covered: with NET_ADMIN, or ARP of its own making, a container can play another one of its host."""
    async with attack() as under:
        peer = under.sandbox.environment.container("front-web-1").address
        assert peer is not None
        run_in(under.attacker, f"ip address add {peer}/16 dev eth0")
        under.raw.send(question(hardware_address(under.own_address), peer, under.target))
        with under.attacker.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.bind((peer, 0))
            async with asyncio.timeout(5):
                await asyncio.get_running_loop().sock_connect(client, (under.target, 80))
