from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from corral.errors import UnsupportedError
from corral.sandbox import topology as module
from corral.sandbox.namespace import Namespace
from corral.sandbox.topology import METADATA_ADDRESS, Topology, hardware_address, require_bridge_netfilter
from tests.sandbox.conftest import open_descriptors


def connect(client: Namespace, server: Namespace, address: str, source: str) -> str:
    """Open a connection; the address that the server sees."""
    with server.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", 8000))  # noqa: S104
        listener.listen()
        listener.settimeout(5)
        with client.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
            opened.settimeout(5)
            opened.bind((source, 0))
            opened.connect((address, 8000))
            connection, peer = listener.accept()
            connection.close()
    return str(peer[0])


def test_packets_cross_hosts_with_their_source_unchanged(topology: Topology) -> None:
    places = {"10.42.1.2": 0, "10.42.1.3": 0, "10.42.2.2": 1}
    spaces = {address: topology.add_container(host, address) for address, host in places.items()}
    spaces |= {host.router.address: host.router.namespace for host in topology.hosts}
    for client in spaces:
        for server in spaces:
            if client != server:
                assert connect(spaces[client], spaces[server], server, client) == client


def test_routes_follow_a_container_to_another_host(topology: Topology) -> None:
    client = topology.add_container(0, "10.42.1.2")
    moving = topology.add_container(0, "10.42.1.3")
    assert connect(client, moving, "10.42.1.3", "10.42.1.2") == "10.42.1.2"
    topology.remove_container(0, "10.42.1.3")
    moving = topology.add_container(1, "10.42.1.3")
    assert connect(client, moving, "10.42.1.3", "10.42.1.2") == "10.42.1.2"


def test_without_vxlan_the_routers_use_the_underlay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OVERLAY_NUMBER", 1 << 24)  # no such VXLAN number: the kernel refuses the link
    topology = Topology(["10.42.1.1", "10.42.2.1"])
    assert [host.router.tunnel for host in topology.hosts] == ["uplink", "uplink"]
    one, other = topology.add_container(0, "10.42.1.2"), topology.add_container(1, "10.42.2.2")
    assert connect(one, other, "10.42.2.2", "10.42.1.2") == "10.42.1.2"
    topology.close()


def test_containers_and_hosts_reach_the_metadata_address_and_hosts_the_server(topology: Topology) -> None:
    container, host = topology.add_container(0, "10.42.1.2"), topology.hosts[0].namespace
    assert connect(container, host, METADATA_ADDRESS, "10.42.1.2") == "10.42.1.2"
    assert connect(host, host, METADATA_ADDRESS, METADATA_ADDRESS) == METADATA_ADDRESS
    assert connect(host, topology.underlay, "192.0.2.1", "192.0.2.10") == "192.0.2.10"


def test_is_quick_and_leaves_nothing() -> None:
    links, descriptors = socket.if_nameindex(), open_descriptors()
    begin = time.monotonic()
    topology = Topology(["10.42.1.1", "10.42.2.1"])
    for number in range(12):
        topology.add_container(number % 2, f"10.42.{number % 2 + 1}.{number + 2}")
    assert time.monotonic() - begin < 2
    topology.close()
    assert socket.if_nameindex() == links
    assert open_descriptors() == descriptors


def test_a_failed_start_leaves_nothing() -> None:
    descriptors = open_descriptors()
    with pytest.raises(ValueError, match="no address"):
        Topology(["10.42.1.1", "no address"])
    assert open_descriptors() == descriptors


def test_a_hardware_address_belongs_to_one_address() -> None:
    assert hardware_address("10.42.1.2") == "02:00:0a:2a:01:02"


def test_bridge_netfilter_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    require_bridge_netfilter()
    monkeypatch.setattr(module, "BRIDGE_SYSCTLS", Path("/proc/sys/net/no-such-folder"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UnsupportedError, match="modprobe br_netfilter"):
        require_bridge_netfilter()
