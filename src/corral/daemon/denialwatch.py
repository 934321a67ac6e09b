"""Listens to the kernel's reports of denied packets, and passes them on: to the book, the log and who follows."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import structlog

from corral.daemon.denials import DeniedBook, Entry, Observer
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts, Trouble
from corral.daemon.hub import EventHub
from corral.dataplane.flows.conntrack import TrackedFlow
from corral.dataplane.flows.flowlog import LoggedPacket
from corral.errors import DataplaneError, UnsupportedError

log = structlog.get_logger()

# Another program may let go of the log group at any time; a kernel's module seldom comes by itself, and asking for it
# starts a process each time.
RETRY, RETRY_UNSUPPORTED = 3.0, 60.0
# A flow that is denied again and again is told of so often.
LOG_PAUSE, EVENT_PAUSE = 60.0, 1.0
# Who tries all doors makes a flow of each: no more lines than these a minute, then a number.
LINES_A_MINUTE = 60


class PacketLog(Protocol):
    """The kernel's log of packets: see `FlowLog`."""

    @property
    def lost(self) -> int: ...
    async def open(self) -> None: ...
    def close(self) -> None: ...
    def packets(self) -> AsyncGenerator[LoggedPacket]: ...
    async def flow_of(self, packet: LoggedPacket) -> TrackedFlow | None: ...


class DenialWatch:
    """`open` once before the first commit, then `run` for ever. `changed` is called when the table is to differ."""

    def __init__(
        self,
        packet_log: PacketLog,
        desk: Desk,
        facts: Facts,
        hub: EventHub,
        *,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.book = DeniedBook()
        self.since = clock()
        self._log = packet_log
        self._desk = desk
        self._facts = facts
        self._counts = facts.denied
        self._hub = hub
        self._changed = changed
        self._clock = clock
        self._observer = Observer()
        self._pause = RETRY
        self._fumbled_at = -LOG_PAUSE
        self._lines = _Lines()

    @property
    def listening(self) -> bool:
        """Whether the kernel's reports come here."""
        return self._counts.listening

    @property
    def lost(self) -> int:
        """Reports that came too fast."""
        return self._log.lost

    async def open(self) -> None:
        """Have the kernel report here, which loads its module; what is wrong is noted, and the table made to match."""
        try:
            await self._log.open()
        except DataplaneError as error:
            unsupported = isinstance(error, UnsupportedError)
            self._deaf(str(error), RETRY_UNSUPPORTED if unsupported else RETRY)
            self._set_logging(possible=not unsupported)
        except Exception as error:
            log.exception("unexpected error", task="denied flows")
            self._deaf(_unexpected(error), RETRY)
            self._set_logging(possible=False)  # nobody knows: the table must not fail for it
        else:
            self._counts.listening, self._facts.denied_error = True, None
            self._set_logging(possible=True)

    async def run(self) -> None:
        """Read reports for ever, and try again where they can not be had. Whatever fails here ends nothing else."""
        try:
            while True:
                if not self.listening:
                    await asyncio.sleep(self._pause)
                    await self.open()
                    continue
                try:
                    await self._listen()
                except Exception as error:
                    log.exception("unexpected error", task="denied flows")
                    self._deaf(_unexpected(error), RETRY)
        finally:
            self._log.close()

    async def _listen(self) -> None:
        async with aclosing(self._log.packets()) as packets:
            async for packet in packets:
                try:
                    await self._take(packet)
                except Exception:  # what one packet says, whoever made it, must not hide the others
                    self._fumbled()

    def _fumbled(self) -> None:
        """Told now and then: such packets may come fast."""
        now = self._clock()
        if not 0 <= now - self._fumbled_at < LOG_PAUSE:
            self._fumbled_at = now
            log.exception("unexpected error", task="denied flows")

    def _deaf(self, trouble: str, pause: float) -> None:
        """No reports come here, until the log is opened again after so many seconds."""
        self._counts.listening, self._pause = False, pause
        if self._facts.denied_error is None or self._facts.denied_error.text != trouble:
            self._facts.denied_error = Trouble(trouble, self._clock())

    def _set_logging(self, *, possible: bool) -> None:
        if self._desk.set_logging(possible):
            self._changed()

    async def _take(self, packet: LoggedPacket) -> None:
        flow = None if self._observer.flowless(packet) else await self._log.flow_of(packet)
        scene = self._desk.scene()
        seen = self._observer.see(packet, flow, scene, self._desk.inventory.containers) if scene else None
        if seen is not None:
            self._tell(self.book.note(seen, self._clock()))
            self._counts.reports[seen.denial.verdict] += 1
        self._counts.flows, self._counts.lost = len(self.book), self._log.lost

    def _tell(self, entry: Entry) -> None:
        if (count := entry.due("log", LOG_PAUSE)) and self._lines.allowed(self._clock()):
            _write(entry, count)
        if self._hub.listening and entry.due("events", EVENT_PAUSE):
            self._hub.publish("denied", entry.document())


class _Lines:
    """Counts the lines of each minute, and tells with the first of the next one how many were left out."""

    def __init__(self) -> None:
        self._began = -math.inf
        self._asked = 0

    def allowed(self, now: float) -> bool:
        if not 0 <= now - self._began < 60:
            if self._asked > LINES_A_MINUTE:
                log.info("denied flows not logged one by one", lines=self._asked - LINES_A_MINUTE, see="corral denied")
            self._began, self._asked = now, 0
        self._asked += 1
        return self._asked <= LINES_A_MINUTE


def _unexpected(error: Exception) -> str:
    return f"unexpected error ({type(error).__name__}, see the log)"


def _write(entry: Entry, count: int) -> None:
    denial = entry.denial
    log.info(
        "denied",
        verdict="AUDIT" if denial.verdict == "audit" else denial.verdict,
        client=denial.client.name,
        client_address=denial.client.address,
        server=denial.server.name,
        server_address=denial.server.address,
        protocol=denial.protocol,
        port=denial.port,
        rule=entry.sentence,
        answered=entry.answered,
        count=count,
    )
