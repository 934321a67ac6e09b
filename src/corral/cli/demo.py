"""`corral demo`: the embedded sandbox."""

from __future__ import annotations

from typing import Annotated

import typer

from corral.cli.output import console, on_terminal


def demo(
    hosts: Annotated[int, typer.Option(min=2, max=8, help="Hosts in the sandbox.")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up until interrupted.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "--non-interactive", help="Ask nothing.")] = False,
) -> None:
    """Show the agent at work: a Rancher, hosts and containers in network namespaces, real agents, real probes.

    Needs root or user namespaces, and touches nothing outside the namespaces that it makes, except that as root it
    loads the kernel module br_netfilter where it is missing. Exit status 1 if any probe disagrees with the policy.
    """
    if not yes and on_terminal():
        typer.confirm("Build the sandbox in private network namespaces and run the demo?", default=True, abort=True)
    # The agent, which shares this command line, does without the sandbox and its memory.
    from corral.sandbox.demo import run_demo  # noqa: PLC0415
    from corral.sandbox.namespace import enter_sandbox  # noqa: PLC0415

    own_users = enter_sandbox()
    raise typer.Exit(run_demo(hosts=hosts, keep=keep, console=console(), own_users=own_users))
