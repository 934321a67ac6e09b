from __future__ import annotations

import asyncio
import socket

import pytest

from corral.errors import UnreachableError
from corral.sandbox.exchange import request
from corral.sandbox.world import Sandbox


async def test_sends_method_path_query_body_and_keys(sandbox: Sandbox) -> None:
    namespace = sandbox.namespace("one-a-1")
    listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("0.0.0.0", 9000))  # noqa: S104
    received = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result((await reader.readuntil(b"\r\n\r\n")).decode() + (await reader.readexactly(7)).decode())
        writer.write(b"HTTP/1.1 418 Teapot\r\nX: y\r\n\r\n[1]")
        writer.close()

    server = await asyncio.start_server(answer, sock=listener)
    url = f"http://{sandbox.address('one-a-1')}:9000/a/b?c=d"
    got = await request(namespace, url, method="PUT", keys=("k", "s"), body={"e": 1}, headers={"X-Test": "f"})
    assert (got.status, got.json()) == (418, [1])
    text = await received
    assert text.startswith("PUT /a/b?c=d HTTP/1.0\r\n")
    assert "Authorization: Basic azpz\r\n" in text
    assert "X-Test: f\r\n" in text
    assert text.endswith('\r\n\r\n{"e":1}')
    server.close()
    await server.wait_closed()


async def test_nobody_there_is_unreachable(sandbox: Sandbox) -> None:
    with pytest.raises(UnreachableError, match=r"GET http://10\.42\.1\.1:9999/"):
        await request(sandbox.namespace("one-a-1"), "http://10.42.1.1:9999/")


async def test_silence_is_unreachable(sandbox: Sandbox) -> None:
    namespace = sandbox.namespace("one-a-1")
    listener = namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("0.0.0.0", 9000))  # noqa: S104
    listener.listen()
    with pytest.raises(UnreachableError, match="no answer in time"):
        await request(namespace, f"http://{sandbox.address('one-a-1')}:9000/", patience=0.05)
    listener.close()
