"""Structured logs on standard error. What a label says can neither split nor forge a line: values are quoted."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from corral.daemon.recentlog import RECENT

DEBUG = "debug"
QUIET = 30.0
KNOWN_CAUSES = 1000

# What differs between two reports of one cause: pids, counts, ports, addresses in memory.
_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+")


class LevelSwitch:
    """Turns level debug on and off while the agent runs.

    The loggers there are, bound already, are of one class, and what is below the level is a method that does nothing:
    another base class turns it on for all of them, and costs nothing while it is off.
    """

    def __init__(self, level: str) -> None:
        self._configured = level
        self._present = level
        self.wrapper: Any = type("SwitchedLogger", (_logger_class(level),), {})

    def toggle(self) -> None:
        """To debug, or back to what is configured; a line says so whatever that is."""
        to_debug = self._present == self._configured
        if to_debug:
            self._set(DEBUG)
        level = DEBUG if to_debug else self._configured
        structlog.get_logger().info("log level switched", to=level, configured=self._configured)
        self._set(level)

    def _set(self, level: str) -> None:
        self._present = RECENT.level = level
        self.wrapper.__bases__ = (_logger_class(level),)


def _logger_class(level: str) -> Any:
    return structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])


def configure_logs(log_format: str | None, level: str) -> LevelSwitch:
    """Set up logging once; without a format, `console` on a terminal and `json` elsewhere."""
    terminal = sys.stderr.isatty()
    console = log_format == "console" or (log_format is None and terminal)
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(
            colors=terminal and not os.environ.get("NO_COLOR"),
            repr_native_str=True,
            exception_formatter=structlog.dev.plain_traceback,
        )
        if console
        else structlog.processors.JSONRenderer()
    )
    stderr = sys.stderr
    RECENT.level = level
    levels = LevelSwitch(level)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _plain_values,
            structlog.processors.format_exc_info,
            Repeats(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            RECENT,
            renderer,
        ],
        wrapper_class=levels.wrapper,
        logger_factory=lambda *_: _Lines(stderr),
        cache_logger_on_first_use=True,
    )
    return levels


@dataclass(slots=True)
class _Cause:
    written_at: float
    dropped: int = 0


class Repeats:
    """A processor that lets each cause through once in `quiet` seconds.

    A cause is the event with what it gives as `cause`, or else with all its texts; numbers aside. The next report of
    it says how many were dropped, as `repeated`. Of more than `known` causes the one written longest ago is forgotten.
    Level debug is left alone.
    """

    def __init__(
        self, *, quiet: float = QUIET, known: int = KNOWN_CAUSES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._quiet = quiet
        self._known = known
        self._clock = clock
        self._causes: OrderedDict[bytes, _Cause] = OrderedDict()

    def __call__(self, _: WrappedLogger, method: str, event: EventDict) -> EventDict:
        if method == "debug":
            return event
        key, now = _key(event), self._clock()
        cause = self._causes.get(key)
        if cause is not None and now - cause.written_at < self._quiet:
            cause.dropped += 1
            raise structlog.DropEvent
        self._causes[key] = _Cause(now)
        self._causes.move_to_end(key)
        if len(self._causes) > self._known:
            self._causes.popitem(last=False)
        return {**event, "repeated": cause.dropped} if cause is not None and cause.dropped else event


def _key(event: EventDict) -> bytes:
    """A digest, for a text may be long."""
    told = {name: event[name] for name in ("event", "cause")} if "cause" in event else event
    texts = sorted((name, _NUMBER.sub("", value)) for name, value in told.items() if isinstance(value, str))
    return hashlib.blake2b(repr(texts).encode(errors="backslashreplace"), digest_size=16).digest()


def _plain_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Members of enumerations as what they stand for: a console shows their representation otherwise."""
    return {name: value.value if isinstance(value, Enum) else value for name, value in event.items()}


class _Lines(structlog.PrintLogger):
    """Standard error may be a pipe that nobody reads any more: enforcing the policy goes on without logs."""

    def msg(self, message: str) -> None:
        with suppress(OSError):
            super().msg(message)

    log = debug = info = warn = warning = fatal = failure = err = error = critical = exception = msg
