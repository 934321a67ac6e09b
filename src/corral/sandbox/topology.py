"""Hosts, containers and the overlay that joins them, made of namespaces, bridges and virtual cables.

    container ── docker0 ── router ══ overlay ══ router ── docker0 ── container
                    │          └──── underlay ────┘           │
                  host ────────────────  │  ────────────────host
                                   Rancher server

Everything here is blocking and belongs in one plain thread.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from corral.errors import UnsupportedError
from corral.sandbox.links import Links
from corral.sandbox.namespace import Namespace
from corral.types import Address

BRIDGE = "docker0"
GATEWAY = "10.42.0.1"
MANAGED_PREFIX = 16
METADATA_ADDRESS = "169.254.169.250"
SERVER_ADDRESS = "192.0.2.1"
UNDERLAY_PREFIX = 24
UNDERLAY_MTU = 1600  # room for VXLAN's headers, so that the overlay carries full frames
OVERLAY_NUMBER = 42
BRIDGE_SYSCTLS = Path("/proc/sys/net/bridge")


def hardware_address(address: str) -> str:
    """A MAC address made from an IPv4 address: whoever takes over an address is not hidden by old ARP entries."""
    return "02:00:" + ":".join(f"{byte:02x}" for byte in Address.parse(address).to_bytes(4, "big"))


def host_address(number: int) -> str:
    """The underlay's address of the host `number` (from 0)."""
    return f"192.0.2.{10 + number}"


