from __future__ import annotations

import asyncio
import socket

from corral.sandbox.listeners import TCP_PORTS, UDP_PORTS, Listeners
from corral.sandbox.world import Sandbox
from tests.sandbox.conftest import open_descriptors


async def test_tcp_greets_with_the_clients_address_and_counts(sandbox: Sandbox) -> None:
    loop, listeners = asyncio.get_running_loop(), sandbox.listeners[str(sandbox.address("one-a-2"))]
    with sandbox.namespace("one-a-1").socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        await loop.sock_connect(client, (str(sandbox.address("one-a-2")), TCP_PORTS[0]))
        assert (await loop.sock_recv(client, 64)).decode() == str(sandbox.address("one-a-1"))
        receipt = listeners.receipts[client.getsockname()]
        assert receipt.bytes == 0
        await loop.sock_sendall(client, b"x" * 1000)
        while receipt.bytes < 1000:
            receipt.news.clear()
            await receipt.news.wait()
        assert receipt.last > 0


async def test_udp_answers_with_address_and_text(sandbox: Sandbox) -> None:
    loop, listeners = asyncio.get_running_loop(), sandbox.listeners[str(sandbox.address("one-a-2"))]
    with sandbox.namespace("one-a-1").socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((str(sandbox.address("one-a-2")), UDP_PORTS[0]))
        client.send(b"hello")
        assert (await loop.sock_recv(client, 64)).decode() == f"{sandbox.address('one-a-1')} hello"
        assert listeners.heard[client.getsockname()] == 1


async def test_closing_leaves_no_socket(sandbox: Sandbox) -> None:
    loop, namespace = asyncio.get_running_loop(), sandbox.namespace("one-a-1")
    before = open_descriptors()
    listeners = Listeners(namespace, tcp=[9000, 9001], udp=[9002])
    with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        await loop.sock_connect(client, (str(sandbox.address("one-a-1")), 9000))
        await loop.sock_recv(client, 64)
        listeners.close()
        assert await loop.sock_recv(client, 64) == b""
    assert open_descriptors() == before
