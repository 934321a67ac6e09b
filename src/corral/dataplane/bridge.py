"""Whether bridged frames meet the IP hooks, where the table judges them: br_netfilter's switch for one bridge.

The kernel passes a frame to the hooks when the bridge's own switch or the namespace's is on (br_netfilter_hooks.c,
`br_nf_pre_routing`). The bridge's own is set by rtnetlink, with CAP_NET_ADMIN alone.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_NEWLINK
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from corral.dataplane.messages import HEADER
from corral.dataplane.netlink import NETLINK_ROUTE, NetlinkSocket
from corral.errors import DataplaneError, UnsupportedError

_SWITCHES = Path("/proc/sys/net/bridge")  # there only while br_netfilter is loaded

_EVERYWHERE = ("call-iptables", "call-ip6tables", "filter-vlan-tagged")

# Unknown; empty; too long.
_NO_SUCH_NAME = frozenset({errno.ENODEV, errno.EINVAL, errno.ERANGE})

_IPV4, _IPV6 = "IFLA_BR_NF_CALL_IPTABLES", "IFLA_BR_NF_CALL_IP6TABLES"
_NO_PRIVILEGE = "the bridge's switch can not be set: this process needs the capability CAP_NET_ADMIN"


@dataclass(frozen=True, slots=True)
class BridgeFiltering:
    """`ipv4` and `ipv6`: the bridge's own switches, None when the kernel has no br_netfilter (or has not loaded it).

    `everywhere_*`: the switches of the whole network namespace (net.bridge.bridge-nf-call-*). `tagged`: whether frames
    with a VLAN tag are looked into; a receiver without VLANs takes those of VLAN 0 like any other.
    """

    ipv4: bool | None
    ipv6: bool | None
    everywhere_ipv4: bool = False
    everywhere_ipv6: bool = False
    tagged: bool = False

    @property
    def supported(self) -> bool:
        """Whether the kernel can filter bridged frames at all."""
        return self.ipv4 is not None

    @property
    def filters_ipv4(self) -> bool:
        """Whether the table sees IPv4 between ports of the bridge."""
        return self.supported and (bool(self.ipv4) or self.everywhere_ipv4)

    @property
    def filters_ipv6(self) -> bool:
        """Whether the table sees IPv6 between ports of the bridge."""
        return self.supported and (bool(self.ipv6) or self.everywhere_ipv6)


async def bridge_filtering(name: str) -> BridgeFiltering | None:
    """The switches of a bridge; None when there is no bridge of this name. Raises DataplaneError."""
    try:
        with NetlinkSocket(NETLINK_ROUTE) as route:
            answers = await route.request(RTM_GETLINK, _link([("IFLA_IFNAME", name)]))
    except OSError as error:
        if error.errno in _NO_SUCH_NAME:
            return None
        raise DataplaneError(f"can not read interface {name}: {error.strerror}", errno=error.errno) from error
    switches = _bridge_attributes(answers[0].payload)
    return None if switches is None else _filtering(switches)


async def enable_bridge_filtering(name: str, ipv6: bool) -> None:
    """Turn the bridge's own switches on; the one for IPv6 only when asked.

    Raises UnsupportedError without the privilege, and DataplaneError when there is no such bridge.
    """
    switches = [[_IPV4, 1], *([[_IPV6, 1]] if ipv6 else [])]
    information = [["IFLA_INFO_KIND", "bridge"], ["IFLA_INFO_DATA", {"attrs": switches}]]
    request = _link([("IFLA_IFNAME", name), ("IFLA_LINKINFO", {"attrs": information})])
    try:
        with NetlinkSocket(NETLINK_ROUTE) as route:
            await route.request(RTM_NEWLINK, request)
    except OSError as error:
        if error.errno == errno.EPERM:
            raise UnsupportedError(_NO_PRIVILEGE, errno=error.errno) from error
        raise DataplaneError(
            f"can not set the switches of bridge {name}: {error.strerror}", errno=error.errno
        ) from error


def _link(attributes: list[tuple[str, Any]]) -> bytes:
    message = ifinfmsg()
    message["attrs"] = [list(attribute) for attribute in attributes]
    message.encode()
    return bytes(message.data[HEADER.size :])


def _bridge_attributes(payload: bytes) -> Any:
    message = ifinfmsg(HEADER.pack(HEADER.size + len(payload), RTM_NEWLINK, 0, 0, 0) + payload)
    message.decode()
    information = message.get_attr("IFLA_LINKINFO")
    if information is None or information.get_attr("IFLA_INFO_KIND") != "bridge":
        return None
    return information.get_attr("IFLA_INFO_DATA")


def _filtering(switches: Any) -> BridgeFiltering:
    try:
        everywhere = [_everywhere(f"bridge-nf-{name}") for name in _EVERYWHERE]
    except FileNotFoundError:
        return BridgeFiltering(None, None)
    return BridgeFiltering(bool(switches.get_attr(_IPV4)), bool(switches.get_attr(_IPV6)), *everywhere)


def _everywhere(switch: str) -> bool:
    return (_SWITCHES / switch).read_text().strip() == "1"