def require_bridge_netfilter() -> None:
    """Make sure that bridged packets meet netfilter, by loading the module if that is allowed.

    Raises UnsupportedError with the remedy where it is not.
    """
    modprobe = shutil.which("modprobe", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if modprobe and not BRIDGE_SYSCTLS.is_dir():
        subprocess.run([modprobe, "-q", "br_netfilter"], check=False)  # noqa: S603 - the system's own
    if not BRIDGE_SYSCTLS.is_dir():
        raise UnsupportedError(
            "the kernel has no br_netfilter, so nothing between containers of one host can be enforced: "
            "run `modprobe br_netfilter` as root, once"
        )


@dataclass(frozen=True, slots=True)
class Router:
    """The overlay's router container of one host. `tunnel` leads to the other hosts' routers."""

    links: Links
    address: str
    underlay: str
    overlay: str
    tunnel: str

    @property
    def namespace(self) -> Namespace:
        return self.links.namespace


@dataclass(frozen=True, slots=True)
class HostNetwork:
    """One host: its namespace, its bridge in there, and its router container."""

    number: int
    links: Links
    router: Router
    containers: dict[str, Namespace]

    @property
    def namespace(self) -> Namespace:
        return self.links.namespace


class Topology:
    """The network of the whole sandbox. Containers are told apart by their addresses."""

    def __init__(self, routers: Sequence[str]) -> None:
        """Make one host for each address of a router. Raises UnsupportedError; nothing is left behind then."""
        self._open = ExitStack()
        self.hosts: list[HostNetwork] = []
        try:
            self._underlay = self._links()
            self._underlay.add_bridge("underlay")
            self._underlay.up("lo")
            self._underlay.add_address("underlay", SERVER_ADDRESS, UNDERLAY_PREFIX)
            for number, address in enumerate(routers):
                self.hosts.append(self._add_host(number, address))
            self._join_routers()
        except BaseException:
            self.close()
            raise

    @property
    def underlay(self) -> Namespace:
        """Where the Rancher server lives."""
        return self._underlay.namespace

    @property
    def containers(self) -> Mapping[str, Namespace]:
        """The namespaces of all containers, routers included, by address."""
        routers = {host.router.address: host.router.namespace for host in self.hosts}
        return routers | {address: space for host in self.hosts for address, space in host.containers.items()}

    def add_container(self, number: int, address: str) -> Namespace:
        """Start the network of a container on host `number`; it can be reached when this returns."""
        host = self.hosts[number]
        namespace = Namespace.create()
        try:
            _plug(host.links, namespace, address)
            _set_up_container(namespace, address)
        except BaseException:
            namespace.close()
            raise
        host.containers[address] = namespace
        self._announce(number, address)
        return namespace

    def remove_container(self, number: int, address: str) -> None:
        """Pull the container's cable; its namespace ends with its last socket."""
        host = self.hosts[number]
        host.links.remove(_port(address))
        host.containers.pop(address).close()
        for other in self._others(number):
            other.router.links.remove_route(f"{address}/32")

    def close(self) -> None:
        """Let go of every namespace."""
        for host in self.hosts:
            for namespace in host.containers.values():
                namespace.close()
        self._open.close()

    def _links(self) -> Links:
        namespace = Namespace.create()
        self._open.callback(namespace.close)
        links = Links(namespace)
        self._open.callback(links.close)
        return links

    def _add_host(self, number: int, router: str) -> HostNetwork:
        links = self._links()
        links.up("lo")
        links.add_address("lo", METADATA_ADDRESS, 32)
        self._uplink(links, f"host{number}", host_address(number))
        for name, value in {
            "net/ipv4/ip_forward": 1,
            "net/ipv4/conf/all/rp_filter": 0,
            # A new namespace starts with these on: a host where only the bridge's own switch helps is the harder case.
            "net/bridge/bridge-nf-call-iptables": 0,
            "net/bridge/bridge-nf-call-ip6tables": 0,
        }.items():
            links.namespace.write_sysctl(name, value)
        links.add_bridge(BRIDGE)
        links.add_address(BRIDGE, GATEWAY, MANAGED_PREFIX)
        return HostNetwork(number, links, self._add_router(number, links, router), {})

    def _uplink(self, links: Links, port: str, address: str) -> None:
        self._underlay.add_pair(
            port, "uplink", links.namespace, bridge="underlay", hardware=hardware_address(address), mtu=UNDERLAY_MTU
        )
        links.add_address("uplink", address, UNDERLAY_PREFIX)
        links.up("uplink")

    def _add_router(self, number: int, host: Links, address: str) -> Router:
        links = self._links()
        underlay, overlay = f"192.0.2.{100 + number}", f"169.254.42.{1 + number}"
        _plug(host, links.namespace, address)
        _set_up_container(links.namespace, address)
        self._uplink(links, f"router{number}", underlay)
        for name, value in {
            "net/ipv4/ip_forward": 1,
            "net/ipv4/conf/all/rp_filter": 0,
            "net/ipv4/conf/eth0/rp_filter": 0,
            "net/ipv4/conf/eth0/proxy_arp": 1,
            # The kernel delays proxied answers by up to 0.8 s, for the real owner to come first; there is none here.
            "net/ipv4/neigh/eth0/proxy_delay": 0,
        }.items():
            links.namespace.write_sysctl(name, value)
        return Router(links, address, underlay, overlay, _add_tunnel(links, underlay, overlay))

    def _join_routers(self) -> None:
        for host in self.hosts:
            for other in self._others(host.number):
                if host.router.tunnel == "overlay":
                    host.router.links.add_vxlan_peer(
                        "overlay",
                        address=other.router.overlay,
                        hardware=hardware_address(other.router.overlay),
                        underlay=other.router.underlay,
                    )
            self._announce(host.number, host.router.address)

    def _announce(self, number: int, address: str) -> None:
        """Tell the other hosts' routers where an address is; from then on they answer ARP for it."""
        there = self.hosts[number].router
        for other in self._others(number):
            here = other.router
            gateway = there.overlay if here.tunnel == "overlay" else there.underlay
            here.links.add_route(f"{address}/32", gateway=gateway, interface=here.tunnel, source=here.address)
            # Neighbours there may know an earlier owner of the address, on their own bridge.
            here.links.claim("eth0", address, hardware_address(here.address))

    def _others(self, number: int) -> list[HostNetwork]:
        return [host for host in self.hosts if host.number != number]


def _port(address: str) -> str:
    return f"veth{Address.parse(address):08x}"


def _plug(host: Links, container: Namespace, address: str) -> None:
    host.add_pair(_port(address), "eth0", container, bridge=BRIDGE, hardware=hardware_address(address))


def _set_up_container(namespace: Namespace, address: str) -> None:
    for name, value in {
        # Greets the bridge with its address, so that neighbours who knew an earlier owner forget it.
        "net/ipv4/conf/eth0/arp_notify": 1,
        # Who asks for an address that is about to appear finds it within 20 ms, not at the next full second.
        "net/ipv4/neigh/eth0/retrans_time_ms": 20,
        "net/ipv4/neigh/eth0/mcast_solicit": 50,
    }.items():
        namespace.write_sysctl(name, value)
    links = Links(namespace)
    try:
        links.up("lo")
        links.add_address("eth0", address, MANAGED_PREFIX)
        links.up("eth0")
        links.add_default_route(GATEWAY)
    finally:
        links.close()


def _add_tunnel(links: Links, underlay: str, overlay: str) -> str:
    """The interface that leads to the other routers: VXLAN, or the underlay itself where the kernel has no VXLAN."""
    try:
        links.add_vxlan("overlay", number=OVERLAY_NUMBER, local=underlay, hardware=hardware_address(overlay))
    except UnsupportedError:
        return "uplink"
    links.add_address("overlay", overlay, 32)
    return "overlay"
