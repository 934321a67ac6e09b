"""Every command as a new user tries it: in a pipe, on a terminal, as JSON, with good input and bad.

A command that has no entry in `CASES` fails the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from corral.cli.app import COMMANDS
from corral.cli.policy import group
from corral.cli.schema import DOCUMENTS

from ..daemon.running import until
from ..documents.checking import check
from ..e2e.places import Ran
from ..sources.servers import http_server
from .managed import DENY_ALL, FOREIGN, WITHIN_STACK, Managed, managed
from .terminal import session

pytestmark = pytest.mark.asyncio(loop_scope="module")

EXPECTATIONS = [{"client": "front/web", "server": "front/db", "port": "80/tcp", "verdict": "allow"}]
FILES = {
    "POLICY": WITHIN_STACK,
    "DENY": DENY_ALL,
    "BAD": {"defaultPolicyAction": "dny", "policy": []},
    "EXPECTATIONS": EXPECTATIONS,
    "TYPO": [{**EXPECTATIONS[0], "client": "front/wbe"}],
}
NOBODY = "127.0.0.1:1"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-7]|9[0-7])m")


@dataclass(frozen=True)
class Bad:
    """Input that is wrong, the exit status and words of the complaint."""

    arguments: str
    says: str
    status: int = 2


@dataclass(frozen=True)
class Case:
    """How a command is tried. Words in capitals are files of `FILES`, or a new one.

    `document`: what `--json` prints (None: there is no such option). `alone`: the exit status without an agent.
    """

    arguments: str = ""
    status: int = 0
    says: str = ""
    document: str | None = None
    alone: int = 3
    bad: tuple[Bad, ...] = field(default=())


_TYPO = "no endpoint is called 'front/wbe'.*did you mean front/web"
_NO_FILE = Bad("nowhere.json", "nowhere.json: No such file or directory")
_BAD_POLICY = 'defaultPolicyAction: given "dny"; allowed: "allow" or "deny"'

CASES: dict[str, Case] = {
    "status": Case(status=1, says=r"there is no bridge absent in this network namespace", document="state"),
    "explain": Case(
        "front/web front/db --port 80/tcp",
        says="ALLOW  front/web/front-web-1",
        document="explain",
        bad=(
            Bad("front/wbe front/db", _TYPO),
            Bad("front/web front/db --port 80/tco", "port: '80/tco' given; 1-65535 is allowed"),
            Bad("front/web", "Missing argument 'SERVER'"),
            Bad("front/web front/db --policy BAD", _BAD_POLICY),
            Bad("front/web front/db --topology nowhere.json", "nowhere.json"),
        ),
    ),
    "denied": Case(
        document="denied",
        bad=(
            Bad("--client front/wbe", _TYPO),
            Bad("--since soon", "since: 'soon' given; a number with a unit is allowed"),
            Bad("--limit 0", "limit: '0' given; 1-1000 is allowed"),
        ),
    ),
    "rules": Case(says=r"policy\[0\]  allow", document="rules"),
    "connections": Case(says="flows tracked on host1 in all", document="connections"),
    "containers": Case(says="front/web .* front-web-1 .* no ", document="containers"),
    "hosts": Case(says="host1  .*  this", document="hosts"),
    "wait": Case(
        "front-web-1 --timeout 20ms",
        status=1,
        says="front-web-1 is not programmed: there is no bridge absent",
        document="programmed",
        bad=(
            Bad("front-wbe-1 --timeout 1ms", "", status=1),
            Bad("front-web-1 --timeout soon", "--timeout: 'soon' given; a number with a unit is allowed"),
        ),
    ),
    "ruleset": Case(says="table inet corral", document="ruleset", bad=(Bad("wanted", "'wanted' is not one of"),)),
    "topology": Case(says="corral-topology/", document="topology"),
    "doctor": Case(status=1, says="problem", document="doctor", alone=1),
    "bundle": Case("--output NEW", says="read them before", alone=0, bad=(Bad("--output POLICY", "is there already"),)),
    "schema": Case("rules", says="PolicyRule|properties", alone=0, bad=(Bad("rulse", "did you mean rules"),)),
    "cleanup": Case(
        "--legacy --dry-run", says="to remove|would remove", alone=0, bad=(Bad("--dry-run", "go with --legacy"),)
    ),
    "policy show": Case(
        says="policy of ipsec",
        document="policy-file",
        alone=0,
        bad=(Bad("--network nowhere", "--network: 'nowhere' given"),),
    ),
    "policy validate": Case(
        "POLICY",
        says="valid: 1 rule, default deny",
        document="policy-check",
        alone=3,
        bad=(_NO_FILE, Bad("BAD", _BAD_POLICY, status=1)),
    ),
    "policy plan": Case(
        "DENY", says="closes 1 service pair|closes", document="plan", bad=(_NO_FILE, Bad("BAD", _BAD_POLICY))
    ),
    "policy apply": Case(
        "POLICY --yes",
        says="nothing to change",
        bad=(
            Bad("nowhere.json --yes", _NO_FILE.says),
            Bad("BAD --yes", _BAD_POLICY),
            Bad("DENY", "--yes is needed where nobody can be asked"),
        ),
    ),
    "policy rollback": Case(
        "--list",
        says="no former policy is kept here",
        document="policy-history",
        alone=0,
        bad=(Bad("--to 0 --yes", "--to"), Bad("--yes", "no former policy is kept here")),
    ),
    "policy test": Case(
        "EXPECTATIONS",
        says="1 of 1 expectations? holds?",
        document="policy-test",
        bad=(_NO_FILE, Bad("TYPO", "front/wbe.*did you mean front/web")),
    ),
}
# These serve and show; they are tried in tests of their own.
ELSEWHERE = {"agent", "demo", "policy"}
each = pytest.mark.parametrize("name", CASES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Managed]:
    """One agent for all, which enforces."""
    async with managed(tmp_path_factory.mktemp("place")) as one:
        for name, content in FILES.items():
            one.file(content, name)
        environment = one.running.environment
        # A host's own bridge must not make a difference here; the agent is told of one that no host has.
        environment._update(environment.network, cni={**(environment.network.cni or {}), "bridge": "absent"})
        await until(lambda: "absent" in str(one.running.agent.facts.reasons()))
        yield one


@pytest.fixture
def words(place: Managed, tmp_path: Path) -> Callable[[str, str], list[str]]:
    """A command as arguments; its files are in their place."""

    def split(name: str, arguments: str) -> list[str]:
        files = {"NEW": str(tmp_path / "new")} | {each: str(place.folder / each) for each in FILES}
        return [files.get(word, word) for word in f"{name} {arguments}".split()]

    return split


Words = Callable[[str, str], list[str]]


async def test_every_command_is_tried() -> None:
    root = set(COMMANDS) | {f"policy {name}" for name in group.COMMANDS}
    assert root - ELSEWHERE == set(CASES)


async def test_what_is_printed_as_json_is_a_document(place: Managed) -> None:
    for name, case in CASES.items():
        assert (case.document is None) or case.document in DOCUMENTS
        shown = (await place.corral(*name.split(), "--help", NO_COLOR="1", TERM="dumb")).output
        assert ("Print JSON" in shown) == (case.document is not None), name


async def piped(*arguments: str, place: Managed, **variables: str) -> Ran:
    """A process of its own in a pipe."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "corral",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**inherited, **place.variables, **variables},
    )
    output, errors = await process.communicate()
    return Ran(process.returncode or 0, output.decode(), errors.decode())


