"""The command tree and the exit statuses.

0 fine; 1 the answer is "no" (denied, invalid, different); 2 wrong usage or bad input; 3 can not be reached.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

import corral
from corral.cli import (
    agent,
    bundle,
    cleanup,
    connections,
    demo,
    denied,
    doctor,
    explain,
    inspect,
    listing,
    policy,
    policy_change,
    policy_check,
    rules,
    wait,
)
from corral.cli.output import say_error
from corral.errors import CorralError, UsageError

app = typer.Typer(
    name="corral",
    help="Network policy for Rancher 1.x environments and PastureStack, enforced by nftables.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command(name="agent")(agent.agent)
app.command(name="demo")(demo.demo)
app.command(name="status")(inspect.status)
app.command(name="explain")(explain.explain)
app.command(name="rules")(rules.rules)
app.command(name="ruleset")(inspect.ruleset)
app.command(name="topology")(rules.topology)
app.command(name="wait")(wait.wait)
app.command(name="containers")(listing.containers)
app.command(name="hosts")(listing.hosts)
app.command(name="connections")(connections.connections)
app.command(name="denied")(denied.denied)
app.command(name="cleanup")(cleanup.cleanup)
app.command(name="doctor")(doctor.doctor)
app.command(name="bundle")(bundle.bundle)

policies = typer.Typer(name="policy", help="The environment's policy: see it, try it, change it.", no_args_is_help=True)
policies.command(name="show")(policy.show)
policies.command(name="validate")(policy_check.validate)
policies.command(name="plan")(policy.plan)
policies.command(name="apply")(policy_change.apply)
policies.command(name="rollback")(policy_change.rollback)
policies.command(name="test")(policy_check.check_expectations)
app.add_typer(policies)


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
