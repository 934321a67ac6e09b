"""What the kernel's files say of this network namespace; None where there is no such file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_SETTINGS = Path("/proc/sys/net")


@dataclass(frozen=True, slots=True)
class Tracking:
    """Connection tracking: entries in use, and how many there may be."""

    entries: int
    limit: int


@dataclass(frozen=True, slots=True)
class Redirects:
    """`bridge` and `everywhere`: the switches of the managed bridge and of `all`. It sends when either is on."""

    bridge: bool
    everywhere: bool

    @property
    def sent(self) -> bool:
        return self.bridge or self.everywhere


def forwarding() -> bool | None:
    """Whether this network namespace forwards IPv4 at all."""
    value = _number("ipv4/ip_forward")
    return None if value is None else value != 0


def tracking() -> Tracking | None:
    """How full connection tracking is."""
    entries, limit = _number("netfilter/nf_conntrack_count"), _number("netfilter/nf_conntrack_max")
    return None if entries is None or limit is None else Tracking(entries, limit)


def redirects(bridge: str) -> Redirects | None:
    """Whether the host sends ICMP redirects to the containers of a bridge."""
    own, everywhere = (_number(f"ipv4/conf/{name}/send_redirects") for name in (bridge, "all"))
    return None if own is None or everywhere is None else Redirects(own != 0, everywhere != 0)


def _number(setting: str) -> int | None:
    try:
        return int((_SETTINGS / setting).read_text())
    except (OSError, ValueError):
        return None
