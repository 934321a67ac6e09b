"""The command tree and the exit statuses.

0 fine; 1 the answer is "no" (denied, invalid, different); 2 wrong usage or bad input; 3 can not be reached.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import corral
from corral.cli.lazy import lazy_group
from corral.cli.output import say_error
from corral.errors import CorralError, UsageError

COMMANDS = {
    "agent": "corral.cli.agent:agent",
    "demo": "corral.cli.demo:demo",
    "status": "corral.cli.inspect:status",
    "explain": "corral.cli.explain:explain",
    "policy": "corral.cli.policy.group:app",
    "denied": "corral.cli.denied:denied",
    "rules": "corral.cli.rules:rules",
    "connections": "corral.cli.connections:connections",
    "containers": "corral.cli.listing:containers",
    "hosts": "corral.cli.listing:hosts",
    "wait": "corral.cli.wait:wait",
    "ruleset": "corral.cli.inspect:ruleset",
    "topology": "corral.cli.rules:topology",
    "doctor": "corral.cli.doctor:doctor",
    "bundle": "corral.cli.bundle:bundle",
    "schema": "corral.cli.schema:schema",
    "cleanup": "corral.cli.cleanup:cleanup",
}

_RUN, _SEE, _CHANGE, _CARE = "Run", "See and ask", "Try and change", "Care for a host"
PANELS = {
    **dict.fromkeys(("agent", "demo"), _RUN),
    **dict.fromkeys(("status", "explain", "denied", "rules", "connections", "containers", "hosts", "wait"), _SEE),
    "policy": _CHANGE,
    **dict.fromkeys(("ruleset", "topology", "doctor", "bundle", "schema", "cleanup"), _CARE),
}

app = typer.Typer(
    name="corral",
    help="Network policy for Rancher 1.x environments and PastureStack, enforced by nftables.",
    cls=lazy_group(COMMANDS, PANELS),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"corral {corral.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run a command; what goes wrong on purpose becomes one line and an exit status."""
    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except CorralError as error:
        _fail(error, 3)


def _fail(error: CorralError, status: int) -> None:
    say_error(f"corral: {error}")
    sys.exit(status)
