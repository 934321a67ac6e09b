"""Rancher's event stream: a websocket that is kept open, watched for silence and opened again."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import SecurityError

from corral.errors import RefusedError, UnreachableError
from corral.slices import Slices
from corral.sources.backoff import Backoff, refused_backoff, server_backoff
from corral.sources.coalescing import CoalescingQueue
from corral.sources.credentials import Credentials, origin
from corral.sources.failures import mapped
from corral.sources.http import MEBIBYTE, parse_json
from corral.sources.status import SourceStatus
from corral.types import Problem
from corral.wire.events import Event, Kind, event_of, quick_event
from corral.wire.fields import shown
from corral.wire.latest import Latest

# At level DEBUG websockets logs the headers of its handshake, our credentials among them.
_quiet_log = logging.getLogger("corral.sources.websocket")
_quiet_log.setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Connected:
    """A session is open and alive. What happened before it is not sent again: look at everything once."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A session, or an attempt at one, ended; the next one follows."""

    error: UnreachableError


@dataclass(frozen=True, slots=True)
class Changed:
    """A message about a resource that matters. `received`, on the monotonic clock, is when the first such came."""

    event: Event
    received: float = field(default=0.0, compare=False)


EventItem = Connected | Disconnected | Changed | Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTiming:
    """Seconds. Rancher pings every 5 s, so `silence` is three of them."""

    open: float = 10.0
    silence: float = 15.0
    close: float = 1.0


class EventSource:
    """Follows one environment's events, for ever."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        tls: ssl.SSLContext | None = None,
        timing: EventTiming | None = None,
        size_limit: int = 16 * MEBIBYTE,
        status: SourceStatus | None = None,
        backoff: Backoff | None = None,
        refused: Backoff | None = None,
    ) -> None:
        self.status = status or SourceStatus("events")
        self._credentials = credentials
        self._tls = tls
        self._timing = timing or EventTiming()
        self._size_limit = size_limit
        self._backoff = backoff or server_backoff()
        self._refused = refused or refused_backoff()
        self._latest = Latest()

    async def messages(self) -> AsyncGenerator[EventItem]:
        """What comes, in order, for ever; close the generator to stop.

        A task of its own reads, however long the consumer takes over an item: the server drops a client that
        lets 100 messages queue up. What the consumer has not taken yet coalesces, by resource.
        """
        queue: CoalescingQueue[EventItem] = CoalescingQueue()
        reader = asyncio.create_task(self._read_for_ever(queue), name="event reader")
        reader.add_done_callback(lambda _: queue.close())
        try:
            while (item := await queue.get()) is not None:
                yield item
            await reader
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read_for_ever(self, queue: CoalescingQueue[EventItem]) -> None:
        while True:
            try:
                await self._session(queue)
            except UnreachableError as error:
                self.status.failed(error)
                queue.put_last(Disconnected, Disconnected(error))
                await asyncio.sleep(self._delay(error))

    def _delay(self, error: UnreachableError) -> float:
        return (self._refused if isinstance(error, RefusedError) else self._backoff).next_delay()

    async def _session(self, queue: CoalescingQueue[EventItem]) -> None:
        """One connection, until it ends by an UnreachableError."""
        with mapped(self._credentials.base):
            async with self._connect() as connection:
                try:
                    await self._listen(connection, queue)
                except TimeoutError:
                    base, silence = self._credentials.base, self._timing.silence
                    raise UnreachableError(
                        f"{base}: no event and no ping for {silence:g} s: the connection is dead"
                    ) from None

    async def _listen(self, connection: ClientConnection, queue: CoalescingQueue[EventItem]) -> None:
        """Take every message. Raises TimeoutError when there is silence."""
        slices, loop = Slices(), asyncio.get_running_loop()
        heard, first = loop.time(), True
        async with asyncio.timeout(self._timing.silence) as deadline:
            while True:
                text = await connection.recv(decode=False)
                if loop.time() > heard:  # uvloop's clock stands still while one turn lasts
                    heard = loop.time()
                    deadline.reschedule(heard + self._timing.silence)
                # The first message, a ping, proves that the server does more than accept.
                self._take(queue, text, first=first)
                first = False
                await slices.rest()

    def _connect(self) -> connect:
        url = self._credentials.events_url
        return _ConnectWithinOrigin(
            url,
            additional_headers={"Authorization": self._credentials.authorization},
            ssl=self._tls if url.startswith("wss:") else None,
            proxy=None,
            # Rancher does not compress, and what is read at once then inflates to no more than that.
            compression=None,
            max_size=self._size_limit,
            open_timeout=self._timing.open,
            close_timeout=self._timing.close,
            # Rancher pings by messages of its own; silence of those is watched.
            ping_interval=None,
            logger=_quiet_log,
        )

    def _take(self, queue: CoalescingQueue[EventItem], text: bytes, *, first: bool = False) -> None:
        now = time.monotonic()
        if first:
            queue.put_last(Connected, Connected())
            # A server whose clock was set back meanwhile must not be taken for telling old news.
            self._latest = Latest()
        self.status.succeeded()
        self._backoff.healthy()
        self._refused.healthy()
        event = read_event(text)
        if isinstance(event, Problem):
            queue.put(Problem, event)
        elif event.kind is Kind.LOGOUT:
            raise UnreachableError(f"{self._credentials.base}: the server ended the session")
        # An older message must not take the place of a newer one, pending or not.
        elif event.reference is not None and self._latest.admits(event.reference, event.time):
            waiting = queue.pending(event.reference)
            received = waiting.received if isinstance(waiting, Changed) else now
            queue.put(event.reference, Changed(event, received))


def read_event(text: bytes) -> Event | Problem:
    """The event that a message is."""
    event = quick_event(text)
    if event is not None:
        return event
    try:
        return event_of(parse_json(text))
    except msgspec.DecodeError as error:
        return Problem("event", f"JSON is allowed, {shown(text)} given: {error}")


class _ConnectWithinOrigin(connect):
    """A redirect is followed on the same origin only: the credentials are for no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        before = origin(self.uri)
        target = super().process_redirect(exc)
        if isinstance(target, str) and origin(target) != before:
            return SecurityError(f"redirected to another origin: {target}")
        return target
