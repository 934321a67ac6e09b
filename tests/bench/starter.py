"""The process whose start is measured: `start` is the agent up to ready, `fetch` only reads and decodes.

The time counts from the moment given by whoever starts it, on the clock that all processes share.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import aclosing
from pathlib import Path

import aiohttp
import orjson
import uvloop

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.daemon.logs import configure_logs
from corral.dataplane.codec import encode
from corral.dataplane.kernel import KernelDataplane
from corral.nft.tracker import Tracker
from corral.nft.transaction import Transaction
from corral.sources.http import parse_json
from corral.sources.metadata import MetadataSource

_LOOK = 0.005  # seconds between looks at whether the agent is ready


class WritingDataplane(KernelDataplane):
    """Counts the messages that it is given to write."""

    messages = 0

    async def commit(self, transaction: Transaction) -> None:
        self.messages += len(encode(transaction))
        await super().commit(transaction)


async def fetch(url: str) -> dict[str, object]:
    """Read the document and decode it, no more; timed without the interpreter's own start."""
    started = time.monotonic()
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        body = await response.read()
    document = parse_json(body)
    return {"seconds": time.monotonic() - started, "found": len(body) if document else 0}


async def start(url: str, asked: float) -> dict[str, object]:
    """From the request for a process to the whole table in the kernel."""
    moments = {"imports": time.monotonic() - asked}
    async with WritingDataplane() as dataplane:
        tracker, facts = Tracker(), Facts()
        desk = Desk(tracker, facts, unknown_allowed=False)
        engine = Engine(dataplane, tracker, facts, enforceable=lambda: desk.enforceable)
        async with aclosing(MetadataSource(url).snapshots()) as snapshots:
            snapshot = await anext(snapshots)
            moments["snapshot"] = time.monotonic() - asked
            desk.load(snapshot, time.monotonic())
            moments["compile"] = time.monotonic() - asked
            running = asyncio.create_task(engine.run())
            engine.wake()
            while not facts.programmed:
                await asyncio.wait([running], timeout=_LOOK)
            moments["kernel"] = time.monotonic() - asked
            running.cancel()
            await asyncio.wait([running])
        ends = list(moments.values())
        parts = {name: end - before for (name, end), before in zip(moments.items(), [0.0, *ends], strict=False)}
        return {"seconds": ends[-1], "messages": dataplane.messages, "parts": parts}


def memory() -> dict[str, int]:
    """MiB resident now, and at most so far: of this program, not of the one that it was forked from."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[field].split()[0]) >> 10 for name, field in (("resident", "VmRSS"), ("peak", "VmHWM"))}


def main() -> None:
    what, url, asked = sys.argv[1:]
    configure_logs(None, "warning")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answer = runner.run(start(url, float(asked)) if what == "start" else fetch(url))
    spent = time.process_time()
    sys.stdout.buffer.write(orjson.dumps(answer | memory() | {"cpu": spent}))


if __name__ == "__main__":
    main()
