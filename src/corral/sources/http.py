"""HTTP answers, bounded in size and time, and JSON out of them."""

from __future__ import annotations

import gc

import aiohttp
import orjson

from corral.errors import UnreachableError

MEBIBYTE = 1 << 20
CHUNK = MEBIBYTE // 4


async def read_bounded(response: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    """The whole body. Raises UnreachableError when it exceeds `limit` bytes, announced or not."""
    if response.content_length is not None and response.content_length > limit:
        raise _too_large(what, limit)
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > limit:
            raise _too_large(what, limit)
    return bytes(body)


def _too_large(what: str, limit: int) -> UnreachableError:
    return UnreachableError(f"{what}: the answer is larger than the allowed {limit} bytes")


def parse_json(body: bytes) -> object:
    """Decode JSON; raises orjson.JSONDecodeError.

    A large document is a million new objects without a cycle among them: letting the collector search them
    over and over while they are made takes three times as long as the decoding itself.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        document: object = orjson.loads(body)
    finally:
        if was_enabled:
            gc.enable()
    return document
