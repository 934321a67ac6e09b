"""The process whose start is measured: `agent` up to its table in the kernel, or one that only reads and decodes.

The agent's time counts from the moment given by whoever starts it, on the clock that all processes share.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable, Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any

Answer = dict[str, Any]

_LOOK = 0.005  # seconds between looks at whether the agent is ready


async def fetch(url: str, library: str) -> Answer:
    """Read the document and decode it, no more. Neither imports nor the collector count."""
    import aiohttp

    loads = {"orjson": "loads", "msgspec.json": "decode"}[library]
    decode = getattr(import_module(library), loads)
    gc.disable()
    started = time.monotonic()
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        body = await response.read()
    document = decode(body)
    return {"seconds": time.monotonic() - started, "found": len(document)}


async def start(url: str, asked: float) -> Answer:
    """From the request for a process to the whole table in the kernel: what `corral agent` does, all of its tasks."""
    from corral.config import load_settings
    from corral.daemon.agent import Agent
    from corral.daemon.collector import spare_what_is_loaded
    from corral.dataplane.codec import encode
    from corral.dataplane.flows.flowlog import FlowLog
    from corral.dataplane.kernel import KernelDataplane
    from corral.nft.transaction import Transaction

    class WritingDataplane(KernelDataplane):
        """Counts the messages that it is given to write."""

        messages = 0

        async def commit(self, transaction: Transaction) -> None:
            self.messages += len(encode(transaction))
            await super().commit(transaction)

    moments = {"imports": time.monotonic() - asked}
    settings = load_settings({}, {"metadata_url": url, "log_level": "error"})
    async with WritingDataplane() as dataplane:
        agent = Agent(settings, dataplane, FlowLog(), loaded=spare_what_is_loaded)
        running = asyncio.create_task(agent.run())
        while not agent.facts.inventory_loaded:
            await asyncio.wait([running], timeout=_LOOK)
        moments["read and compiled"] = time.monotonic() - asked
        while not agent.facts.programmed:
            await asyncio.wait([running], timeout=_LOOK)
        moments["kernel"] = time.monotonic() - asked
        answer = {"messages": dataplane.messages, **memory()}
        agent.stop()
        await running
    ends = list(moments.values())
    parts = {name: end - before for (name, end), before in zip(moments.items(), [0.0, *ends], strict=False)}
    return {"seconds": ends[-1], "parts": parts, **answer}


def memory() -> dict[str, int]:
    """MiB resident now, and at most so far: of this program, not of the one that it was forked from."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[field].split()[0]) >> 10 for name, field in (("resident", "VmRSS"), ("peak", "VmHWM"))}


def main() -> None:
    what, url, asked = sys.argv[1:]
    answer = _run(start, url, float(asked)) if what == "agent" else _run(fetch, url, what) | memory()
    sys.stdout.write(json.dumps(answer | {"cpu": time.process_time()}))


def _run(main: Callable[..., Coroutine[Any, Any, Answer]], *arguments: object) -> Answer:
    # In the order of `corral agent`: the command line, then what it needs.
    import corral.cli.app  # noqa: F401
    from corral.daemon.collector import spare_the_start

    spare_the_start()
    import uvloop

    from corral.daemon.logs import configure_logs

    configure_logs(None, "error")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main(*arguments))


if __name__ == "__main__":
    main()
