"""`corral policy validate` and `test`, offline and with an agent."""

from __future__ import annotations

import json
from pathlib import Path

from corral.documents.plan import PolicyCheck, PolicyTest

from ...documents.checking import check
from ..managed import TO_DB, WITHIN_STACK, corral, managed

HOLDS = [
    {"client": "front/web", "server": "front/db", "port": "80", "verdict": "allow"},
    {"client": "back/job", "server": "front-db-1", "port": "80/tcp", "verdict": "deny"},
]
FAILS = {"client": "back/job", "server": "front/db", "port": 5432, "verdict": "allow"}


async def test_a_valid_file_needs_no_agent(tmp_path: Path) -> None:
    good = await corral("policy", "validate", "-", text=json.dumps(WITHIN_STACK))
    assert (good.status, good.output) == (0, "valid: 1 rule, default deny, digest fd4436eb6d81\n")
    document = json.loads((await corral("policy", "validate", "-", "--json", text=json.dumps(WITHIN_STACK))).output)
    check(PolicyCheck, document)
    assert (document["valid"], document["rules"]) == (True, ["within stack: allow"])


async def test_every_problem_is_named(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(
        '{"defaultPolicyAction": "no", "policy": [{"within": "stac", "action": "allow"}, {"action": "deny"}]}'
    )
    bad = await corral("policy", "validate", str(file))
    assert bad.status == 1
    assert [line.split(": ")[1] for line in bad.output.splitlines()] == [
        "policy[0].within",
        "policy[1]",
        "defaultPolicyAction",
    ]
    document = json.loads((await corral("policy", "validate", str(file), "--json")).output)
    check(PolicyCheck, document)
    assert (document["valid"], document["digest"], len(document["problems"])) == (False, None, 3)


async def test_no_json_is_invalid_and_no_file_is_wrong_usage(tmp_path: Path) -> None:
    syntax = await corral("policy", "validate", "-", text="{")
    assert (syntax.status, "standard input: line 1, column 2: this is no JSON" in syntax.output) == (1, True)
    missing = await corral("policy", "validate", str(tmp_path))
    assert (missing.status, "Is a directory" in missing.errors) == (2, True)


async def test_warnings_are_about_an_environment(tmp_path: Path) -> None:
    text = json.dumps({"defaultPolicyAction": "deny", "policy": [{"between": {"groupBy": "tiers"}, "action": "allow"}]})
    async with managed(tmp_path) as place:
        topology = place.file((await place.running.get("/v1/topology"))[1], "topology.json")
        by_agent = await place.corral("policy", "validate", "-", "--agent", place.address, text=text)
    offline = await corral("policy", "validate", "-", "--topology", topology, text=text)
    assert by_agent.output == offline.output
    assert (offline.status, "warning: policy[0]: " in offline.output) == (0, True)
    assert "warning" not in (await corral("policy", "validate", "-", text=text)).output


async def test_expectations_that_hold_and_one_that_does_not(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        good, bad = place.file(HOLDS, "good.json"), place.file([*HOLDS, FAILS], "bad.json")
        topology = place.file((await place.running.get("/v1/topology"))[1], "topology.json")
        held = await place.corral("policy", "test", good)
        assert (held.status, held.output) == (0, "2 of 2 expectations hold\n")
        failed = await place.corral("policy", "test", bad)
    assert failed.status == 1
    assert "FAILED  [2] back/job -> front/db 5432: allow" in failed.output
    assert "5432/tcp is deny: denied by the default action: no rule matches  (and 1 more like it)" in failed.output
    assert "2 of 3 expectations hold" in failed.output
    policy = tmp_path / "new.json"
    policy.write_text(json.dumps(TO_DB))
    offline = await corral("policy", "test", bad, "--policy", str(policy), "--topology", topology, "--json")
    document = json.loads(offline.output)
    check(PolicyTest, document)
    (one,) = document["failures"]  # only TCP is allowed
    assert (offline.status, one["index"], one["port"], one["flows"]) == (1, 2, "5432/udp", 1)
    assert one["client"].startswith("back/job/back-job-1 (10.42.")


async def test_bad_expectations_are_wrong_usage(tmp_path: Path) -> None:
    async with managed(tmp_path) as place:
        typo = place.file([{"client": "front/wev", "server": "front/db", "verdict": "allow"}], "typo.json")
        unknown = await place.corral("policy", "test", typo)
        assert (unknown.status, "did you mean front/web" in unknown.errors) == (2, True)
        faulty = await place.corral("policy", "test", place.file([{"client": "a"}], "faulty.json"))
        assert (faulty.status, "faulty.json: [0].server: " in faulty.errors) == (2, True)
    nobody = await corral("policy", "test", typo, "--agent", "127.0.0.1:1")
    assert (nobody.status, "no agent answers" in nobody.errors) == (3, True)
