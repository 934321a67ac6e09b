"""Every command over answers whose every text is hostile: what is printed tells a terminal nothing."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from itertools import cycle
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from aiohttp import web
from rich.console import Console
from typing_extensions import get_type_hints, is_typeddict

from corral.cli.policy.text import show_plan
from corral.cli.schema import DOCUMENTS
from corral.documents.plan import PlanDocument

from ..sources.servers import http_server
from .managed import corral

# Colour, the CSI of one character, a title, the other direction, an invisible tag, new lines of all kinds, half a pair.
HOSTILE = "a\x1b[31m\x9b2J\x1b]0;t\x07\x7f\u202e\U000e0001\u2028\r\n\tFORGED  b [red]c[/red] :warning: \ud800"

PATHS = {
    "/v1/connections": "connections",
    "/v1/containers": "containers",
    "/v1/containers/x/programmed": "programmed",
    "/v1/denied": "denied",
    "/v1/explain": "explain",
    "/v1/hosts": "hosts",
    "/v1/rules": "rules",
    "/v1/state": "state",
    "/readyz": "health",
}
COMMANDS = (
    ["connections"],
    ["connections", "--differ"],
    ["containers"],
    ["denied"],
    ["explain", "a", "b"],
    ["hosts"],
    ["rules"],
    ["ruleset"],
    ["status"],
    ["wait", "x"],
)


def hostile(kind: Any, turn: Iterator[int]) -> Any:
    """A value of a documented shape, with other choices in each turn."""
    if is_typeddict(kind):
        return {name: hostile(part, turn) for name, part in get_type_hints(kind).items()}
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return parts[next(turn) % len(parts)]
    if origin in (Union, UnionType):
        return hostile(parts[next(turn) % len(parts)], turn)
    if origin is list:
        return [hostile(parts[0], turn) for _ in range(3)]
    if origin is dict:
        return {HOSTILE: hostile(parts[1], turn)}
    return {str: HOSTILE, int: 3, float: 2.5, bool: bool(next(turn) % 2), type(None): None}.get(kind, HOSTILE)


def strangely(turn: Iterator[int]) -> Callable[[web.BaseRequest], Awaitable[web.Response]]:
    async def answer(request: web.BaseRequest) -> web.Response:
        if request.path in ("/v1/ruleset", "/v1/topology"):
            start = '{"format":"corral-topology/1", "text": "' if request.path == "/v1/topology" else ""
            text = HOSTILE.replace("\ud800", "").translate({10: None, 13: None, 9: None, 27: None, 7: None})
            return web.Response(text=f'{start}{text}"}}' if start else HOSTILE[:-1])
        document = hostile(DOCUMENTS[PATHS[request.path]], turn)
        if request.path == "/v1/state":
            document["help"] = [HOSTILE for _ in document["reasons"]]
        return web.json_response(document)

    return answer


def shown_on(*, terminal: bool, width: int) -> Callable[..., Console]:
    return lambda errors=False: Console(
        stderr=errors, force_terminal=terminal, color_system=None, width=width, highlight=False
    )


def check_printed(text: str) -> None:
    odd = {character for character in text if not character.isprintable()} - set("\n\t")
    assert not odd, f"{sorted(odd)!r} in {text[:400]!r}"
    assert not text.count("\nFORGED"), "a name makes a line"


@pytest.mark.parametrize("start", range(6))
async def test_what_is_printed_tells_a_terminal_nothing(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for width, terminal in ((500, True), (80, False)):
        for module in ("output", "denied"):
            monkeypatch.setattr(f"corral.cli.{module}.console", shown_on(terminal=terminal, width=width))
        monkeypatch.setattr("corral.cli.output._plain", lambda _, terminal=terminal: not terminal)
        async with http_server(strangely(cycle(range(start, start + 7)))) as url:
            for command in COMMANDS:
                for option in ((), ("--json",)):
                    ran = await corral(*command, *option, "--agent", url.removeprefix("http://"))
                    assert ran.status in (0, 1), (command, ran.errors)
                    check_printed(ran.output)
                    check_printed(ran.errors)
                    assert not option or json.loads(ran.output)
            ran = await corral("topology", "--agent", url.removeprefix("http://"))
            check_printed(ran.output)
            assert json.loads(ran.output)["text"].startswith("a[31m\x9b2J")


@pytest.mark.parametrize("start", range(4))
def test_a_plan_tells_a_terminal_nothing(start: int, capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(hostile(PlanDocument, cycle(range(start, start + 5))))
    check_printed(capsys.readouterr().out)
