"""An agent in this process, a Rancher API for its environment, and commands as an operator types them."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from structlog.testing import capture_logs

from corral.cli.app import main
from corral.sandbox.namespace import OWN_NAMESPACE, Namespace
from corral.sandbox.rancher_server import RancherServer

from ..daemon.running import Running, running_agent, until
from ..e2e.places import Ran

FOREIGN = ("CORRAL_", "CATTLE_", "PLATFORM_")
DENY_ALL = {"defaultPolicyAction": "deny", "policy": []}
WITHIN_STACK = {"defaultPolicyAction": "deny", "policy": [{"within": "stack", "action": "allow"}]}
TO_DB = {
    "defaultPolicyAction": "deny",
    "policy": [
        {"within": "stack", "action": "allow"},
        {
            "from": {"selector": "io.rancher.stack.name=back"},
            "to": {"selector": "io.rancher.stack_service.name=front/db"},
            "ports": ["5432/tcp"],
            "action": "allow",
        },
    ],
}


async def corral(*arguments: str, text: str = "", variables: Mapping[str, str] | None = None) -> Ran:
    """What a command says and exits with; it reads `text`, which comes from a pipe."""
    return await asyncio.to_thread(_run, arguments, text, dict(variables or {}))


def _run(arguments: tuple[str, ...], text: str, variables: dict[str, str]) -> Ran:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    output, errors, status = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["corral", *arguments]),
        patch.object(sys, "stdin", io.StringIO(text)),
        patch.dict(os.environ, inherited | variables, clear=True),
        redirect_stdout(output),
        redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as left:
            status = int(left.code or 0)
    return Ran(status, output.getvalue(), errors.getvalue())


@dataclass
class Managed:
    """`variables` are what an operator's shell has set."""

    running: Running
    rancher: RancherServer
    variables: dict[str, str]
    folder: Path

    async def corral(self, *arguments: str, text: str = "", **variables: str) -> Ran:
        return await corral(*arguments, text=text, variables=self.variables | variables)

    def file(self, content: object, name: str = "policy.json") -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    @property
    def held(self) -> dict[str, Any]:
        """What Rancher holds."""
        network = self.running.environment.network
        return {"defaultPolicyAction": network.default_policy_action, "policy": network.policy}

    @property
    def address(self) -> str:
        return self.running.url.removeprefix("http://")


@asynccontextmanager
async def managed(folder: Path) -> AsyncIterator[Managed]:
    """An agent that enforces, into a table in memory, what the API's environment says."""
    with capture_logs():  # what the agent logs is no output of a command
        async with running_agent() as running, _managed(running, folder) as place:

            async def enforces() -> bool:
                return bool(json.loads((await running.get("/v1/policy"))[1])["in_force"])

            await until(enforces)
            yield place


@asynccontextmanager
async def _managed(running: Running, folder: Path) -> AsyncIterator[Managed]:
    environment = running.environment
    here = Namespace(os.open(OWN_NAMESPACE, os.O_RDONLY | os.O_CLOEXEC))
    rancher = RancherServer(environment, here, address="127.0.0.1", port=0)
    await rancher.start()
    environment.listeners.append(lambda _: running.publish())
    try:
        assert rancher._runner is not None
        variables = {
            "CORRAL_LISTEN": running.url.removeprefix("http://"),
            "CORRAL_RANCHER_URL": f"http://127.0.0.1:{rancher._runner.addresses[0][1]}/v1",
            "CORRAL_RANCHER_ACCESS_KEY": rancher.access_key,
            "CORRAL_RANCHER_SECRET_KEY": rancher.secret_key,
            "CORRAL_STATE_DIR": str(folder / "state"),
        }
        yield Managed(running, rancher, variables, folder)
    finally:
        environment.listeners.clear()
        await rancher.stop()
        os.close(here.descriptor)