def shape(text: str) -> list[str]:
    """The lines, but for what changes from one moment to the next: times, counts, folders."""
    return [re.sub(r"\s+", " ", re.sub(r"/\S+|\d+", "0", line)) for line in text.splitlines()]


@each
async def test_in_a_pipe(name: str, place: Managed, words: Words) -> None:
    case = CASES[name]
    ran = await piped(*words(name, case.arguments), place=place, COLUMNS="40", TERM="xterm")
    assert (ran.status, ran.errors) == (case.status, "")
    assert re.search(case.says, ran.output), ran.output
    assert ran.output.replace("\n", "").replace("\t", "").isprintable()
    if name == "bundle":
        return  # its file is there now
    wide = await place.corral(*words(name, case.arguments), COLUMNS="400", NO_COLOR="1")
    assert shape(wide.output) == shape(ran.output)


@each
async def test_on_a_terminal(name: str, place: Managed, words: Words) -> None:
    case = CASES[name]
    colourful = {**place.variables, "NO_COLOR": "", "TERM": "xterm", "COLUMNS": "40"}
    async with session(*words(name, case.arguments), variables=colourful) as screen:
        status = await screen.ends()
    assert status == case.status
    plain = ESCAPE.sub("", screen.printed)
    assert plain.replace("\n", "").replace("\t", "").isprintable()
    assert re.search(case.says, plain), plain


async def test_no_colour_where_none_is_wanted(place: Managed) -> None:
    for variables, coloured in (({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)):
        async with session("status", variables={**place.variables, "TERM": "xterm", **variables}) as screen:
            await screen.ends()
        assert bool(COLOUR.search(screen.printed)) == coloured


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.document])
async def test_json_has_the_shape_that_is_documented(name: str, place: Managed, words: Words) -> None:
    case = CASES[name]
    ran = await place.corral(*words(name, case.arguments), "--json")
    assert (ran.status, ran.errors) == (case.status, "")
    assert case.document is not None
    check(DOCUMENTS[case.document], json.loads(ran.output))


@each
async def test_bad_input_is_named_and_what_is_allowed(name: str, place: Managed, words: Words) -> None:
    case = CASES[name]
    for bad in (*case.bad, Bad(f"{case.arguments} --agnet x", "No such option.*--agnet")):
        ran = await place.corral(*words(name, bad.arguments), NO_COLOR="1", TERM="dumb", COLUMNS="400")
        assert ran.status == bad.status, (bad, ran)
        assert re.search(bad.says, ran.errors + (ran.output if bad.status == 1 else "")), (bad, ran)
        assert "Traceback" not in ran.errors


@each
async def test_without_an_agent(name: str, place: Managed, words: Words) -> None:
    case = CASES[name]

    async def stranger(_: web.BaseRequest) -> web.Response:
        return web.Response(text="<html>", content_type="text/html")

    async with http_server(stranger) as url:
        for number, agent in enumerate((NOBODY, url.removeprefix("http://"))):
            named = ("--agent", agent) if "validate" in name else ()
            arguments = [word.replace("/new", f"/new{number}") for word in words(name, case.arguments)]
            ran = await place.corral(*arguments, *named, CORRAL_LISTEN=agent)
            assert ran.status == case.alone, ran
            if case.alone == 3:
                assert ran.output == ""
                sentence = "no agent answers at" if agent == NOBODY else "something else listens there"
                assert re.fullmatch(rf"corral: .*{sentence}.*\n", ran.errors), ran


async def test_who_mistypes_a_command_is_told_which_was_meant(place: Managed) -> None:
    for typed, meant in (("statu", "status"), ("policy aply", "apply")):
        ran = await place.corral(*typed.split())
        assert (ran.status, f"Did you mean '{meant}'?" in ran.errors) == (2, True), ran
