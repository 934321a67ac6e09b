"""Rancher's event stream: a websocket that is kept open, watched for silence and opened again."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import SecurityError

from corral.errors import RefusedError, UnreachableError
from corral.sources.backoff import Backoff
from corral.sources.coalescing import CoalescingQueue
from corral.sources.credentials import Credentials, origin
from corral.sources.failures import mapped
from corral.sources.http import MEBIBYTE
from corral.sources.status import SourceStatus
from corral.types import Problem
from corral.wire.fields import shown
from corral.wire.latest import Latest
from corral.wire.rancher import Kind, kind_of, reference_of

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
    """A message about a resource that matters, as decoded JSON."""

    message: object


EventItem = Connected | Disconnected | Changed | Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTiming:
    """Seconds. Rancher pings every 5 s, so `silence` is three of them; `refused` is doubled by jitter at most."""

    open: float = 10.0
    silence: float = 15.0
    close: float = 1.0
    refused: float = 30.0


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
        rng: Callable[[], float] = random.random,
    ) -> None:
        self.status = status or SourceStatus("events")
        self._credentials = credentials
        self._tls = tls
        self._timing = timing or EventTiming()
        self._size_limit = size_limit
        self._backoff = backoff or Backoff()
        self._rng = rng
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
        """Bad credentials are tried seldom: they become good only by someone's doing."""
        if isinstance(error, RefusedError):
            return self._timing.refused * (1 + self._rng())
        return self._backoff.next_delay()

    async def _session(self, queue: CoalescingQueue[EventItem]) -> None:
        """One connection, until it ends by an UnreachableError."""
        with mapped(self._credentials.base):
            async with self._connect() as connection:
                # The first message, a ping, proves that the server does more than accept.
                self._take(queue, await self._receive(connection), first=True)
                while True:
                    self._take(queue, await self._receive(connection))

    def _connect(self) -> connect:
        url = self._credentials.events_url
        return _ConnectWithinOrigin(
            url,
            additional_headers={"Authorization": self._credentials.authorization},
            ssl=self._tls if url.startswith("wss:") else None,
            proxy=None,
            max_size=self._size_limit,
            open_timeout=self._timing.open,
            close_timeout=self._timing.close,
            # Rancher pings by messages of its own; silence of those is watched.
            ping_interval=None,
            logger=_quiet_log,
        )

    async def _receive(self, connection: ClientConnection) -> bytes:
        try:
            async with asyncio.timeout(self._timing.silence):
                return await connection.recv(decode=False)
        except TimeoutError:
            base, silence = self._credentials.base, self._timing.silence
            raise UnreachableError(f"{base}: no event and no ping for {silence:g} s: the connection is dead") from None

    def _take(self, queue: CoalescingQueue[EventItem], text: bytes, *, first: bool = False) -> None:
        if first:
            queue.put_last(Connected, Connected())
        self.status.succeeded()
        self._backoff.healthy()
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            queue.put(Problem, Problem("event", f"JSON is allowed, {shown(text)} given: {error}"))
            return
        match kind_of(message):
            case Kind.CHANGE | Kind.HINT:
                reference = reference_of(message)
                # An older message must not take the place of a newer one that is still pending.
                if reference is not None and self._latest.admits(reference, message.get("time")):
                    queue.put(reference, Changed(message))
            case Kind.LOGOUT:
                raise UnreachableError(f"{self._credentials.base}: the server ended the session")
            case Kind.IGNORED if not isinstance(message, dict):
                queue.put(Problem, Problem("event", f"an object is allowed, {shown(message)} given"))


class _ConnectWithinOrigin(connect):
    """A redirect is followed on the same origin only: the credentials are for no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        before = origin(self.uri)
        target = super().process_redirect(exc)
        if isinstance(target, str) and origin(target) != before:
            return SecurityError(f"redirected to another origin: {target}")
        return target
