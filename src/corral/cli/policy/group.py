"""`corral policy`: the group of its commands."""

from __future__ import annotations

import typer

from corral.cli.lazy import lazy_group

COMMANDS = {
    "show": "corral.cli.policy.commands:show",
    "validate": "corral.cli.policy.check:validate",
    "plan": "corral.cli.policy.commands:plan",
    "apply": "corral.cli.policy.change:apply",
    "rollback": "corral.cli.policy.change:rollback",
    "test": "corral.cli.policy.check:check_expectations",
}

app = typer.Typer(
    help="The environment's policy: see it, try it, change it.",
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
)


@app.callback()
def _group() -> None:
    """The environment's policy: see it, try it, change it."""
