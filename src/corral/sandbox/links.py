"""Interfaces, addresses and routes of one namespace, over a netlink socket that lives in it.

pyroute2's synchronous sockets run an event loop of their own, so all of this belongs in a plain thread.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from corral.errors import UnsupportedError
from corral.sandbox.namespace import Namespace

# The peers are known in advance, so no address is ever learnt or asked for across the overlay.
PERMANENT = 0x80
ETHERTYPE_ARP = 0x0806


class Links:
    """What is set up inside one namespace. Methods raise UnsupportedError where the kernel lacks a kind of link."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        with namespace:
            self._netlink: Any = IPRoute()
        # Opened at need and kept: the kernel takes 10 ms to close one.
        self._frames: socket.socket | None = None

    def close(self) -> None:
        """Close the sockets; what was set up stays."""
        self._netlink.close()
        if self._frames is not None:
            self._frames.close()

    def index(self, name: str) -> int:
        """The number of an interface."""
        with self.namespace:
            return socket.if_nametoindex(name)

    def up(self, name: str) -> None:
        """Bring an interface up."""
        self._netlink.link("set", index=self.index(name), state="up")

    def add_bridge(self, name: str) -> None:
        """A bridge that forwards at once: no spanning tree, no multicast snooping."""
        self._add_link(ifname=name, kind="bridge", br_mcast_snooping=0, state="up")

    def add_pair(self, name: str, peer: str, other: Namespace, *, bridge: str, hardware: str, mtu: int = 1500) -> None:
        """A virtual cable: `name` here, on `bridge` and up, and `peer` in the `other` namespace, still down."""
        far = {"ifname": peer, "net_ns_fd": other.descriptor, "address": hardware, "mtu": mtu}
        self._add_link(ifname=name, kind="veth", peer=far, master=self.index(bridge), mtu=mtu, state="up")

    def add_vxlan(self, name: str, *, number: int, local: str, hardware: str) -> None:
        """A VXLAN device without learning; `add_vxlan_peer` says who is where."""
        self._add_link(
            ifname=name,
            kind="vxlan",
            vxlan_id=number,
            vxlan_local=local,
            vxlan_port=4789,
            vxlan_learning=0,
            address=hardware,
            mtu=1500,
            state="up",
        )

    def add_vxlan_peer(self, name: str, *, address: str, hardware: str, underlay: str) -> None:
        """Reach the neighbour `address` by `name`: its hardware address lies behind `underlay`."""
        index = self.index(name)
        self._netlink.fdb("add", ifindex=index, lladdr=hardware, dst=underlay)
        self._netlink.neigh("replace", ifindex=index, dst=address, lladdr=hardware, state=PERMANENT)

    def remove(self, name: str) -> None:
        """Remove an interface, and with it the other end of a pair; nothing happens when it is gone."""
        try:
            self._netlink.link("del", index=self.index(name))
        except OSError:
            return

    def add_address(self, name: str, address: str, prefix_length: int) -> None:
        """Give an interface an address."""
        self._netlink.addr("add", index=self.index(name), address=address, prefixlen=prefix_length)

    def add_default_route(self, gateway: str) -> None:
        """Send everything else to `gateway`."""
        self._netlink.route("add", dst="default", gateway=gateway)

    def add_route(self, destination: str, *, gateway: str, interface: str, source: str) -> None:
        """Route `destination` by `gateway`, taken to be on `interface`'s link, and speak as `source` oneself."""
        self._netlink.route(
            "replace", dst=destination, gateway=gateway, oif=self.index(interface), flags="onlink", prefsrc=source
        )

    def remove_route(self, destination: str) -> None:
        """Forget a route."""
        self._netlink.route("del", dst=destination)

    def claim(self, name: str, address: str, hardware: str) -> None:
        """Tell everybody on the interface's link that `address` is at `hardware`: a gratuitous ARP request."""
        sender = bytes.fromhex(hardware.replace(":", ""))
        number = socket.inet_aton(address)
        ethernet = struct.pack("!6s6sH", b"\xff" * 6, sender, ETHERTYPE_ARP)
        request = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, sender, number, bytes(6), number)
        if self._frames is None:
            self._frames = self.namespace.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._frames.sendto(ethernet + request, (name, ETHERTYPE_ARP))

    def _add_link(self, **attributes: Any) -> None:
        try:
            self._netlink.link("add", **attributes)
        except NetlinkError as error:
            kind = attributes["kind"]
            raise UnsupportedError(f"no {kind} link can be made ({error}); the kernel module may be missing") from error
