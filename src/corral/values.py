"""Values that settings and options are written as: durations, and addresses to listen on.

Apart from the settings, whose library takes longer to import than an agent takes to answer.
"""

from __future__ import annotations

import re
from datetime import timedelta

from corral.errors import UsageError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ANY_HOST = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to be told apart, not to listen on


class Listen(str):
    """A `host:port` to listen on."""

    __slots__ = ()

    @property
    def host(self) -> str:
        return self.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.rpartition(":")[2])

    def meets(self, other: Listen) -> bool:
        """Whether nobody can listen on both: they have one port, and one host, or either is every host.

        Port 0 is another one each time.
        """
        one_host = self.host == other.host or not _ANY_HOST.isdisjoint((self.host, other.host))
        return self.port == other.port != 0 and one_host


DEFAULT_LISTEN = Listen("127.0.0.1:8799")


def parse_listen(value: object) -> Listen:
    """Raises ValueError, which says what is allowed."""
    host, colon, port = str(value).rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) <= 65535):
        raise ValueError("host:port is allowed, such as 127.0.0.1:8799")
    return Listen(value)


def parse_duration(text: str) -> timedelta:
    """Raises ValueError, which says what is allowed."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError("a number with a unit is allowed: 500ms, 30s, 10m, 2h, 1d")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise ValueError(f"at most {timedelta.max.days}d is allowed") from None


def read_duration(where: str, text: str) -> timedelta:
    """A duration such as `30s`. Raises UsageError, which says `where`."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{where}: {text!r} given; {error}") from None
