"""The agent on a kernel that takes no rules that log: it says so, enforces all the same, and leaves its table alone.

Here the trial says no; `make test-kernels` runs this in a guest without the modules, where nothing has to be made up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from corral.config import load_settings
from corral.daemon.agent import Agent
from corral.dataplane.flows.flowlog import FlowLog
from corral.dataplane.host.trial import LOG, inabilities, why_no_log
from corral.dataplane.kernel import KernelDataplane
from corral.sandbox.documents import render_root
from tests.daemon.running import small_environment, until
from tests.kernel.namespaces import Namespace
from tests.sources.servers import Metadata, http_server

REALLY_LACKS = "CORRAL_LACKS_LOGS"


@pytest.fixture
async def without_logs(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that takes no such rules."""
    found = await why_no_log()
    assert bool(found) == bool(os.environ.get(REALLY_LACKS))
    if found:
        (lacking,) = await inabilities()
        assert (lacking.feature, lacking.error, lacking.optional) == (LOG, found, True)
        return

    async def refused() -> str:
        return "ENOENT"

    monkeypatch.setattr("corral.dataplane.flows.flowlog.why_no_log", refused)


@asynccontextmanager
async def agent(metadata: str) -> AsyncIterator[dict[str, Any]]:
    """What an agent says as soon as its table is in force, and has been compared a second time."""
    settings = load_settings({"CORRAL_METADATA_URL": f"{metadata}/2016-07-29", "CORRAL_LISTEN": "127.0.0.1:0"})
    listening: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with KernelDataplane() as kernel:
        made = Agent(settings, kernel, FlowLog(), started=listening.set_result)
        running = asyncio.create_task(made.run())
        try:
            url = f"http://127.0.0.1:{await listening}"
            async with aiohttp.ClientSession(base_url=url) as session:
                said: dict[str, Any] = {}

                async def look() -> bool:
                    for name in ("state", "denied"):
                        async with session.get(f"/v1/{name}") as answer:
                            said[name] = await answer.json()
                    return bool(said["state"]["kernel"]["programmed"])

                await until(look, patience=60)
                made.engine.doubt("the test")
                await until(lambda: made.engine._doubt is None)
                await look()
                yield said
        finally:
            made.stop()
            await running


@pytest.mark.usefixtures("without_logs")
async def test_it_enforces_says_why_it_does_not_log_and_writes_nothing_twice(namespace: Namespace) -> None:
    environment, metadata = small_environment(), Metadata()
    async with http_server(metadata.handle) as url:
        metadata.publish(**render_root(environment.records, environment.host(0)))
        async with agent(url) as said:
            assert said["state"]["kernel"]["commits"] > 0
            assert said["denied"]["listening"] is False
            assert any("the kernel can not report packets" in reason for reason in said["state"]["reasons"])
        listing = namespace.run("nft list table inet corral")
        assert 'counter name "default-deny" goto denied/default-deny' in listing
        assert "log prefix" not in listing
        async with agent(url) as said:
            kernel = said["state"]["kernel"]
            assert (kernel["commits"], kernel["failed_commits"], kernel["repairs"]) == (0, 0, 0)
        assert namespace.run("nft list table inet corral") == listing
