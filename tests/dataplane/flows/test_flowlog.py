"""The kernel's reports about real packets between two containers of a bridge, and messages made by hand."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import IPv6Address

import pytest

from corral.dataplane.bridge import enable_bridge_filtering
from corral.dataplane.flows.conntrack import TrackedFlow
from corral.dataplane.flows.flowlog import GROUP, FlowLog, LoggedPacket
from corral.dataplane.flows.packet import ICMP, TCP, UDP, Header
from corral.dataplane.messages import attribute, frame, nfgen
from corral.errors import DataplaneError, UnsupportedError
from corral.types import Address

from ...kernel.namespaces import BridgedPair, Namespace, bridged_pair

CLIENT, SERVER = Address.parse(BridgedPair.client_address), Address.parse(BridgedPair.server_address)
PUBLISHED = "10.42.0.9"
PORT = 7000
# What a table of ours says in its `forward` chain; packets of the client's flows are denied, in both directions.
TABLE = f"""table inet corral {{
  set clients {{ type ipv4_addr; elements = {{ {CLIENT} }}; }}
  chain forward {{
    type filter hook forward priority filter - 10; policy accept;
    ct original ip saddr @clients log prefix "corral deny default-deny" group {GROUP} drop
    ip saddr 10.42.0.0/16 ct state invalid,untracked log prefix "corral deny invalid-drop" group {GROUP} drop
    meta nfproto ipv6 log prefix "corral deny ipv6-drop" group {GROUP} drop
  }}
}}
"""
DENY, ALLOW = (f"nft {verb} element inet corral clients {{ {CLIENT} }}" for verb in ("add", "delete"))


@pytest.fixture
def pair() -> Iterator[BridgedPair]:
    with bridged_pair() as made:
        with made.host.entered():
            asyncio.run(enable_bridge_filtering("br0", ipv6=True))
        yield made


@pytest.fixture
async def log(pair: BridgedPair) -> AsyncIterator[FlowLog]:
    """That of the host, which has our table."""
    with pair.host.entered():
        async with FlowLog() as opened:
            await opened.open()
            pair.host.run("nft -f -", text=TABLE)
            yield opened


async def first(log: FlowLog, prefix: str = "corral deny default-deny") -> LoggedPacket:
    """The next report of a rule."""
    async with asyncio.timeout(5):
        async with contextlib.aclosing(log.packets()) as packets:
            async for packet in packets:
                if packet.prefix == prefix:
                    return packet
    raise AssertionError("the log ended")


async def flow_of(log: FlowLog, packet: LoggedPacket) -> tuple[object, ...]:
    """Client, server, protocol, port and whether it was answered, from wherever they are known."""
    flow = await log.flow_of(packet)
    if flow is not None:
        return flow.client, flow.server, flow.protocol, flow.port, flow.answered
    header = packet.header
    assert header is not None
    return header.source, header.destination, header.protocol, header.destination_port, False


def udp_from(space: Namespace) -> socket.socket:
    with space.entered():
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


async def test_a_connection_that_is_opened(pair: BridgedPair, log: FlowLog) -> None:
    with pair.client.entered():
        client = socket.socket()
    with client:
        client.setblocking(False)
        client.connect_ex((str(SERVER), PORT))
        assert await flow_of(log, await first(log)) == (CLIENT, SERVER, TCP, PORT, False)


async def test_a_datagram(pair: BridgedPair, log: FlowLog) -> None:
    with udp_from(pair.client) as client:
        client.sendto(b"hello", (str(SERVER), PORT))
        assert await flow_of(log, await first(log)) == (CLIENT, SERVER, UDP, PORT, False)


async def test_an_echo_request(pair: BridgedPair, log: FlowLog) -> None:
    with pair.client.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with client:
        client.sendto(echo(8), (str(SERVER), 0))
        assert await flow_of(log, await first(log)) == (CLIENT, SERVER, ICMP, None, False)


def published(pair: BridgedPair) -> None:
    pair.host.run(f"ip address add {PUBLISHED}/16 dev br0", "sysctl -qw net.ipv4.ip_forward=1")
    rule = f"type nat hook prerouting priority -100; ip daddr {PUBLISHED} udp dport 80 dnat to {SERVER}:{PORT};"
    pair.host.run("nft -f -", text=f"table ip nat {{ chain pre {{ {rule} }}; }}\n")


async def test_a_published_port_is_told_as_the_real_server(pair: BridgedPair, log: FlowLog) -> None:
    published(pair)
    with udp_from(pair.client) as client:
        client.sendto(b"hello", (PUBLISHED, 80))
        assert await flow_of(log, await first(log)) == (CLIENT, SERVER, UDP, PORT, False)


@pytest.mark.parametrize("behind_a_published_port", [False, True])
async def test_an_answer_of_an_open_flow_that_was_cut_is_told_as_the_clients(
    pair: BridgedPair, log: FlowLog, behind_a_published_port: bool
) -> None:
    published(pair)
    pair.host.run(ALLOW)
    with udp_from(pair.client) as client, udp_from(pair.server) as server:
        server.bind((str(SERVER), PORT))
        client.sendto(b"question", (PUBLISHED, 80) if behind_a_published_port else (str(SERVER), PORT))
        server.settimeout(5)
        _, peer = server.recvfrom(100)
        server.sendto(b"answer", peer)
        client.settimeout(5)
        assert client.recv(100) == b"answer"
        pair.host.run(DENY)
        server.sendto(b"cut", peer)
        packet = await first(log)
        assert packet.header is not None
        assert packet.header.source == SERVER
        assert await flow_of(log, packet) == (CLIENT, SERVER, UDP, PORT, True)
        client.sendto(b"cut, too", (PUBLISHED, 80) if behind_a_published_port else (str(SERVER), PORT))
        packet = await first(log)
        assert packet.header is not None
        assert packet.header.source == CLIENT
        assert await flow_of(log, packet) == (CLIENT, SERVER, UDP, PORT, True)


async def test_an_icmp_error_is_told_as_the_flow_that_it_is_about(pair: BridgedPair, log: FlowLog) -> None:
    pair.host.run(ALLOW)
    with udp_from(pair.client) as client, udp_from(pair.server) as server:
        server.bind((str(SERVER), PORT))
        client.sendto(b"question", (str(SERVER), PORT))
        server.settimeout(5)
        _, (_, port) = server.recvfrom(100)
        client.close()
        pair.host.run(DENY)
        # What the client's closed port would say of an answer: the head of that packet is in it.
        with pair.client.entered():
            raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        with raw:
            raw.sendto(unreachable(port), (str(SERVER), 0))
        packet = await first(log)
        assert packet.header is not None
        assert packet.header.protocol == ICMP
        assert await flow_of(log, packet) == (CLIENT, SERVER, UDP, PORT, False)


async def test_an_invalid_packet_is_told_as_it_is(pair: BridgedPair, log: FlowLog) -> None:
    with pair.client.entered():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    with raw:
        raw.sendto(echo(0), (str(SERVER), 0))
        packet = await first(log, "corral deny invalid-drop")
        assert packet.header is not None
        assert (packet.header.source, packet.header.destination, packet.header.protocol) == (CLIENT, SERVER, ICMP)


async def test_ipv6_is_told_with_its_addresses(pair: BridgedPair, log: FlowLog) -> None:
    with pair.client.entered():
        client = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    pair.client.run("ip -6 address add fd00::2/64 dev eth0 nodad")
    pair.server.run("ip -6 address add fd00::3/64 dev eth0 nodad")
    with client:
        client.setblocking(False)
        client.sendto(b"hello", ("fd00::3", PORT))
        packet = await first(log, "corral deny ipv6-drop")
        assert packet.header is not None
        assert isinstance(packet.header.source, IPv6Address)
        assert await log.flow_of(packet) is None


async def test_reports_come_in_messages_of_many_and_lost_ones_are_counted(pair: BridgedPair, log: FlowLog) -> None:
    """The kernel's own numbers tell what did not fit into the receive buffer."""
    assert log._socket is not None
    log._socket._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
    with udp_from(pair.client) as client:
        for number in range(3000):
            client.sendto(number.to_bytes(4, "big"), (str(SERVER), PORT))
        reports = datagrams = 0
        async with asyncio.timeout(10):
            while reports + log.lost < 3000 - 64:
                for datagram in log._socket.drain():
                    datagrams += 1
                    reports += sum(1 for _ in log.read(datagram or b""))
                client.sendto(b"one more", (str(SERVER), PORT))
                await asyncio.sleep(0)
    assert log.lost > 0
    assert reports / datagrams > 40


