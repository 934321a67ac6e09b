"""`corral cleanup`, beside somebody else's table."""

from __future__ import annotations

from corral.sandbox.world import Sandbox

from ..e2e.places import ENFORCED, corral, nft, one_host, verdicts


async def test_cleanup_removes_the_table_and_nothing_else() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        await nft(sandbox, "add", "table", "inet", "somebody")
        await sandbox.agents[0].stop()
        assert await verdicts(sandbox) == ENFORCED
        first = await corral(sandbox, "cleanup")
        assert (first.status, first.output) == (0, "table inet corral removed\n")
        again = await corral(sandbox, "cleanup")
        assert (again.status, again.output) == (0, "no table inet corral here: nothing to remove\n")
        assert await nft(sandbox, "list", "tables") == "table inet somebody\n"
        assert await verdicts(sandbox) == (True, True)
        unreachable = await corral(sandbox, "status")
        assert unreachable.status == 3
        assert "no agent answers at http://127.0.0.1:8799" in unreachable.errors
