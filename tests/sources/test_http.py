from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest
from aiohttp import web

from corral.errors import UnreachableError
from corral.sources.http import parse_json, read_bounded
from tests.sources.servers import http_server


async def read(size: int, limit: int, *, announced: bool) -> bytes:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        if announced:
            return web.Response(body=b"x" * size)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * size)
        return response

    async with http_server(handle) as url, aiohttp.ClientSession() as session, session.get(url) as response:
        return await read_bounded(response, limit, "asked")


@pytest.mark.parametrize("announced", [True, False])
async def test_sizes_are_bounded(announced: bool) -> None:
    assert len(await read(1000, 1000, announced=announced)) == 1000
    with pytest.raises(UnreachableError, match=r"^asked: .* larger than the allowed 999 bytes"):
        await read(1000, 999, announced=announced)


async def test_what_is_announced_is_not_waited_for() -> None:
    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async with http_server(handle) as url, aiohttp.ClientSession() as session, session.get(url) as response:
        async with asyncio.timeout(20):
            with pytest.raises(UnreachableError, match="larger"):
                await read_bounded(response, 999, "asked")


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b'"\xff"', b"[" * 5000 + b"]" * 5000])
def test_all_that_is_no_json_is_told_alike(body: bytes) -> None:
    assert parse_json(b'{"a": [1]}') == {"a": [1]}
    with pytest.raises(msgspec.DecodeError):
        parse_json(body)
