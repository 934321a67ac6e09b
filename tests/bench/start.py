"""Cold start and restart, each in a process of its own, from a metadata service that answers at once."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from corral.sandbox.namespace import Namespace

from .floor import in_namespace
from .report import TIMES, Row, micro
from .world import MOST, size_of, world_of

_MEBIBYTE = 1 << 20
_LARGEST = 250  # MiB that the agent may take
Answer = dict[str, Any]


def measure_start(*, quick: bool) -> list[Row]:
    """A first start of the agent, and one onto the table that it left, beside fetching and decoding alone."""
    world = world_of(size_of(1000 if quick else MOST))
    document = world.document()

    async def main(_: Namespace) -> tuple[Answer, Answer, Answer]:
        async with serving(document) as url:
            fetched = [await _run(library, url) for library in ("orjson", "msgspec.json")]
            fastest = min(fetched, key=lambda answer: float(answer["seconds"]))
            return fastest, await _run("agent", url), await _run("agent", url)

    fetched, cold, again = in_namespace(main)
    size = f"{world.size.containers:,} containers, {len(document) / _MEBIBYTE:,.0f} MiB"
    ratio = cold["seconds"] / fetched["seconds"]
    repeat = again["seconds"] / cold["seconds"]
    resident = cold["resident"]
    parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in cold["parts"].items())
    return [
        Row(
            "start",
            f"cold start, {size}",
            micro(cold["seconds"]),
            ratio=ratio,
            target=f"≤ 3 {TIMES} fetch + decode",
            met=ratio <= 3,
            note=f"fetch + decode by the faster of orjson and msgspec {fetched['seconds']:.2f} s; {parts}; "
            f"CPU {cold['cpu']:.1f} s",
        ),
        Row(
            "resident",
            "cold start: memory when ready",
            resident,
            unit="MiB",
            target=f"≤ {_LARGEST} MiB",
            met=resident <= _LARGEST,
            note=f"peak {cold['peak']:,} MiB; decoding alone peaks at {fetched['peak']:,} MiB",
        ),
        Row(
            "restart",
            "restart onto an intact table",
            micro(again["seconds"]),
            ratio=repeat,
            target=f"0 messages, ≤ 1.2 {TIMES} cold start",
            met=again["messages"] == 0 and repeat <= 1.2,
            note=f"{again['messages']:,} messages written (cold start: {cold['messages']:,}); CPU {again['cpu']:.1f} s",
        ),
    ]


async def _run(what: str, url: str) -> Answer:
    """The answer of a process that is timed from the moment when it is asked for."""
    command = (sys.executable, "-m", "tests.bench.starter", what, url, str(time.monotonic()))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"the process that measures {what} failed with status {process.returncode}")
    answer: Answer = orjson.loads(output)
    return answer


@asynccontextmanager
async def serving(document: bytes) -> AsyncIterator[str]:
    """The metadata service: one version, one document."""

    async def version(request: web.Request) -> web.Response:
        if request.query.get("value") == "1":
            await asyncio.Event().wait()
        return web.json_response("1")

    async def root(_: web.Request) -> web.Response:
        return web.Response(body=document, content_type="application/json")

    application = web.Application()
    application.router.add_get("/2016-07-29/version", version)
    application.router.add_get("/2016-07-29", root)
    # Whoever has gone still waits for a new version here.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 8080).start()
        yield "http://127.0.0.1:8080/2016-07-29"
    finally:
        await runner.cleanup()
