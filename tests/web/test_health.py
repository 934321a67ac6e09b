"""The listener for health checks from elsewhere, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from corral.errors import UsageError
from corral.values import Listen
from corral.web.health import CONNECTIONS, LIMITS, serve_health

from ..daemon.running import running_agent, until
from ..daemon.test_agent import until_table

# As HAProxy asks, for `option httpchk GET /healthz HTTP/1.0`: no Host, no other header.
CHECK = b"GET /healthz HTTP/1.0\r\n\r\n"


class View:
    """An agent with a reason, which stays at home."""

    ready = True

    def health(self) -> tuple[bool, dict[str, Any]]:
        status = "ready" if self.ready else "degraded"
        return self.ready, {"status": status, "mode": "enforce", "reasons": ["policy rejected: shop/db"]}


@asynccontextmanager
async def listening(view: View | None = None) -> AsyncIterator[int]:
    async with serve_health(view or View(), Listen("127.0.0.1:0")) as port:  # type: ignore[arg-type]
        yield port


async def raw(port: int, request: bytes) -> bytes:
    """All that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


async def asked(port: int, request: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = (await raw(port, request)).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), headers, json.loads(body) if body else None


async def test_haproxys_request_without_a_host_is_answered_and_the_connection_closed() -> None:
    async with listening() as port:
        status, headers, body = await asked(port, CHECK)
        assert (status, body) == (200, {"status": "ready"})
        assert headers["Content-Type"].startswith("application/json")


async def test_readiness() -> None:
    view = View()
    async with listening(view) as port:
        request = b"GET /readyz HTTP/1.1\r\nHost: 10.0.0.7:8798\r\n\r\n"
        assert (await asked(port, request))[::2] == (200, {"status": "ready"})
        view.ready = False
        assert (await asked(port, request))[::2] == (503, {"status": "degraded"})
        assert (await asked(port, CHECK))[::2] == (200, {"status": "degraded"})


async def test_head_has_no_body() -> None:
    async with listening() as port:
        assert (await asked(port, CHECK.replace(b"GET", b"HEAD")))[::2] == (200, None)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE"])
@pytest.mark.parametrize("path", ["/healthz", "/v1/state"])
async def test_it_is_read_only(method: str, path: str) -> None:
    async with listening() as port:
        request = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode()
        status, headers, _ = await asked(port, request)
        assert status in {405, 400}
        assert status == 400 or headers["Allow"] == "GET,HEAD"
        assert status == 405 or method == "CONNECT"  # whose target has to be a host and a port


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/v1/state", "/v1/ruleset", "/healthz/", "/healthz/../v1/state", "/assets/x", "/%2e"]
)
async def test_there_is_nothing_else(path: str) -> None:
    async with listening() as port:
        status, _, body = await asked(port, f"GET {path} HTTP/1.0\r\n\r\n".encode())
        assert (status, body) == (404, {"error": "not found"})


@pytest.mark.parametrize(
    "request_",
    [
        CHECK,
        b"GET /readyz HTTP/1.0\r\n\r\n",
        b"GET /nowhere HTTP/1.0\r\n\r\n",
        b"POST /healthz HTTP/1.0\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nHost: \x00\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 10 * LIMITS["max_line_size"] + b" HTTP/1.0\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\n" + b"x: y\r\n" * 10 * LIMITS["max_headers"] + b"\r\n",
    ],
)
async def test_no_answer_names_anything_or_tells_a_version(request_: bytes) -> None:
    view = View()
    view.ready = False
    async with listening(view) as port:
        answer = (await raw(port, request_)).lower()
        assert answer.startswith(b"http/1.")
        for told in (b"shop", b"rejected", b"enforce", b"aiohttp", b"python"):
            assert told not in answer
        assert len(answer) < 300


async def test_an_idle_crowd_does_not_keep_a_check_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes last is served; the oldest of those that say nothing are shut, so that their number is bounded."""
    monkeypatch.setitem(LIMITS, "keepalive_timeout", 60)
    async with listening() as port:
        crowd = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2 * CONNECTIONS)]
        try:
            assert (await asked(port, CHECK))[0] == 200
            shut = [reader for reader, _ in crowd if reader.at_eof()]
            await until(lambda: len([reader for reader, _ in crowd if reader.at_eof()]) >= CONNECTIONS)
            assert all(reader.at_eof() for reader, _ in crowd[: len(shut)])  # in the order of their coming
            assert not crowd[-1][0].at_eof()
        finally:
            for _, writer in crowd:
                writer.close()


async def test_who_takes_too_long_is_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIMITS, "keepalive_timeout", 0.05)
    async with listening() as port:
        assert await raw(port, b"GET /healthz HT") == b""


async def test_a_body_is_not_waited_for() -> None:
    async with listening() as port:
        status, _, _ = await asked(port, b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert status == 200


async def test_an_agent_answers_there_as_on_its_endpoint() -> None:
    async with running_agent(CORRAL_HEALTH_LISTEN="127.0.0.1:0") as running:
        await until_table(running, 3)
        port = running.agent.health_port
        assert port is not None
        for path in ("/healthz", "/readyz"):
            status, body = await running.get(path)
            there = await asked(port, f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert there[::2] == (status, {"status": json.loads(body)["status"]})
        assert (await running.get("/v1/state"))[0] == 200
        assert (await asked(port, b"GET /v1/state HTTP/1.0\r\n\r\n"))[0] == 404
    with pytest.raises(ConnectionRefusedError):
        await raw(port, CHECK)


async def test_an_agent_has_no_such_listener_unless_told() -> None:
    async with running_agent() as running:
        assert running.agent.health_port is None


async def test_the_whole_endpoint_refuses_what_it_answers() -> None:
    """A request from elsewhere is none of `CORRAL_LISTEN`'s: that is why there is another."""
    async with running_agent() as running:
        assert (await running.get("/healthz", host="10.0.0.7"))[0] == 403


async def test_a_taken_port_is_told_by_the_settings_name() -> None:
    async with listening() as port:
        with pytest.raises(
            UsageError, match=f"CORRAL_HEALTH_LISTEN: can not listen on 127.0.0.1:{port}: .*already in use"
        ):
            async with running_agent(CORRAL_HEALTH_LISTEN=f"127.0.0.1:{port}"):
                pass
    with pytest.raises(UsageError, match=r"CORRAL_HEALTH_LISTEN: can not listen on a\.\.b:80"):
        async with running_agent(CORRAL_HEALTH_LISTEN="a..b:80"):
            pass
