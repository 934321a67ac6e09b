"""`corral wait`: until a container is programmed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from corral.cli.asking import AgentAddress, complete_name, document
from corral.cli.output import JsonFlag, say, say_json
from corral.errors import UsageError
from corral.values import read_duration

if TYPE_CHECKING:
    from corral.documents.containers import Programmed

# One question waits so long: an agent that is gone shows soon.
QUESTION = 5.0


def wait(
    container: Annotated[
        str,
        typer.Argument(metavar="CONTAINER", help="A container's name, uuid or address.", autocompletion=complete_name),
    ],
    timeout: Annotated[str, typer.Option(help="How long to wait, such as 30s or 2m.")] = "30s",
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """Wait until the kernel holds what the policy says of a container of this host. Exit status 1 when it does not."""
    if not container.strip():
        raise UsageError("CONTAINER: '' given; a container's name, uuid or address is allowed")
    patience = read_duration("--timeout", timeout).total_seconds()
    answer = asked_until(lambda wait: _ask(agent, container, wait), patience)
    if as_json:
        say_json(answer)
    else:
        say(answer["sentence"], "green" if answer["programmed"] else "red")
        say(f"  {'waited' if answer['final'] else 'gave up after'} {answer['waited_seconds']:.1f} s")
    raise typer.Exit(0 if answer["programmed"] else 1)


def asked_until(
    ask: Callable[[float], Programmed], patience: float, clock: Callable[[], float] = time.monotonic
) -> Programmed:
    """Ask until the answer is final or so many seconds are over; `waited_seconds` is the sum of the agent's."""
    began, waited = clock(), 0.0
    while True:
        left = max(0.0, patience - (clock() - began))
        answer = ask(min(left, QUESTION))
        waited += answer["waited_seconds"]
        if answer["final"] or left <= QUESTION:
            return {**answer, "waited_seconds": round(waited, 3)}


def _ask(agent: str | None, container: str, wait: float) -> Programmed:
    path = f"/v1/containers/{quote(container, safe='')}/programmed"
    found: Programmed = document(agent, path, {"wait": f"{wait * 1000:.0f}ms"}, has="programmed")  # type: ignore[assignment]
    return found
