"""One HTTP request from inside a namespace."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from corral.errors import UnreachableError
from corral.sandbox.namespace import Namespace


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


async def request(
    namespace: Namespace,
    url: str,
    *,
    method: str = "GET",
    keys: tuple[str, str] | None = None,
    body: object = None,
    patience: float = 10.0,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request and read the whole answer. Raises UnreachableError."""
    parts = urlsplit(url)
    text = _compose(method, parts.path, parts.query, parts.netloc, keys, body, headers or {})
    try:
        async with asyncio.timeout(patience):
            return await _exchange(namespace, (parts.hostname or "", parts.port or 80), text)
    except (OSError, TimeoutError, ValueError) as error:
        raise UnreachableError(f"{method} {url}: {str(error) or 'no answer in time'}") from error


def _compose(
    method: str,
    path: str,
    query: str,
    host: str,
    keys: tuple[str, str] | None,
    body: object,
    headers: Mapping[str, str],
) -> bytes:
    content = b"" if body is None else msgspec.json.encode(body)
    fields = {"Host": host, "Accept": "application/json", "Content-Length": str(len(content)), **headers}
    if keys is not None:
        fields["Authorization"] = "Basic " + base64.b64encode(":".join(keys).encode()).decode()
    # HTTP/1.0: the server sends no chunks and closes when it is done.
    lines = [f"{method} {path or '/'}{'?' if query else ''}{query} HTTP/1.0", *(f"{k}: {v}" for k, v in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def _exchange(namespace: Namespace, address: tuple[str, int], text: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
        await loop.sock_connect(opened, address)
        await loop.sock_sendall(opened, text)
        received = b""
        while chunk := await loop.sock_recv(opened, 1 << 16):
            received += chunk
    head, separator, body = received.partition(b"\r\n\r\n")
    if not separator:
        raise ValueError("the connection closed before the answer was complete")
    return Answer(int(head.split(b" ", 2)[1]), body)
