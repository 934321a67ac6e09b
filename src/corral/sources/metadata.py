"""The metadata service: a long poll for its version, and one read of the whole document for each change."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import aiohttp
from msgspec import DecodeError

from corral.errors import UnreachableError
from corral.model.entities import Snapshot
from corral.slices import Slices
from corral.sources.backoff import Backoff
from corral.sources.failures import mapped, status_failure
from corral.sources.http import MEBIBYTE, parse_json, read_bounded
from corral.sources.status import SourceStatus
from corral.wire.fields import shown
from corral.wire.metadata import SnapshotDecoder

VERSION_LIMIT = 1024
VERSION_CHARACTERS = 256
# The service is on this very host, so trying often is cheap, and it should be followed soon after it heals.
FIRST_DELAY, LONGEST_DELAY = 0.2, 1.5

# Seconds of reading a document without a turn for others. An event takes several turns until it is in the kernel, and
# is not to wait for what comes seconds late anyway.
SLICE = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataTiming:
    """Seconds. `slack` is what an answer may come after `max_wait`: the server looks every 5 s only."""

    max_wait: float = 60.0
    slack: float = 15.0
    connect: float = 5.0
    read: float = 60.0
    interval: float = 1.0


class MetadataSource:
    """Follows one metadata service, for ever."""

    def __init__(
        self,
        url: str,
        *,
        timing: MetadataTiming | None = None,
        size_limit: int = 512 * MEBIBYTE,
        trust_env: bool = False,
        status: SourceStatus | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.status = status or SourceStatus("metadata")
        self._url = url.rstrip("/")
        self._timing = timing or MetadataTiming()
        self._size_limit = size_limit
        self._trust_env = trust_env
        self._backoff = backoff or Backoff(first=FIRST_DELAY, limit=LONGEST_DELAY, healthy_after=10.0)
        self._read_at = -math.inf

    async def snapshots(self) -> AsyncGenerator[Snapshot]:
        """A snapshot at once, and one after each change; close the generator to stop.

        Failures are told by `status` and retried with back-off: the consumer keeps what it has.
        """
        decoder = SnapshotDecoder()
        async with self._session() as session:
            version: str | None = None
            known_good = False
            while True:
                try:
                    fresh = await self._next(session, decoder, version, wait=known_good)
                except UnreachableError as error:
                    known_good = False
                    self.status.failed(error)
                    await asyncio.sleep(self._backoff.next_delay())
                    continue
                known_good = True
                self._backoff.healthy()
                self.status.succeeded()
                if fresh is not None:
                    version, snapshot = fresh
                    yield snapshot

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers={"Accept": "application/json"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )

    async def _next(
        self, session: aiohttp.ClientSession, decoder: SnapshotDecoder, seen: str | None, *, wait: bool
    ) -> tuple[str, Snapshot] | None:
        """The next version and its snapshot, or None if there was no change. After a failure it does not wait.

        The document is read by one GET, so it is of one piece, but it does not tell its version. The version
        is therefore read *before* it and polled with *after* it: what changes in between makes the next poll
        answer at once. The document may be newer than its version, never older.
        """
        asked = time.monotonic()
        version = await self._version(session, seen if wait else None)
        if version == seen:
            # A server that does not know how to wait would be asked without a pause.
            await asyncio.sleep(asked + self._timing.interval - time.monotonic() if wait else 0)
            return None
        if await self._paused():
            version = await self._version(session, None)
        body = await self._get(session, self._url, self._timing.read, self._size_limit)
        return version, await read_document(decoder, body)

    async def _paused(self) -> bool:
        """Keep the minimum interval between full reads; whether that took a pause."""
        loop = asyncio.get_running_loop()
        pause = self._read_at + self._timing.interval - loop.time()
        if pause > 0:
            await asyncio.sleep(pause)
        self._read_at = loop.time()
        return pause > 0

    async def _version(self, session: aiohttp.ClientSession, seen: str | None) -> str:
        """The version, as soon as it differs from `seen`, or after `max_wait` anyway."""
        url, query, seconds = f"{self._url}/version", {}, self._timing.connect + self._timing.slack
        if seen is not None:
            # maxWait=0 would mean the server's default.
            query = {"wait": "true", "value": seen, "maxWait": str(max(1, math.ceil(self._timing.max_wait)))}
            seconds += self._timing.max_wait
        return self._checked_version(await self._get(session, url, seconds, VERSION_LIMIT, query))

    def _checked_version(self, body: bytes) -> str:
        """Opaque text, sent as a JSON string or bare."""
        try:
            decoded = parse_json(body)
        except DecodeError:
            decoded = body.decode(errors="replace").strip()
        version = decoded if isinstance(decoded, str) else body.decode().strip()
        if not 0 < len(version) <= VERSION_CHARACTERS or "<" in version or not version.isprintable():
            raise UnreachableError(f"{self._url}/version: no version but {shown(version)}")
        return version

    async def _get(
        self,
        session: aiohttp.ClientSession,
        url: str,
        seconds: float,
        limit: int,
        query: dict[str, str] | None = None,
    ) -> bytes:
        """One GET. aiohttp itself repeats it once when a kept-alive connection turns out to be closed."""
        times = aiohttp.ClientTimeout(total=seconds, sock_connect=self._timing.connect)
        with mapped(url):
            async with session.get(url, params=query, timeout=times, allow_redirects=False) as response:
                if response.status != 200:
                    raise status_failure(response.status, url)
                return await read_bounded(response, limit, url)


async def read_document(decoder: SnapshotDecoder, body: bytes) -> Snapshot:
    """The snapshot, made in slices on the loop: a thread would keep the interpreter's lock from it for longer."""
    steps, slices = decoder.steps(body), Slices(SLICE)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            snapshot: Snapshot = end.value
            return snapshot
        await slices.rest()
