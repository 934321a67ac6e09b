"""What `/v1/log` answers."""

from __future__ import annotations

from typing_extensions import TypedDict


class LogLine(TypedDict):
    """One line of the agent's log."""

    at: str
    """When it was written."""
    level: str
    """`debug`, `info`, `warning` or `error`."""
    event: str
    """What happened."""
    details: dict[str, str | int | float | bool | None]
    """What else the line says, by name."""


class Log(TypedDict):
    """The end of the agent's log, kept in memory."""

    level: str
    """The level from which on lines are written."""
    lines: list[LogLine]
    """The last lines, oldest first: 500 at most."""
