"""A local agent's health endpoint, as the commands read it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
import msgspec

from corral.errors import UnreachableError, UsageError
from corral.sources.http import parse_json

EVENT_STREAM = "text/event-stream"
# The agent says something every 15 s, if only that it lives.
SILENCE = 40.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status, the body and its media type."""

    status: int
    body: bytes
    media_type: str


class AgentClient:
    """Asks the agent that listens on `host:port`.

    Raises UnreachableError, or UsageError for a 400 and for a host that is no name.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._base = f"http://{self.address}"
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """GET one path; a status of 200 or 503 is an answer."""
        async with self._asked(path, query, self._timeout) as response:
            return Answer(response.status, await response.read(), response.content_type)

    async def stream(self, path: str, query: Mapping[str, str] | None = None) -> AsyncGenerator[tuple[str, bytes]]:
        """The server-sent events of one path, name and data, until the agent ends them.

        Raises UnreachableError too when nothing comes for a while, not even a comment.
        """
        patience = aiohttp.ClientTimeout(total=None, connect=self._timeout.total, sock_read=SILENCE)
        async with self._asked(path, query, patience) as response:
            if response.status == 503:
                raise UnreachableError(error_of(await response.read()))
            if response.content_type != EVENT_STREAM:
                raise UnreachableError(f"{self._base}{path} is no stream of events, as a corral agent's is")
            rest = b""
            async for piece in response.content.iter_any():
                *messages, rest = (rest + piece).split(b"\n\n")
                for message in messages:
                    if event := _event(message):
                        yield event

    @asynccontextmanager
    async def _asked(
        self, path: str, query: Mapping[str, str] | None, patience: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        with self._mapped():
            async with (
                aiohttp.ClientSession(timeout=patience, trust_env=False) as session,
                session.get(self._base + path, params=query) as response,
            ):
                if response.status == 400:
                    raise UsageError(error_of(await response.read()))
                if response.status not in {200, 503}:
                    raise UnreachableError(f"{self._base}{path} answers {response.status}, which no corral agent does")
                yield response

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (UnicodeError, aiohttp.InvalidURL) as error:
            raise UsageError(f"{self._base}: the address is not valid ({error})") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnreachableError(f"no agent answers at {self._base}: {str(error) or type(error).__name__}") from error


def _event(message: bytes) -> tuple[str, bytes] | None:
    """Name and data; None for a comment."""
    fields = dict(line.split(b": ", 1) for line in message.split(b"\n") if b": " in line and not line.startswith(b":"))
    if b"data" not in fields:
        return None
    return fields.get(b"event", b"message").decode(errors="replace"), fields[b"data"]


def error_of(body: bytes) -> str:
    """What an agent says is wrong; of somebody else's answer the beginning."""
    try:
        said = parse_json(body)
    except msgspec.DecodeError:
        said = None
    return str(said["error"]) if isinstance(said, dict) and "error" in said else body[:200].decode(errors="replace")
