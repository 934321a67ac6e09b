"""HTTP answers, bounded in size and time, and JSON out of them."""

from __future__ import annotations

from io import BytesIO

import aiohttp
import msgspec

from corral.errors import UnreachableError

MEBIBYTE = 1 << 20
CHUNK = MEBIBYTE // 4


async def read_bounded(response: aiohttp.ClientResponse, limit: int, what: str) -> bytes:
    """The whole body. Raises UnreachableError when it exceeds `limit` bytes, announced or not."""
    if response.content_length is not None and response.content_length > limit:
        raise _too_large(what, limit)
    # Hands out its bytes without a copy: a body can be 200 MB.
    body = BytesIO()
    async for chunk in response.content.iter_chunked(CHUNK):
        body.write(chunk)
        if body.tell() > limit:
            raise _too_large(what, limit)
    return body.getvalue()


def _too_large(what: str, limit: int) -> UnreachableError:
    return UnreachableError(f"{what}: the answer is larger than the allowed {limit} bytes")


def parse_json(body: bytes) -> object:
    """Decode JSON. Raises DecodeError for all that is none, text that is no UTF-8 or nested too deeply included."""
    try:
        document: object = msgspec.json.decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
    return document
