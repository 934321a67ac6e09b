"""A local agent's health endpoint, as the commands read it: by the standard library, for they are awaited at a prompt.

The questions block; a caller with an event loop asks them in a thread.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead, InvalidURL
from typing import Any
from urllib.parse import urlencode

from corral.errors import UnreachableError, UsageError

EVENT_STREAM = "text/event-stream"
# The agent says something every 15 s, if only that it lives.
SILENCE = 40.0
# All of the largest environment is some 50 MB.
LARGEST = 256 << 20
# Of an event, and of what is read in one go.
LARGEST_EVENT = 1 << 20
CHUNK = 1 << 18

_NOT_IN_NAMES = frozenset("/?#@\\[]")


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP status, the body and its media type."""

    status: int
    body: bytes
    media_type: str


class AgentClient:
    """Asks the agent that listens on `host:port`; an answer is there within `timeout` seconds, all of it.

    Raises UnreachableError, or UsageError for a 400 and for a host that is no name.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._base = f"http://{self.address}"
        self._host, self._port = host, port
        self._timeout = timeout

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Answer:
        """GET one path; a status of 200 or 503 is an answer."""
        end = time.monotonic() + self._timeout
        with self._asked(path, query, lambda: end - time.monotonic()) as response:
            return Answer(response.status, self._body(response, path), response.headers.get_content_type())

    def stream(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[tuple[str, bytes]]:
        """The server-sent events of one path, name and data, until the agent ends them.

        Raises UnreachableError too when nothing comes for a while, not even a comment.
        """
        with self._asked(path, query, lambda: SILENCE) as response:
            if response.status == 503:
                raise UnreachableError(error_of(self._body(response, path)))
            if response.headers.get_content_type() != EVENT_STREAM:
                raise UnreachableError(f"{self._base}{path} is no stream of events, as a corral agent's is")
            rest = b""
            while piece := response.read1(CHUNK):
                *messages, rest = (rest + piece).split(b"\n\n")
                if len(rest) > LARGEST_EVENT:
                    raise self._too_large(path, LARGEST_EVENT)
                yield from filter(None, map(_event, messages))

    @contextmanager
    def _asked(
        self, path: str, query: Mapping[str, str] | None, patience: Callable[[], float]
    ) -> Iterator[HTTPResponse]:
        with self._mapped(), closing(self._connection(patience)) as connection:
            connection.request("GET", f"{path}?{urlencode(query)}" if query else path)
            with connection.getresponse() as response:
                if response.status == 400:
                    raise UsageError(error_of(self._body(response, path)))
                if response.status not in {200, 503}:
                    raise UnreachableError(f"{self._base}{path} answers {response.status}, which no corral agent does")
                yield response

    def _connection(self, patience: Callable[[], float]) -> HTTPConnection:
        if not self._host or not _NOT_IN_NAMES.isdisjoint(self._host):
            raise InvalidURL("a name or an IP address is allowed")
        connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
        connection.response_class = partial(_PatientResponse, patience)  # type: ignore[assignment]
        return connection

    def _body(self, response: HTTPResponse, path: str) -> bytes:
        if (response.length or 0) > LARGEST:
            raise self._too_large(path, LARGEST)
        # With a number http.client takes a body that is cut off for a whole one.
        body = response.read(LARGEST + 1) if response.length is None else response.read()
        if len(body) > LARGEST:
            raise self._too_large(path, LARGEST)
        return body

    def _too_large(self, path: str, limit: int) -> UnreachableError:
        return UnreachableError(f"{self._base}{path}: the answer is larger than the allowed {limit} bytes")

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (UnicodeError, InvalidURL) as error:
            raise UsageError(f"{self._base}: the address is not valid ({error})") from error
        except (HTTPException, OSError) as error:
            raise UnreachableError(f"no agent answers at {self._base}: {_in_words(error)}") from error


class _PatientResponse(HTTPResponse):
    """Asks before each read how many seconds it may last: a socket's own timeout starts anew with every byte."""

    def __init__(self, patience: Callable[[], float], sock: Any, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_Patient(self.fp.detach(), sock, patience), CHUNK)


class _Patient(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: Any, patience: Callable[[], float]) -> None:
        self._raw, self._sock, self._patience = raw, sock, patience

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._patience()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _in_words(error: HTTPException | OSError) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    if isinstance(error, IncompleteRead):
        return "the answer is cut off"
    return f"what listens there does not speak HTTP ({type(error).__name__})"


def _event(message: bytes) -> tuple[str, bytes] | None:
    """Name and data; None for a comment."""
    fields = dict(line.split(b": ", 1) for line in message.split(b"\n") if b": " in line and not line.startswith(b":"))
    if b"data" not in fields:
        return None
    return fields.get(b"event", b"message").decode(errors="replace"), fields[b"data"]


def error_of(body: bytes) -> str:
    """What an agent says is wrong; of somebody else's answer the beginning."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    return str(said["error"]) if isinstance(said, dict) and "error" in said else body[:200].decode(errors="replace")
