"""Connection tracking of real flows, in a network namespace of its own, as the tool `conntrack` lists it."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.dataplane.flows import conntrack
from corral.dataplane.flows.conntrack import TrackedFlow, dump_flows
from corral.dataplane.messages import Received, attribute, nfgen
from corral.dataplane.netlink import InterruptedDumpError, NetlinkSocket
from corral.errors import UncertainError, UnsupportedError
from corral.types import Address

from ...daemon.running import until
from ...kernel.namespaces import Namespace

TRACKING = "add table inet t; add chain inet t c { type filter hook output priority 0; ct state new; }"
MANY = 20_000


@pytest.fixture
def tracked() -> Iterator[Namespace]:
    """A namespace with connection tracking, which a rule that asks for it turns on, and two addresses."""
    with Namespace() as namespace, namespace.entered():
        namespace.run("nft -f -", text=TRACKING)
        namespace.run(
            "ip address add 10.42.0.2/32 dev lo",
            "ip address add 10.42.0.3/32 dev lo",
            "ip address add 10.42.0.4/32 dev lo",
        )
        yield namespace


def everything(client: int, server: int) -> bool:
    return True


def listed(namespace: Namespace) -> dict[tuple[str, int, str, int], str]:
    """Client with port, server with port of the TCP flows that `conntrack` lists, and their states."""
    pattern = r"^tcp +6 \d+ (\w+) src=([\d.]+) dst=\S+ sport=(\d+) dport=\d+ .*?src=([\d.]+) dst=\S+ sport=(\d+)"
    lines = re.findall(pattern, namespace.run("conntrack -L -p tcp"), re.MULTILINE)
    return {(client, int(sport), server, int(port)): state.lower() for state, client, sport, server, port in lines}


async def test_tcp_flows_are_those_that_the_tool_lists(tracked: Namespace) -> None:
    with ExitStack() as opened:
        server = opened.enter_context(closing(socket.create_server(("10.42.0.3", 0))))
        for _ in range(3):
            opened.enter_context(
                closing(socket.create_connection(server.getsockname(), source_address=("10.42.0.2", 0)))
            )
        gone = socket.create_connection(server.getsockname(), source_address=("10.42.0.2", 0))
        accepted = [server.accept()[0] for _ in range(4)]
        gone.close()
        for one in accepted:
            opened.enter_context(closing(one))
        await until(lambda: "close_wait" in listed(tracked).values())  # once the server has acknowledged the end
        found = await dump_flows(everything)
        expected = listed(tracked)
    states = {(str(flow.client), flow.client_port, str(flow.server), flow.port): flow.state for flow in found.flows}
    assert states == expected
    assert sorted(states.values()) == ["close_wait", *3 * ["established"]]
    assert all(flow.answered and flow.open and flow.protocol == 6 for flow in found.flows)


async def test_datagrams_are_answered_or_not(tracked: Namespace) -> None:
    with ExitStack() as opened:
        client, server = (
            opened.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))) for _ in range(2)
        )
        client.bind(("10.42.0.2", 0))
        server.bind(("10.42.0.3", 0))
        client.sendto(b"question", server.getsockname())
        (flow,) = (await dump_flows(everything)).flows
        assert (flow.state, flow.answered, flow.open, flow.port) == (
            "unanswered",
            False,
            False,
            server.getsockname()[1],
        )
        server.sendto(b"answer", client.getsockname())
        (flow,) = (await dump_flows(everything)).flows
        assert (flow.state, flow.answered, flow.open) == ("answered", True, True)
        assert (str(flow.client), str(flow.server)) == ("10.42.0.2", "10.42.0.3")


async def test_the_real_server_and_its_port_behind_destination_nat(tracked: Namespace) -> None:
    tracked.run(
        "nft -f -",
        text="add table ip n; add chain ip n o { type nat hook output priority -100; };"
        "add rule ip n o udp dport 53 dnat to 10.42.0.3:5353",
    )
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.bind(("10.42.0.2", 4000))
        client.sendto(b"question", ("10.42.0.4", 53))
        (flow,) = (await dump_flows(everything)).flows
    assert flow[:5] == (Address.parse("10.42.0.2"), 4000, Address.parse("10.42.0.3"), 5353, 17)


async def test_a_protocol_without_ports(tracked: Namespace) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as client:
        client.bind(("10.42.0.2", 0))
        client.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0), ("10.42.0.3", 0))
        (flow,) = (await dump_flows(everything)).flows
    assert flow[:5] == (Address.parse("10.42.0.2"), None, Address.parse("10.42.0.3"), None, 1)
    assert flow.answered


async def test_a_full_table_leaves_others_their_turns(tracked: Namespace) -> None:
    send_from_many_ports("10.42.0.2", MANY)
    turns = 0

    async def live() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    living = asyncio.create_task(live())
    found = await dump_flows(lambda client, server: server == Address.parse("10.42.0.3"))
    living.cancel()
    assert found.entries >= MANY
    assert len({flow.port for flow in found.flows}) == len(found.flows) == MANY
    assert turns > 5
    assert (await dump_flows(lambda client, server: False)).flows == []


def send_from_many_ports(client_address: str, count: int) -> None:
    """One datagram to each of so many ports."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.bind((client_address, 0))
        for port in range(1, count + 1):
            client.sendto(b"", ("10.42.0.3", port))


