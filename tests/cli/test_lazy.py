"""Commands are imported when they are asked for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import typer.main

from corral.cli.app import COMMANDS, app
from corral.cli.policy import group

from .managed import FOREIGN

LOADED = """
import sys
from corral.cli import main
sys.argv = ["corral", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(*sys.modules, file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    ran = subprocess.run([sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, check=True)  # noqa: S603
    return set(ran.stderr.split())


def test_one_command_does_without_the_others() -> None:
    modules = loaded("schema", "health")
    assert "corral.cli.schema" in modules
    assert not modules & {"corral.cli.agent", "corral.cli.explain", "corral.cli.policy.commands"}


def test_who_asks_an_agent_in_a_pipe_waits_for_no_library_that_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
    heavy = {"aiohttp", "asyncio", "corral.config", "msgspec", "pyroute2", "rich.console", "uvloop"}
    for command in ("status", "explain a b", "rules", "containers", "hosts", "connections", "denied", "wait a"):
        assert not loaded(*command.split(), "--agent", "127.0.0.1:1") & heavy, command


def test_every_command_is_where_it_is_said_to_be() -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, typer.core.TyperGroup)
    context = typer.Context(root)
    assert root.list_commands(context) == list(COMMANDS)
    assert [command.name for name in COMMANDS if (command := root.get_command(context, name))] == list(COMMANDS)
    policies = root.get_command(context, "policy")
    assert isinstance(policies, typer.core.TyperGroup)
    assert all(policies.get_command(context, name) for name in group.COMMANDS)
    assert root.get_command(context, "polcy") is None
