"""`corral cleanup`: remove corral's table, nothing else; with `--legacy`, other managers' leftovers."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from corral.cli.asking import AgentAddress
from corral.cli.output import say
from corral.dataplane.host.capability import raise_net_admin
from corral.errors import UsageError

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


def cleanup(
    legacy: Annotated[
        bool, typer.Option("--legacy", help="Instead, what the managers of Rancher and PastureStack have left.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --legacy: only tell what would go.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --legacy: even if nothing protects then.")] = False,
    agent: AgentAddress = None,
) -> None:
    """Remove corral's nftables table from this network namespace, nothing else. Works without an agent.

    Exit status 1 when a running agent puts the table back. With --legacy it removes what other managers have left,
    once corral's table is in force here; exit status 1 when it is not, or when something stays.
    """
    raise_net_admin()
    if legacy:
        from corral.cli.legacy import clean_legacy  # noqa: PLC0415 - `--help` does without it

        raise typer.Exit(0 if clean_legacy(agent, dry_run=dry_run, force=force) else 1)
    if dry_run or force or agent:
        raise UsageError("--dry-run, --force and --agent go with --legacy")
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
