"""A policy applied and rolled back on a sandbox, with real agents on two hosts and real packets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from aiohttp import web

from corral.cli.asking import client_of
from corral.cli.policy.apply import OFF, _standing
from corral.documents.plan import PlanDocument
from corral.errors import UnreachableError
from corral.sandbox.blueprint import Blueprint, ServiceSpec, StackSpec
from corral.sandbox.world import Sandbox
from corral.types import Protocol

from ...documents.checking import check
from ...e2e.places import Ran, run_on_host
from ...sources.servers import http_server

BLUEPRINT = Blueprint(
    hosts=2,
    stacks=(
        StackSpec("front", (ServiceSpec(name="web", hosts=(0,)), ServiceSpec(name="db", hosts=(0,)))),
        StackSpec("back", (ServiceSpec(name="job", hosts=(1,)),)),
    ),
    policy=[{"within": "stack", "action": "allow"}],
    default_policy_action="deny",
)
TO_DB = {
    "defaultPolicyAction": "deny",
    "policy": [
        {
            "from": {"selector": "io.rancher.stack.name=back"},
            "to": {"selector": "io.rancher.stack_service.name=front/db"},
            "ports": ["80/tcp"],
            "action": "allow",
        }
    ],
}


async def corral(sandbox: Sandbox, folder: Path, *arguments: str) -> Ran:
    """A command of an operator on the first host, with credentials."""
    rancher = sandbox.rancher
    variables = {
        "CATTLE_URL": rancher.url,
        "CATTLE_ACCESS_KEY": rancher.access_key,
        "CATTLE_SECRET_KEY": rancher.secret_key,
        "CORRAL_STATE_DIR": str(folder / "state"),
    }
    words = [f"{name}={value}" for name, value in variables.items()]
    return await run_on_host(sandbox, "env", *words, sys.executable, "-m", "corral", *arguments)


async def test_from_denied_to_allowed_and_back_packets_agree(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(TO_DB))
    async with Sandbox(BLUEPRINT) as sandbox:
        await sandbox.enforced()
        job = sandbox.flow("back-job-1", "front-db-1", Protocol.TCP, 80)
        web = sandbox.flow("front-web-1", "front-db-1", Protocol.TCP, 80)

        async def passing() -> tuple[bool, bool]:
            outcomes = await sandbox.probe_all([job, web])
            return outcomes[job].passed, outcomes[web].passed

        assert await passing() == (False, True)
        async with sandbox.stream(web) as stream:
            planned = await corral(sandbox, tmp_path, "policy", "plan", str(file), "--json")
            plan = json.loads(planned.output)
            check(PlanDocument, plan)
            assert [(one["client"], one["server"], one["ports"]) for one in plan["opened"]["examples"]] == [
                ("back/job", "front/db", "tcp 80")
            ]
            (cut,) = [one for one in plan["cut"] if one["client"]["party"] == "front/web"]
            assert (cut["client_port"], cut["port"]) == (stream._socket.getsockname()[1], 80)
            (carried,) = [one for one in plan["carried"] if one["client"] == "front/web"]
            assert carried["open"] == 1
            assert {hit["text"] for hit in plan["rules_hit"]} == {"within stack: allow"}
            assert any("host2" in sentence for sentence in plan["not_known"])

            applied = await corral(sandbox, tmp_path, "policy", "apply", str(file), "--yes")
            assert (applied.status, "in force on this host" in applied.output) == (0, True), applied
            assert await passing() == (True, False)
            await stream.cut()
        back = await corral(sandbox, tmp_path, "policy", "rollback", "--yes")
        assert back.status == 0, back.errors
        assert await passing() == (False, True)


@pytest.mark.parametrize(
    ("changed", "standing"),
    [
        ({}, ""),
        ({"policy": {"digest": "old", "in_force": True}}, "it works with the policy old"),
        ({"policy": {"digest": "new", "in_force": False}, "reasons": ["a", "b"]}, "a; b"),
        ({"kernel": {"pending": True}}, "it works with the policy new"),
        ({"policy": {"digest": "new", "in_force": False}, "mode": "off", "reasons": ["off"]}, OFF),
        ({"policy": {"digest": "old", "in_force": False}, "mode": "off", "reasons": ["off"]}, "off"),
    ],
)
async def test_in_force_is_what_the_kernel_holds(changed: dict[str, object], standing: str) -> None:
    state = {"policy": {"digest": "new", "in_force": True}, "kernel": {"pending": False}, "reasons": []}

    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response({**state, **changed})

    async with http_server(handle) as url:
        assert await _standing(client_of(url.removeprefix("http://")), "new") == standing


@pytest.mark.parametrize("answer", [[], {}, {"policy": None}])
async def test_a_stranger_is_no_agent(answer: object) -> None:
    async def handle(_: web.BaseRequest) -> web.Response:
        return web.json_response(answer)

    async with http_server(handle) as url:
        with pytest.raises(UnreachableError, match="something else listens there"):
            await _standing(client_of(url.removeprefix("http://")), "new")