async def test_a_group_that_another_has_is_an_error_that_names_it(namespace: Namespace) -> None:
    async with FlowLog() as one, FlowLog() as other:
        await one.open()
        with pytest.raises(DataplaneError, match=r"another program \(netlink port \d+.*log group 8799") as caught:
            await other.open()
        assert caught.value.errno == errno.EBUSY
        one.close()
        await other.open()


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        yield created


async def test_no_packet_that_a_container_makes_up_ends_the_looking_up(namespace: Namespace) -> None:
    """To a question that it does not understand the kernel answers as if it had no connection tracking to ask."""
    made = [Header(CLIENT, SERVER, protocol, *ports) for protocol in range(256) for ports in ((None, None), (4000, 80))]
    made += [Header(CLIENT, SERVER, ICMP, icmp=(kind, 0, 77)) for kind in range(256)]
    async with FlowLog() as log:
        await log.open()
        for header in made:
            assert await log.flow_of(LoggedPacket("corral deny default-deny", header, None)) is None
            assert log._lookup, header


async def test_while_it_rests_nothing_calls_it(
    pair: BridgedPair, log: FlowLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that calls for what is there to be read would turn without a pause."""
    assert log._socket is not None
    listen, calls = log._socket.on_readable, 0

    def counted(call: Callable[[], None] | None) -> None:
        def counting() -> None:
            nonlocal calls
            calls += 1
            if call is not None:
                call()

        listen(counting if call else None)

    monkeypatch.setattr(log._socket, "on_readable", counted)
    with udp_from(pair.client) as client:
        for _ in range(64 * 40):
            client.sendto(b"denied", (str(SERVER), PORT))
    seen = 0
    async with asyncio.timeout(10), contextlib.aclosing(log.packets()) as packets:
        async for _ in packets:
            seen += 1
            if seen == 64 * 30:
                break
    assert calls < 30


async def test_opening_again_takes_the_group_anew(namespace: Namespace) -> None:
    async with FlowLog() as log:
        await log.open()
        await log.open()


def tuple_of(source: Address, destination: Address, ports: tuple[int, int]) -> bytes:
    ends = attribute(1, int(source).to_bytes(4, "big")) + attribute(2, int(destination).to_bytes(4, "big"))
    protocol = attribute(1, b"\6") + b"".join(
        attribute(kind, port.to_bytes(2, "big")) for kind, port in zip((2, 3), ports, strict=True)
    )
    return attribute(0x8000 | 1, ends) + attribute(0x8000 | 2, protocol)


def report(number: int, *more: bytes) -> bytes:
    """As the kernel writes them."""
    parts = (attribute(10, b"corral audit x\0"), attribute(12, number.to_bytes(4, "big")), *more)
    return frame(4 << 8, 0, 0, nfgen(b"".join(parts), family=2, resource=GROUP))


async def test_the_tracking_that_the_kernel_sends_along_is_taken() -> None:
    """Kernels with NETFILTER_NETLINK_GLUE_CT do; there is no look-up then, for there is no socket here."""
    tracking = b"".join(
        (
            attribute(0x8000 | 1, tuple_of(CLIENT, Address.parse(PUBLISHED), (40000, 80))),
            attribute(0x8000 | 2, tuple_of(SERVER, CLIENT, (PORT, 40000))),
            attribute(3, (0x2 | 0x8).to_bytes(4, "big")),
        )
    )
    (packet,) = FlowLog().read(report(0, attribute(0x8000 | 18, tracking)))
    assert packet.prefix == "corral audit x"
    flow = await FlowLog().flow_of(packet)
    assert isinstance(flow, TrackedFlow)
    assert (flow.client, flow.server, flow.protocol, flow.port, flow.answered) == (CLIENT, SERVER, TCP, PORT, True)


def test_gaps_in_the_numbers_are_lost_reports() -> None:
    log = FlowLog()
    for number in (7, 8, 12, 0xFFFFFFFF, 1):
        list(log.read(report(number)))
    assert log.lost == 3 + (0xFFFFFFFF - 13) + 1
    assert re.fullmatch("corral audit x", next(log.read(report(2))).prefix)


def checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def echo(kind: int) -> bytes:
    body = struct.pack("!HH", 77, 1) + b"to nobody.."[:8]
    return struct.pack("!BBH", kind, 0, checksum(struct.pack("!BBH", kind, 0, 0) + body)) + body


def unreachable(port: int) -> bytes:
    """Port unreachable, about a datagram of the server to the client's port."""
    ends = int(SERVER).to_bytes(4, "big") + int(CLIENT).to_bytes(4, "big")
    head = struct.pack("!BBHHHBBH", 0x45, 0, 28, 1, 0, 64, UDP, 0) + ends
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    body = struct.pack("!I", 0) + head + struct.pack("!HHHH", PORT, port, 8, 0)
    return struct.pack("!BBH", 3, 3, checksum(struct.pack("!BBH", 3, 3, 0) + body)) + body


async def test_without_rules_that_can_report_there_is_no_log(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group may be there and the rules' own modules not: then the table must do without."""

    async def refused() -> str:
        return "ENOENT"

    async with FlowLog() as one, FlowLog() as other:
        await one.open()
        monkeypatch.setattr("corral.dataplane.flows.flowlog.why_no_log", refused)
        for log in (other, one):  # whoever has the group
            with pytest.raises(UnsupportedError, match=r"can not report packets \(ENOENT\): load the modules nft_log"):
                await log.open()