async def test_a_kernel_without_the_module_is_told_the_remedy(
    tracked: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobodys_subsystem = 15 << 8
    monkeypatch.setattr(conntrack, "_GET", nobodys_subsystem)
    with pytest.raises(UnsupportedError, match="modprobe nf_conntrack_netlink"):
        await dump_flows(everything)


def test_attributes_in_another_order_and_what_has_none() -> None:
    def direction(source: str, port: int) -> bytes:
        protocol = attribute(3, b"\0\1") + attribute(2, port.to_bytes(2, "big")) + attribute(1, b"\6")
        addresses = attribute(2, b"\1\2\3\4") + attribute(1, Address.parse(source).to_bytes(4, "big"))
        return attribute(2, protocol) + attribute(1, addresses)

    def flows(payload: bytes) -> list[TrackedFlow]:
        from corral.dataplane.messages import Received

        return list(conntrack._read([Received(0, 0, 0, 0, nfgen(payload))], everything))

    odd = attribute(3, b"\0\0\0\2") + attribute(2, direction("10.42.0.3", 80)) + attribute(1, direction("10.42.0.2", 9))
    assert flows(odd) == [
        TrackedFlow(Address.parse("10.42.0.2"), 9, Address.parse("10.42.0.3"), 80, 6, "none", answered=True)
    ]
    assert flows(b"") == []
    assert flows(attribute(1, b"")) == []


numbers = st.binary(max_size=20)


@given(numbers, numbers, numbers, numbers, numbers, numbers, numbers)
def test_numbers_of_any_size_are_no_obstacle(
    client: bytes, client_port: bytes, server: bytes, port: bytes, protocol: bytes, status: bytes, state: bytes
) -> None:
    def direction(source: bytes, source_port: bytes) -> bytes:
        return attribute(1, attribute(1, source)) + attribute(2, attribute(1, protocol) + attribute(2, source_port))

    tuples = attribute(1, direction(client, client_port)) + attribute(2, direction(server, port))
    rest = attribute(3, status) + attribute(4, attribute(1, attribute(1, state)))
    flow = conntrack.read_flow(nfgen(tuples + rest))
    usual = [len(client), len(server), len(client_port), len(port), len(protocol)] == [4, 4, 2, 2, 1]
    assert (flow is not None) is usual
    if flow is not None:
        assert flow.client == int.from_bytes(client, "big")


async def test_an_answer_that_is_lost_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> AsyncIterator[list[Received]]:
        yield []
        raise InterruptedDumpError

    monkeypatch.setattr(NetlinkSocket, "parts", lost)
    with pytest.raises(UncertainError, match="ask again"):
        await dump_flows(everything)
