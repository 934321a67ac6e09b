"""`corral doctor`: a look at everything that enforcement depends on."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import typer

import corral
from corral.cli.asking import AgentAddress
from corral.cli.output import JsonFlag, say, say_json
from corral.config import Settings, load_settings
from corral.dataplane.host.capability import raise_net_admin
from corral.errors import UsageError

if TYPE_CHECKING:
    from corral.documents.doctor import Check, Examination
    from corral.sources.agent import AgentClient

_STYLES = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "dim"}
_COUNTED = frozenset({"warning", "problem"})


def doctor(agent: AgentAddress = None, as_json: JsonFlag = False) -> None:
    """Look at all that enforcement depends on, and say what to do. Exit status 1 when there is a problem.

    Run it in the host's network namespace with CAP_NET_ADMIN. It changes nothing, and works without an agent.
    """
    raise_net_admin()
    found = asyncio.run(examination(agent))
    if as_json:
        say_json(found)
    else:
        for check in found["checks"]:
            _show(check)
        _summarise(found)
    raise typer.Exit(1 if found["problems"] else 0)


async def examination(agent: str | None) -> Examination:
    """What the doctor finds; wrong settings are among it. Raises UsageError for a wrong `--agent`."""
    from corral.daemon.times import rfc3339  # noqa: PLC0415 - as above
    from corral.support.doctor import judge  # noqa: PLC0415 - `--help` does without the daemon
    from corral.support.examination import examine  # noqa: PLC0415 - as above

    settings, error = readable_settings(agent)
    findings = await examine(settings, client_of(settings), error)
    checks = judge(findings)
    problems = sum(check["outcome"] == "problem" for check in checks)
    return {"version": corral.__version__, "at": rfc3339(findings.now), "problems": problems, "checks": checks}


def readable_settings(agent: str | None) -> tuple[Settings, str | None]:
    """The settings, or the defaults and what is wrong with them. Raises UsageError for a wrong `--agent`."""
    flags, names = {"listen": agent}, {"listen": "--agent"}
    try:
        return load_settings(os.environ, flags, flag_names=names), None
    except UsageError as error:
        return load_settings({}, flags, flag_names=names), str(error)


def client_of(settings: Settings) -> AgentClient:
    """A client for the agent that listens where the settings say."""
    from corral.sources.agent import AgentClient  # noqa: PLC0415 - as above

    listen = settings.listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return AgentClient(host, listen.port)


def _show(check: Check) -> None:
    say(f"{check['outcome']:8} {check['check']}: {check['found']}", _STYLES[check["outcome"]])
    if check["remedy"]:
        say(f"         {check['remedy']}")


def _summarise(found: Examination) -> None:
    counts = {outcome: sum(check["outcome"] == outcome for check in found["checks"]) for outcome in _STYLES}
    told = [f"{count} {outcome}{'s' * (count != 1 and outcome in _COUNTED)}" for outcome, count in counts.items()]
    say(", ".join(told), "red" if found["problems"] else None)
