"""`status`, `explain` and `ruleset` against an agent at work, as somebody on its host runs them."""

from __future__ import annotations

import json

from corral.sandbox.world import Sandbox

from ..e2e.places import corral, nft, one_host, without_counts


async def test_commands_against_a_running_agent() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()

        status = await corral(sandbox, "status")
        assert status.status == 0
        assert "ready" in status.output
        assert "within stack: allow" in status.output
        assert json.loads((await corral(sandbox, "status", "--json")).output)["status"] == "ready"

        may = await corral(sandbox, "explain", "front/web", "front-db-1", "--port", "80/tcp")
        assert (may.status, may.output.split()[0]) == (0, "ALLOW")
        may_not = await corral(sandbox, "explain", "back/job", "front/db", "--port", "80")
        assert may_not.status == 1
        assert "DENY" in may_not.output
        assert "policy[0] does not match" in may_not.output
        answer = json.loads((await corral(sandbox, "explain", "back/job", "front/db", "--json")).output)
        assert answer["verdict"] == "deny"

        installed = await corral(sandbox, "ruleset")
        listed = await nft(sandbox, "list", "table", "inet", "corral")
        assert sorted(without_counts(installed.output)) == sorted(without_counts(listed))
        difference = await corral(sandbox, "ruleset", "difference")
        assert (difference.status, difference.output) == (0, "")


async def test_bad_input_is_named() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        typo = await corral(sandbox, "explain", "front/wev", "front/db")
        assert typo.status == 2
        assert "did you mean front/web" in typo.errors
        port = await corral(sandbox, "explain", "front/web", "front/db", "--port", "80/sctp")
        assert port.status == 2
        assert "80/sctp" in port.errors
        assert (await corral(sandbox, "ruleset", "whatever")).status == 2
