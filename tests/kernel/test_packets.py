"""Real packets between two containers of a bridge: what the design says about the kernel, measured."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from corral.dataplane.bridge import enable_bridge_filtering
from corral.dataplane.kernel import KernelDataplane
from corral.nft.text import render
from corral.nft.transaction import AddElements, DeleteElements, Transaction
from corral.nft.values import (
    Chain,
    Count,
    Equals,
    Field,
    Hook,
    InRange,
    InSet,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    Verb,
    Verdict,
)
from corral.types import Address
from tests.dataplane.rulesets import ACCEPT, DROP, address, creation, subnet
from tests.kernel.namespaces import BridgedPair, bridged_pair

PORT = 7000
PATIENCE = 0.3  # seconds to wait for a packet that must not come
ENOUGH = 10  # for one that must; a busy machine takes its time
CLIENTS = NftSet("clients")


def policy(protocol: str, *, port: int = PORT) -> Ruleset:
    """The flows from the set of clients to one port are allowed, all others between managed addresses denied."""
    ports = (Equals(Field.PROTOCOL, protocol), InRange(Field.SERVER_PORT, port, port))
    allowed = NftRule((InSet(Field.CLIENT, "clients"), *ports, Count("allowed"), ACCEPT))
    jump = NftRule((InSet(Field.CLIENT, "subnets"), InSet(Field.SERVER, "subnets"), Verdict(Verb.JUMP, "check")))
    return Ruleset(
        counters=frozenset({"allowed", "denied"}),
        sets={"clients": CLIENTS, "subnets": NftSet("subnets", SetType.SUBNETS)},
        elements={
            "clients": frozenset({address(BridgedPair.client_address)}),
            "subnets": frozenset({subnet("10.42.0.0/16")}),
        },
        chains={
            "check": Chain("check", (allowed, NftRule((Count("denied"), DROP)))),
            "forward": Chain("forward", (jump,), Hook("forward", -10)),
        },
    )


@pytest.fixture
def pair() -> Iterator[BridgedPair]:
    with bridged_pair() as made:
        yield made


@pytest.fixture
async def kernel(pair: BridgedPair) -> AsyncIterator[KernelDataplane]:
    """The host's, whose bridge's own switch is on and whose global one is off."""
    with pair.host.entered():
        await enable_bridge_filtering("br0", ipv6=False)
        async with KernelDataplane() as opened:
            yield opened


@contextlib.contextmanager
def sockets(pair: BridgedPair, protocol: str) -> Iterator[tuple[socket.socket, socket.socket]]:
    """One in the client and one, bound to PORT, in the server."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with pair.client.entered():
        client = socket.socket(socket.AF_INET, kind)
    with pair.server.entered():
        server = socket.socket(socket.AF_INET, kind)
    with client, server:
        client.settimeout(ENOUGH)
        server.settimeout(ENOUGH)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((pair.server_address, PORT))
        yield client, server


def answer_to(pair: BridgedPair, protocol: str, *, within: float) -> str:
    """What the client gets from the server's PORT, behind which there is only an ICMP error."""
    with pair.client.entered():
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    with client:
        client.settimeout(within)
        try:
            client.connect((pair.server_address, PORT))
            client.send(b"hello")
            client.recv(100)
        except ConnectionRefusedError:
            return "icmp error"
        except TimeoutError:
            return "nothing"
    return "data"


def reject_everything(pair: BridgedPair) -> None:
    """Let the server answer PORT with the ICMP error port unreachable, TCP too."""
    rules = "".join(f"{protocol} dport {PORT} reject with icmp port-unreachable\n" for protocol in ("tcp", "udp"))
    pair.server.run("nft -f -", text=f"table inet s {{ chain in {{ type filter hook input priority 0;\n{rules} }}\n }}")


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_an_icmp_error_shares_the_verdict_of_its_flow(
    pair: BridgedPair, kernel: KernelDataplane, protocol: str
) -> None:
    reject_everything(pair)
    await kernel.commit(creation(policy(protocol)))
    assert answer_to(pair, protocol, within=ENOUGH) == "icmp error"
    assert (await kernel.counters())["denied"] == (0, 0)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
async def test_by_the_packets_own_protocol_it_would_be_lost(
    pair: BridgedPair, kernel: KernelDataplane, protocol: str
) -> None:
    reject_everything(pair)
    by_packet = render(policy(protocol)).replace(f"{Field.PROTOCOL} {protocol}", f"meta l4proto {protocol}")
    assert f"meta l4proto {protocol} ct reply proto-src {PORT}" in by_packet
    pair.host.run("nft -f -", text=by_packet)
    assert answer_to(pair, protocol, within=PATIENCE) == "nothing"
    assert (await kernel.counters())["denied"][0] > 0


async def test_an_icmp_error_of_a_denied_flow_is_denied_too(pair: BridgedPair, kernel: KernelDataplane) -> None:
    reject_everything(pair)
    await kernel.commit(creation(policy("udp", port=PORT + 1)))
    assert answer_to(pair, "udp", within=PATIENCE) == "nothing"


async def test_one_element_cuts_and_mends_an_open_connection(pair: BridgedPair, kernel: KernelDataplane) -> None:
    await kernel.commit(creation(policy("tcp")))
    member = (Address(address(BridgedPair.client_address)),)
    with sockets(pair, "tcp") as (client, listener):
        listener.listen()
        client.connect((pair.server_address, PORT))
        server, _ = listener.accept()
        with server:
            server.settimeout(ENOUGH)
            client.sendall(b"before")
            assert server.recv(100) == b"before"
            await kernel.commit(Transaction((DeleteElements("clients", CLIENTS, member),)))
            denied = (await kernel.counters())["denied"][0]
            client.sendall(b"cut")
            server.settimeout(PATIENCE)
            with pytest.raises(TimeoutError):
                server.recv(100)
            assert (await kernel.counters())["denied"][0] > denied
            await kernel.commit(Transaction((AddElements("clients", CLIENTS, member),)))
            server.settimeout(ENOUGH)
            assert server.recv(100) == b"cut"  # by retransmission


async def test_the_bridges_own_switch_makes_the_difference(pair: BridgedPair) -> None:
    with pair.host.entered():
        async with KernelDataplane() as kernel:
            await kernel.commit(creation(policy("udp", port=PORT + 1)))
            with sockets(pair, "udp") as (client, server):
                client.sendto(b"unseen", (pair.server_address, PORT))
                assert server.recv(100) == b"unseen"
                assert (await kernel.counters())["denied"] == (0, 0)
                await enable_bridge_filtering("br0", ipv6=False)
                client.sendto(b"judged", (pair.server_address, PORT))
                server.settimeout(PATIENCE)
                with pytest.raises(TimeoutError):
                    server.recv(100)
                assert (await kernel.counters())["denied"][0] == 1


async def test_only_the_client_may_open_a_directed_flow(pair: BridgedPair, kernel: KernelDataplane) -> None:
    await kernel.commit(creation(policy("udp")))
    with sockets(pair, "udp") as (client, server):
        client.sendto(b"question", (pair.server_address, PORT))
        question, origin = server.recvfrom(100)
        server.sendto(b"answer", origin)
        assert (question, client.recv(100)) == (b"question", b"answer")
        with pair.client.entered():
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with other:
            other.settimeout(PATIENCE)
            other.bind((pair.client_address, PORT))
            server.sendto(b"opening", (pair.client_address, PORT))
            with pytest.raises(TimeoutError):
                other.recv(100)
