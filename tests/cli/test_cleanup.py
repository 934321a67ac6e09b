"""`corral cleanup`, beside somebody else's table."""

from __future__ import annotations

import asyncio

import pytest
from typer.testing import CliRunner

from corral.cli.app import app
from corral.cli.cleanup import Outcome, remove
from corral.dataplane.fake import FakeDataplane
from corral.errors import UsageError
from corral.nft.transaction import AddTable, Transaction
from corral.sandbox.world import Sandbox

from ..daemon.running import until
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


async def test_cleanup_says_that_an_agent_puts_the_table_back() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        ran = await corral(sandbox, "cleanup")
        assert ran.status == 1
        assert "an agent is running and puts it back" in ran.output


@pytest.mark.parametrize("option", [["--dry-run"], ["--force"], ["--agent", "127.0.0.1:1"]])
def test_options_that_go_with_legacy_only(option: list[str]) -> None:
    ran = CliRunner().invoke(app, ["cleanup", *option])
    assert isinstance(ran.exception, UsageError)
    assert "go with --legacy" in str(ran.exception)


async def test_a_table_that_comes_back_late_is_seen() -> None:
    dataplane = FakeDataplane()
    await dataplane.commit(Transaction((AddTable(),)))

    async def removed() -> bool:
        return await dataplane.dump() is None

    async def put_back_once_removed() -> None:
        await until(removed)
        dataplane.interfere(Transaction((AddTable(),)))

    async with asyncio.TaskGroup() as group:
        group.create_task(put_back_once_removed())
        outcome = await remove(dataplane, watched=10.0)
    assert outcome is Outcome.BACK


async def test_a_table_that_stays_away_is_removed() -> None:
    dataplane = FakeDataplane()
    await dataplane.commit(Transaction((AddTable(),)))
    assert await remove(dataplane, watched=0.0) is Outcome.REMOVED
    assert await remove(dataplane, watched=0.0) is Outcome.ABSENT
