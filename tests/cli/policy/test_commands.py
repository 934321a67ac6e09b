"""`corral policy show` and `plan`, against a real API and a real agent."""

from __future__ import annotations

import json
from pathlib import Path

from corral.documents.plan import PlanDocument
from corral.sandbox.records import NetworkRecord

from ...documents.checking import check
from ..managed import TO_DB, WITHIN_STACK, corral, managed

NOBODY = "127.0.0.1:1"


async def test_show_tells_the_rules_and_prints_the_file(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        shown = await place.corral("policy", "show")
        assert shown.status == 0, shown.errors
        assert shown.output.startswith("policy of ipsec (1n5): fd4436eb6d81\n")
        assert "default    deny" in shown.output
        assert "policy[0]  within stack: allow  (0 packets)" in shown.output
        assert json.loads((await place.corral("policy", "show", "--json")).output) == WITHIN_STACK


async def test_show_of_a_policy_that_no_agent_accepts_names_the_problem(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        place.running.environment.set_policy([{"within": "stac", "action": "allow"}], "deny")
        shown = await place.corral("policy", "show")
        assert shown.status == 0
        assert "corral does not accept it; agents keep the last good policy in force" in shown.output
        assert "policy[0].within" in shown.output


async def test_show_needs_credentials_and_says_which(tmp_path: Path) -> None:
    refused = await corral("policy", "show")
    assert (refused.status, refused.output) == (2, "")
    assert "CORRAL_RANCHER_URL, CORRAL_RANCHER_ACCESS_KEY and CORRAL_RANCHER_SECRET_KEY" in refused.errors


async def test_show_without_an_agent_takes_the_only_network_with_a_policy(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        alone = await place.corral("policy", "show", "--agent", NOBODY)
        assert (alone.status, "policy[0]  within stack: allow" in alone.output) == (0, True)
        second = NetworkRecord(id="1n9", uuid="u9", name="vxlan", kind="cniNetwork", default_policy_action="allow")
        place.running.environment.records.put(second)
        ambiguous = await place.corral("policy", "show", "--agent", NOBODY)
        assert ambiguous.status == 2
        assert "--network with a name, id or uuid is allowed: ipsec (1n5), vxlan (1n9)" in ambiguous.errors
        assert "default    allow" in (await place.corral("policy", "show", "--network", "VXLAN")).output
        assert "policy of ipsec" in (await place.corral("policy", "show")).output  # the agent knows
        unknown = await place.corral("policy", "show", "--network", "nope")
        assert (unknown.status, "'nope' given" in unknown.errors) == (2, True)


async def test_plan_tells_what_opens_for_whom_and_why(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        file = place.file(TO_DB)
        planned = await place.corral("policy", "plan", file)
        assert planned.status == 0, planned.errors
        lines = planned.output.splitlines()
        digest = json.loads((await place.corral("policy", "validate", file, "--json")).output)["digest"]
        rule = (
            "policy[1] from io.rancher.stack.name=back to io.rancher.stack_service.name=front/db ports 5432/tcp: allow"
        )
        assert lines[0] == f"policy of ipsec: fd4436eb6d81 (from Rancher) to {digest}"
        assert f"  + {rule}" in lines
        assert "opens 1 service pair (1 pair of endpoints)" in lines
        assert f"  1 pair, tcp 5432: {rule} (now the default action: deny)" in lines
        assert "    back/job -> front/db" in lines
        assert not any(line.startswith(("closes", "cuts")) for line in lines)
        assert f"to apply it: corral policy apply {file} --expect fd4436eb6d81" in lines
        assert place.held == WITHIN_STACK
        document = json.loads((await place.corral("policy", "plan", file, "--json")).output)
        check(PlanDocument, document)
        assert (document["opened"]["pairs"], document["closed"]["pairs"]) == (1, 0)
        assert document["asked"] == [
            {"agent": place.address, "host": "host1", "mode": "enforce", "entries": document["asked"][0]["entries"]}
        ]


async def test_plan_without_credentials_begins_with_what_the_agent_has(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        file = place.file(TO_DB)
        planned = await corral("policy", "plan", file, variables={"CORRAL_LISTEN": place.address})
        assert f"fd4436eb6d81 (from the agent at {place.address})" in planned.output
        assert "to apply it" not in planned.output


async def test_plan_offline_from_a_topology_and_a_policy(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        status, topology = await place.running.get("/v1/topology")
        assert status == 200
        file, environment = place.file(TO_DB), place.file(topology, "topology.json")
        current = place.file({"defaultPolicyAction": "allow"}, "current.json")
    planned = await corral("policy", "plan", file, "--topology", environment)
    assert "opens 1 service pair" in planned.output
    assert "not known: connections and counters on host1: its agent was not asked" in planned.output
    planned = await corral(
        "policy", "plan", "-", "--topology", environment, "--policy", current, text=json.dumps(TO_DB)
    )
    assert "  default: allow to deny" in planned.output
    assert "closes 4 service pairs" in planned.output


async def test_plan_of_the_same_policy_changes_nothing(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        planned = await place.corral("policy", "plan", "-", text=json.dumps(WITHIN_STACK))
        assert "nothing opens, nothing closes" in planned.output


async def test_plan_where_rancher_holds_what_agents_refuse_begins_with_the_last_good_one(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        place.running.environment.set_policy([{"within": "stac", "action": "allow"}], "deny")
        planned = await place.corral("policy", "plan", place.file(TO_DB))
        assert "it does not accept what Rancher holds (policy[0].within" in planned.output
        assert "opens 1 service pair" in planned.output


async def test_bad_input_is_named(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        missing = await place.corral("policy", "plan", str(tmp_path / "none.json"))
        assert (missing.status, "none.json: No such file" in missing.errors) == (2, True)
        syntax = await place.corral("policy", "plan", place.file('{"policy": [\n  {"within" "stack"}]}'))
        assert (syntax.status, "policy.json: line 2, column 13: this is no JSON" in syntax.errors) == (2, True)
        invalid = await place.corral("policy", "plan", "-", text='{"policy": [{"within": "x", "action": "allow"}]}')
        assert (invalid.status, "standard input: policy[0].within: given" in invalid.errors) == (2, True)
        nobody = await place.corral("policy", "plan", place.file(TO_DB), "--agent", NOBODY)
        assert (nobody.status, "no agent answers at http://127.0.0.1:1" in nobody.errors) == (3, True)
        refused = await place.corral("policy", "plan", place.file(TO_DB), CORRAL_RANCHER_ACCESS_KEY="wrong")
        assert (refused.status, "the credentials are refused" in refused.errors) == (3, True)


async def test_another_agent_that_does_not_answer_is_part_of_the_plan(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        planned = await place.corral("policy", "plan", place.file(TO_DB), "--agent", place.address, "--agent", NOBODY)
        assert planned.status == 0
        assert f"not known: connections of {NOBODY}: no agent answers" in planned.output
