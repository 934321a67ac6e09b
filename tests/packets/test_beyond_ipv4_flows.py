"""What no rule can name: IPv6 between containers, and packets that belong to no flow."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from pathlib import Path

import pytest

from corral.model.endpoint import Endpoint
from corral.policy.rules import Policy
from corral.sandbox.namespace import Namespace
from corral.sandbox.topology import Topology
from corral.types import Action

from ..daemon.running import until
from ..policy.strategies import ADDRESSES
from .rig import Rig, scene_of
from .test_open_flows import EVERYBODY, WITHIN_STACK, run

A, B = ADDRESSES[:2]
ALLOW = Policy((), Action.ALLOW, default_is_set=True)
DENY = Policy((), Action.DENY, default_is_set=True)
PORT = 4000


def link_local(space: Namespace) -> tuple[str, int]:
    """The link-local address of eth0, and the number of that interface."""
    with space:
        lines = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
    number, index = next((words[0], words[1]) for line in lines if (words := line.split())[-1] == "eth0")
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(number)), int(index, 16)


async def bound(space: Namespace) -> socket.socket:
    """A UDP socket on the link-local address, as soon as the kernel is sure that nobody else has it."""
    made = space.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    address, index = link_local(space)

    def binds() -> bool:
        try:
            made.bind((address, PORT, 0, index))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return False
        return True

    await until(binds)
    return made


@pytest.mark.parametrize(("policy", "passes"), [(ALLOW, True), (DENY, False)], ids=["allow", "deny"])
def test_ipv6_between_containers_follows_the_default(topology: Topology, policy: Policy, passes: bool) -> None:
    async def check(rig: Rig) -> None:
        await rig.enforce(scene_of(policy, EVERYBODY))
        loop = asyncio.get_running_loop()
        one, other = rig.clients[str(A)], rig.clients[str(B)]
        with await bound(one) as client, await bound(other) as server:
            _, index = link_local(one)
            await loop.sock_sendto(client, b"over IPv6", (link_local(other)[0], PORT, 0, index))
            assert await arrives(server, b"over IPv6") is passes

    run(topology, check)


async def arrives(server: socket.socket, payload: bytes) -> bool:
    try:
        async with asyncio.timeout(0.5):
            received, *_ = await asyncio.get_running_loop().sock_recvfrom(server, 256)
    except TimeoutError:
        return False
    return received.endswith(payload)


def test_what_connection_tracking_calls_invalid_reaches_no_local_application_endpoint(topology: Topology) -> None:
    async def check(rig: Rig) -> None:
        everybody = dict(EVERYBODY)
        for server_is_local, passes in ((True, False), (False, True)):
            everybody[B] = Endpoint(B, ("u",), local=server_is_local, stacks=EVERYBODY[B].stacks)
            await rig.enforce(scene_of(WITHIN_STACK, everybody))
            with (
                rig.clients[str(B)].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as server,
                rig.clients[str(A)].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as client,
            ):
                client.sendto(echo_reply_to_nothing(), (str(B), 0))
                assert await arrives(server, b"reply to nothing") is passes

    run(topology, check)


def echo_reply_to_nothing() -> bytes:
    """An ICMP echo reply that no request came before."""
    payload = b"reply to nothing"
    body = struct.pack("!HH", 77, 1) + payload
    total = sum(struct.unpack(f"!{len(body) // 2}H", body))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBH", 0, 0, ~total & 0xFFFF) + body
