"""`corral cleanup`: remove corral's table, nothing else."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

import typer

from corral.cli.output import say

if TYPE_CHECKING:
    from corral.dataplane.base import Dataplane

# A running agent hears of the removal at once and repairs within milliseconds.
WATCHED = 0.5
LOOK_EVERY = 0.02


class Outcome(Enum):
    """What became of the table, as it is told."""

    ABSENT = "no table inet corral here: nothing to remove"
    REMOVED = "table inet corral removed"
    BACK = "table inet corral removed, but it is back: an agent is running and puts it back; stop the agent first"


def cleanup() -> None:
    """Remove corral's nftables table from this network namespace, nothing else. Works without an agent.

    Exit status 1 when a running agent puts the table back.
    """
    outcome = asyncio.run(_remove_from_kernel())
    say(outcome.value, "red" if outcome is Outcome.BACK else None)
    raise typer.Exit(1 if outcome is Outcome.BACK else 0)


async def remove(dataplane: Dataplane, watched: float = WATCHED) -> Outcome:
    """Remove the table, then look for `watched` seconds whether it stays away."""
    if await dataplane.dump() is None:
        return Outcome.ABSENT
    await dataplane.delete_table()
    loop = asyncio.get_running_loop()
    end = loop.time() + watched
    while await dataplane.dump() is None:
        if loop.time() >= end:
            return Outcome.REMOVED
        await asyncio.sleep(LOOK_EVERY)
    return Outcome.BACK


async def _remove_from_kernel() -> Outcome:
    from corral.dataplane.kernel import KernelDataplane  # noqa: PLC0415 - pyroute2 takes half a second to import

    async with KernelDataplane() as dataplane:
        return await remove(dataplane)
