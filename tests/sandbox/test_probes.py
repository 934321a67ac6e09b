"""Probes tell what passes from what is dropped, with an nft rule as witness."""

from __future__ import annotations

import struct

import pytest

from corral.sandbox.probes import Outcome, echo_request
from corral.sandbox.world import Sandbox
from corral.types import Protocol
from tests.sandbox.conftest import Drop, load_rules

KINDS = [(Protocol.TCP, 80), (Protocol.UDP, 53), (Protocol.ICMP, None)]
NAMES = ("one-a-1", "one-a-2", "one-b-1", "two-a-1")


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_passes_where_nothing_is_dropped(sandbox: Sandbox, kind: tuple[Protocol, int | None]) -> None:
    flows = [sandbox.flow(one, other, *kind) for one in NAMES for other in NAMES if one != other]
    assert set((await sandbox.probe_all(flows)).values()) == {Outcome.ANSWERED}


@pytest.mark.parametrize("same_host", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_dropped_is_silent(
    sandbox: Sandbox, drop: Drop, kind: tuple[Protocol, int | None], same_host: bool
) -> None:
    client, server = ("one-a-1", "one-b-1") if same_host else ("one-a-1", "one-a-2")
    hosts = {name: sandbox.environment.container(name).host for name in (client, server)}
    assert (hosts[client] == hosts[server]) == same_host
    number = sandbox.environment.records.hosts[hosts[server]].number
    drop(sandbox, number, f"ip saddr {sandbox.address(client)} ip protocol {kind[0]}")
    others = [other for other in KINDS if other != kind]
    outcomes = await sandbox.probe_all([sandbox.flow(client, server, *each) for each in (kind, *others)])
    assert list(outcomes.values()) == [Outcome.SILENT, Outcome.ANSWERED, Outcome.ANSWERED]


async def test_bridged_packets_pass_where_netfilter_does_not_see_them(sandbox: Sandbox, drop: Drop) -> None:
    client, server = "one-a-1", "one-b-1"
    drop(sandbox, 0, f"ip saddr {sandbox.address(client)}")
    sandbox.topology.hosts[0].namespace.write_sysctl("net/bridge/bridge-nf-call-iptables", 0)
    assert await sandbox.probe(sandbox.flow(client, server, Protocol.TCP, 80)) is Outcome.ANSWERED


async def test_a_closed_port_is_refused_and_that_is_passed(sandbox: Sandbox) -> None:
    for protocol in (Protocol.TCP, Protocol.UDP):
        outcome = await sandbox.probe(sandbox.flow("one-a-1", "one-a-2", protocol, 9))
        assert outcome is Outcome.REFUSED
        assert outcome.passed


async def test_another_source_address_is_noticed(sandbox: Sandbox) -> None:
    namespace = sandbox.topology.hosts[0].namespace
    namespace.write_sysctl("net/bridge/bridge-nf-call-iptables", 1)
    match = f"ip saddr {sandbox.address('one-a-1')} ip daddr {sandbox.address('one-b-1')}"
    load_rules(namespace, f"type nat hook postrouting priority 100;\n {match} snat to 10.42.0.1")
    outcome = await sandbox.probe(sandbox.flow("one-a-1", "one-b-1", Protocol.TCP, 80))
    assert outcome is Outcome.MASKED


async def test_a_stopped_container_is_silent(sandbox: Sandbox) -> None:
    flow = sandbox.flow("one-a-1", "one-a-2", Protocol.ICMP)
    await sandbox.stop_container("one-a-2")
    assert await sandbox.probe(flow) is Outcome.SILENT
    await sandbox.restart_container("one-a-2")
    assert await sandbox.probe(flow) is Outcome.ANSWERED


def test_an_echo_request_has_a_right_checksum() -> None:
    packet = echo_request(0xABCD, 7, b"sixteen octets..")
    assert packet[:1] == b"\x08"
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    assert struct.unpack("!HH", packet[4:8]) == (0xABCD, 7)
