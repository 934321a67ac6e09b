"""Published ports, as the metadata writes them: a port of a container's host that leads to one of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from corral.types import Protocol

# hostIP:publicPort:privatePort[/protocol]. An IPv6 address has colons of its own; old versions have no address.
_PUBLISHED = re.compile(r"(?:(.*):)?(\d{1,5}):(\d{1,5})(?:/(tcp|udp))?", re.IGNORECASE)


class PublishedPort(NamedTuple):
    """`public` on the host leads to `private` of the container; `address` is the host's, empty for any."""

    public: int
    private: int
    protocol: Protocol
    address: str = ""

    def __str__(self) -> str:
        return f"{self.private}/{self.protocol}"


def published_ports(texts: Iterable[str]) -> tuple[PublishedPort, ...]:
    """Those that are understood, each once, sorted. What is only exposed has no public port and is left out."""
    return tuple(sorted({port for text in texts if (port := _published(text)) is not None}))


def _published(text: str) -> PublishedPort | None:
    match = _PUBLISHED.fullmatch(text.strip())
    if match is None:
        return None
    address, public, private = (match[1] or "").strip("[]"), int(match[2]), int(match[3])
    if not (1 <= public <= 65535 and 1 <= private <= 65535):
        return None
    protocol = Protocol((match[4] or "tcp").lower())
    return PublishedPort(public, private, protocol, "" if address in {"0.0.0.0", "::"} else address)  # noqa: S104
