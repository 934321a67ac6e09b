"""Log lines about what is not in order: one in `quiet` seconds for one cause, however often it comes and goes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from corral.daemon.facts import Reason

log = structlog.get_logger()

# A little more than what `logs.Repeats` lets through: a line that is dropped there would never be told again.
QUIET = 31.0


@dataclass(slots=True)
class _Cause:
    """`written` and `present` are texts, the first of which stands for all in a line."""

    written: tuple[str, ...] = ()
    written_at: float = -math.inf
    present: tuple[str, ...] = ()
    turns: int = 0


class ReasonLog:
    """Tells of each cause how it is, at once, and again only `quiet` seconds later, if that is not how it is any more.

    So a source that flaps makes no noise, and the last line about a cause is true.
    """

    def __init__(self, *, quiet: float = QUIET) -> None:
        self._quiet = quiet
        self._causes: dict[str, _Cause] = {}

    def look(self, reasons: Iterable[Reason], now: float) -> None:
        """Take the present reasons; `now` is monotonic seconds."""
        present: dict[str, list[Reason]] = {}
        for reason in reasons:
            if not reason.logged:
                present.setdefault(reason.cause, []).append(reason)
        for name in [*present, *(self._causes.keys() - present.keys())]:
            cause = self._causes.setdefault(name, _Cause())
            self._note(cause, present.get(name, ()), now)
            if not (cause.written or cause.present) and now - cause.written_at >= self._quiet:
                del self._causes[name]

    def _note(self, cause: _Cause, reasons: Sequence[Reason], now: float) -> None:
        past, cause.present = cause.present, tuple(reason.text for reason in reasons)
        cause.turns += bool(past) is not bool(cause.present)
        if cause.present == cause.written or now - cause.written_at < self._quiet:
            return
        counts = {"more": len(reasons) - 1} if len(reasons) > 1 else {}
        counts |= {"turns": cause.turns} if cause.turns > 1 else {}
        if reasons:
            log.warning("not in order", reason=reasons[0].sentence(), **counts)
        else:
            log.info("in order again", reason=(past or cause.written)[0], **counts)
        cause.written, cause.written_at, cause.turns = cause.present, now, 0
