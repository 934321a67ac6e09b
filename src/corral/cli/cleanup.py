"""`corral cleanup`: remove corral's table, nothing else."""

from __future__ import annotations

import asyncio

from corral.cli.output import say


def cleanup() -> None:
    """Remove corral's nftables table from this network namespace, nothing else. Works without an agent."""
    removed = asyncio.run(_remove())
    say("table inet corral removed" if removed else "no table inet corral here: nothing to remove")


async def _remove() -> bool:
    from corral.dataplane.kernel import KernelDataplane  # noqa: PLC0415 - pyroute2 takes half a second to import

    async with KernelDataplane() as dataplane:
        present = await dataplane.dump() is not None
        await dataplane.delete_table()
        return present
