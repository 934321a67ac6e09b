"""`corral policy apply` and `rollback`: show what would change, ask, and change it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from corral.cli.output import JsonFlag, say, say_error, say_json
from corral.cli.policy.apply import UNCHANGED, Change, Progress, RefusedChangeError, make_change
from corral.cli.policy.commands import NetworkName, network_now
from corral.cli.policy.evidence import Agents, TopologyFile
from corral.cli.policy.history import Former, History, default_directory
from corral.cli.policy.input import STANDARD_INPUT, PolicyFile, name_of, read_policy
from corral.cli.policy.network import RancherNetwork, settings_with_credentials
from corral.cli.policy.text import show_plan
from corral.config import Settings
from corral.daemon.times import rfc3339
from corral.errors import PolicyError, UsageError
from corral.policy.document import PolicyDocument
from corral.values import read_duration

if TYPE_CHECKING:
    from corral.cli.policy.plan import Places
    from corral.documents.plan import FormerPolicies
    from corral.policy.rules import Policy

# What shells report for a program that Ctrl-C ended.
INTERRUPTED = 130

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask. Needed where nobody can be asked, as in a pipe.")]
Timeout = Annotated[str, typer.Option("--timeout", help="How long to wait until it is in force on this host.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until it is in force.")]
Expect = Annotated[
    str | None,
    typer.Option(
        "--expect", help="Digest that an earlier plan began with: refuse if it is another.", show_default=False
    ),
]


def apply(
    file: PolicyFile,
    yes: Yes = False,
    expect: Expect = None,
    timeout: Timeout = "30s",
    no_wait: NoWait = False,
    topology: TopologyFile = None,
    network: NetworkName = None,
    agents: Agents = None,
) -> None:
    """Show the plan, ask, and put the policy into Rancher; then wait until this host enforces it.

    The former policy is kept: see `rollback`. Exit status 1 if the policy changed since the plan was made, if Rancher
    refuses the new one, or if it is not in force in time.
    """
    with _telling_what_was_done() as progress:
        how = _How(_settings(file, yes=yes), yes, expect, _seconds(timeout, no_wait=no_wait))
        document, policy = read_policy(file)
        _carry_out(document, policy, _places(agents, topology, network), how, progress)


def rollback(
    listing: Annotated[bool, typer.Option("--list", help="List the former policies, the latest first.")] = False,
    to: Annotated[
        int | None, typer.Option("--to", min=1, help="Which one of the list (default: the latest other one).")
    ] = None,
    yes: Yes = False,
    timeout: Timeout = "30s",
    no_wait: NoWait = False,
    topology: TopologyFile = None,
    network: NetworkName = None,
    agents: Agents = None,
    as_json: JsonFlag = False,
) -> None:
    """Put a former policy back, as `apply` does: the plan, the question, the change.

    Each change keeps the policy that it replaces, so a second rollback takes back the first.
    """
    with _telling_what_was_done() as progress:
        settings = settings_with_credentials() if listing else _settings(None, yes=yes)
        now = network_now(settings, network, agents[0] if agents else None)
        formers = _history(settings, now.uuid).formers()
        if listing:
            _list(now, formers, as_json=as_json)
            return
        former = _chosen(formers, to, now.document)
        document = former.read()
        how = _How(settings, yes, None, _seconds(timeout, no_wait=no_wait))
        policy = _parsed(document, former)
        _carry_out(document, policy, _places(agents, topology, now.id), how, progress)


@dataclass(frozen=True, slots=True)
class _How:
    settings: Settings
    yes: bool
    expect: str | None
    wait: float | None


def _carry_out(document: PolicyDocument, policy: Policy, places: Places, how: _How, progress: Progress) -> None:
    """The plan, the question, the change."""
    from corral.cli.policy.plan import plan_for_rancher  # noqa: PLC0415 - `--help` does without the compiler

    plan = asyncio.run(plan_for_rancher(document, policy, places, how.settings))
    network = plan.network
    if network is None:
        raise RuntimeError("a plan for Rancher has its network")
    if how.expect not in (None, network.document.digest):
        held = network.document.digest
        raise RefusedChangeError(f"--expect: {how.expect} given, and the policy is {held} now: {UNCHANGED}")
    if _means_the_same(network.document, policy):
        say(f"the policy of {network} is {network.document.digest} already: nothing to change")
        return
    show_plan(plan.document)
    if not how.yes and not typer.confirm("Apply it?", default=False, err=True):
        raise RefusedChangeError(UNCHANGED)
    change = Change(
        network=network,
        document=document,
        history=_history(how.settings, network.uuid),
        agent=places.agents[0],
        wait=how.wait,
    )
    asyncio.run(make_change(how.settings, change, progress, say))


@contextmanager
def _telling_what_was_done() -> Iterator[Progress]:
    """However it ends, the last line says what is changed."""
    progress = Progress()
    try:
        yield progress
    except RefusedChangeError as error:
        say_error(f"corral: {error}")
        raise typer.Exit(1) from None
    except (KeyboardInterrupt, typer.Abort):
        typer.echo(err=True)
        say_error(f"corral: interrupted: {progress.statement}")
        raise typer.Exit(INTERRUPTED) from None


def _settings(file: str | None, *, yes: bool) -> Settings:
    """Raises UsageError where nobody can be asked, and where there are no credentials."""
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty() and file != STANDARD_INPUT):
        raise UsageError(f"--yes is needed where nobody can be asked, as in a pipe: {UNCHANGED}")
    return settings_with_credentials()


def _seconds(timeout: str, *, no_wait: bool) -> float | None:
    wait = read_duration("--timeout", timeout).total_seconds()
    return None if no_wait else wait


def _places(agents: list[str] | None, topology: TopologyFile, network: str | None) -> Places:
    from corral.cli.policy.plan import Places  # noqa: PLC0415 - as above

    return Places(agents=agents or [None], topology=topology, network=network)


def _history(settings: Settings, network: str) -> History:
    return History(settings.state_dir or default_directory(os.environ), network)


def _means_the_same(held: PolicyDocument, policy: Policy) -> bool:
    try:
        return held.parse() == policy
    except PolicyError:
        return False


def _chosen(formers: list[Former], to: int | None, now: PolicyDocument) -> Former:
    if not formers:
        raise UsageError("no former policy is kept here: `corral policy apply` keeps one before each change")
    if to is not None:
        if to > len(formers):
            raise UsageError(f"--to: {to} given; 1 to {len(formers)} is allowed, see --list")
        return formers[to - 1]
    for former in formers:
        if former.digest != now.digest:
            return former
    raise UsageError("every former policy that is kept is the same as the present one")


def _parsed(document: PolicyDocument, former: Former) -> Policy:
    """A policy that no agent accepts may be kept, too: that is what was there."""
    try:
        return document.parse()
    except PolicyError as error:
        raise UsageError(f"{name_of(str(former.path))}: {error}") from error


def _list(network: RancherNetwork, formers: list[Former], *, as_json: bool) -> None:
    if as_json:
        say_json(_listed(network, formers))
        return
    for number, former in enumerate(formers, 1):
        say(f"{number:>3}  replaced {former.at:%Y-%m-%d %H:%M:%S} UTC  {former.digest}  {former.path}")
    if not formers:
        say("no former policy is kept here")


def _listed(network: RancherNetwork, formers: list[Former]) -> FormerPolicies:
    return {
        "network": network.uuid,
        "former": [
            {
                "number": number,
                "replaced_at": rfc3339(former.at.timestamp()),
                "digest": former.digest,
                "file": str(former.path),
            }
            for number, former in enumerate(formers, 1)
        ],
    }
