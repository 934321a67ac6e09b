"""What an agent does with the kernel, once, printing what it saw: run by the privilege tests with few capabilities."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvloop

from corral.dataplane.bridge import bridge_filtering, enable_bridge_filtering
from corral.dataplane.kernel import KernelDataplane
from corral.nft.transaction import AddElements, AddSet, AddTable, Transaction
from corral.nft.values import NftSet
from tests.kernel.test_commit import WHOLE_NETWORK

SYSTEM = NftSet("system")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


async def main() -> None:
    status = Path("/proc/self/status").read_text().splitlines()  # noqa: ASYNC240 (before anything runs)
    say(f"effective {next(line.split()[1] for line in status if line.startswith('CapEff'))}")
    async with KernelDataplane() as kernel:
        await kernel.commit(Transaction((AddTable(), AddSet(SYSTEM), AddElements("system", SYSTEM, WHOLE_NETWORK))))
        dump = await kernel.dump()
        say(f"{len(dump.ruleset.elements['system']) if dump else None} elements committed and dumped")
        await enable_bridge_filtering("br0", ipv6=True)
        filtering = await bridge_filtering("br0")
        say(f"bridge filters {filtering and filtering.ipv4} {filtering and filtering.ipv6}")
        noticed = asyncio.ensure_future(anext(kernel.changes()))
        await asyncio.sleep(0)  # until it listens
        nft = await asyncio.create_subprocess_exec("nft", "add", "counter", "inet", "corral", "theirs")
        await nft.wait()
        say(f"noticed {(await noticed).process}")


if __name__ == "__main__":
    uvloop.run(main())
