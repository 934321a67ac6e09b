"""`corral explain`: asked of an agent at work, and of files, by somebody without any privilege."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.json import encode

from corral.cli.explain import MOST_SHOWN, show
from corral.daemon.answers.explain import explain
from corral.daemon.answers.topology import topology_document, topology_of
from corral.documents.explain import Explanation
from corral.sandbox.documents import render_root
from corral.sandbox.world import Sandbox

from ..daemon.running import desk_of, running_agent, small_environment, until
from ..documents.checking import check
from ..e2e.places import corral, one_host

# Root without capabilities is no more than anybody else, but for the files that it owns.
WITHOUT_PRIVILEGES = ("setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all") if not os.geteuid() else ()


def offline(*arguments: str, text: bytes = b"", **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - our own command
        [*WITHOUT_PRIVILEGES, sys.executable, "-m", "corral", "explain", *arguments],
        input=text,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "CORRAL_LISTEN": "127.0.0.1:1", **variables},
    )


def topology_file(directory: Path) -> Path:
    path = directory / "topology.json"
    path.write_bytes(encode(topology_document(topology_of(desk_of(small_environment()), "enforce"), "now")))
    return path


async def test_an_agent_at_work_explains_by_its_kernel(tmp_path: Path) -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        may = await corral(sandbox, "explain", "front/web", "front-db-1", "--port", "80/tcp")
        assert (may.status, may.output.split()[0]) == (0, "ALLOW")
        assert "this host; in the kernel since 20" in may.output
        may_not = await corral(sandbox, "explain", "back/job", "front/db", "--port", "80")
        assert may_not.status == 1
        assert "DENY" in may_not.output
        assert "policy[0] does not match (within stack: allow)" in may_not.output
        assert "to allow it: " in may_not.output
        answer = json.loads((await corral(sandbox, "explain", "back/job", "front/db", "--json")).output)
        check(Explanation, answer)
        assert answer["flows"][0]["enforced"][0]["programmed"] is True

        saved = await corral(sandbox, "topology")
        path = tmp_path / "topology.json"
        path.write_text(saved.output)
        again = json.loads(
            (await corral(sandbox, "explain", "back/job", "front/db", "--json", "--topology", str(path))).output
        )
        for told in (answer, again):
            for flow in told["flows"] + told["reverse"]["flows"]:
                flow["enforced"] = []  # a file does not know what is programmed
        assert again == answer

        policy = tmp_path / "policy.json"
        policy.write_text('{"defaultPolicyAction": "allow", "policy": null}')
        what_if = await corral(sandbox, "explain", "back/job", "front/db", "--policy", str(policy))
        assert (what_if.status, what_if.output.split()[0]) == (0, "ALLOW")

        typo = await corral(sandbox, "explain", "front/wev", "front/db")
        assert typo.status == 2
        assert "did you mean front/web" in typo.errors
        port = await corral(sandbox, "explain", "front/web", "front/db", "--port", "80/sctp")
        assert port.status == 2
        assert "80/sctp" in port.errors


def test_files_will_do_without_an_agent_and_without_privileges(tmp_path: Path) -> None:
    path, policy = topology_file(tmp_path), tmp_path / "policy.json"
    denied = offline("back/job", "front/db", "--topology", str(path))
    assert (denied.returncode, denied.stdout.split()[0], denied.stderr) == (1, b"DENY", b"")
    policy.write_text('{"defaultPolicyAction": "deny", "policy": [{"between": {"selector": "x"}, "action": "deny"}]}')
    asked = ("front/web", "front/db", "--port", "80/tcp", "--topology")
    assert offline(*asked, str(path)).returncode == 0
    assert offline(*asked, str(path), "--policy", str(policy)).returncode == 1


def test_the_metadata_can_be_piped_in() -> None:
    environment = small_environment()
    environment.publish_ports("front-db-1", "0.0.0.0:8080:80/tcp")
    document = encode(render_root(environment.records, environment.host(0)))
    answer = offline("back/job", "front/db", "--port", "80/tcp", "--topology", "-", text=document)
    assert answer.returncode == 1
    assert b"beware: port 80/tcp of front-db-1 is published as 8080 on host1" in answer.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "standard input: "), ('{"format": "corral-topology/1"}', "standard input: document: Object missing")],
)
def test_bad_files_exit_with_2(text: str, said: str) -> None:
    answer = offline("a", "b", "--topology", "-", text=text.encode())
    assert answer.returncode == 2
    assert said in answer.stderr.decode()


def shown(capsys: pytest.CaptureFixture[str], answer: Any) -> list[str]:
    show(answer)
    return capsys.readouterr().out.splitlines()


def test_in_audit_mode_nothing_looks_as_if_it_was_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    answer = explain(topology_of(desk_of(small_environment()), "audit"), "back/job", "front/db", None)
    lines = shown(capsys, answer)
    assert lines[0].startswith("AUDIT (would be denied)  back/job/back-job-1")
    assert not any(line.lstrip().startswith("DENY") for line in lines)
    assert any(line.startswith("note: AUDIT: nothing is dropped") for line in lines)


def test_long_lists_are_cut_and_names_from_outside_are_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    environment = small_environment()
    ports = [f"{8000 + number}:{number}/tcp" for number in range(1, MOST_SHOWN + 3)]
    environment.publish_ports("front-db-1", *ports)
    environment.add_stack("evil")
    environment.add_service("evil/[red]\x1b[2J")
    name = environment.create_container("evil/[red]\x1b[2J").name
    environment.set_running(name, environment.allocate_address(0))
    lines = shown(capsys, explain(topology_of(desk_of(environment), "enforce"), name, "front/db", None))
    assert lines[0].startswith("DENY  evil/[red]\\x1b[2j/")
    assert not any("\x1b" in line for line in lines)
    assert len([line for line in lines if line.startswith("beware: port ")]) == MOST_SHOWN
    assert "beware: and 2 more, see --json" in lines


def test_no_line_is_broken_in_a_pipe(tmp_path: Path) -> None:
    wide = offline("back/job", "front/db", "--topology", str(topology_file(tmp_path)), COLUMNS="40")
    assert wide.stdout.decode().splitlines()[0].endswith("  icmp")


def completed(agent: str, words: str) -> tuple[int, list[str], str]:
    """What the shell is told when the key is pressed at the end of the words."""
    variables = {"_CORRAL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'corral'; from corral.cli import main; main()"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "CORRAL_LISTEN": agent, **variables},
    )
    return ran.returncode, ran.stdout.split(), ran.stderr


async def test_the_shell_completes_names() -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        agent = running.url.removeprefix("http://")
        assert await asyncio.to_thread(completed, agent, "corral explain front/") == (0, ["front/db", "front/web"], "")
        assert await asyncio.to_thread(completed, agent, "corral explain a back-") == (0, ["back-job-1"], "")


def test_without_an_agent_the_shell_is_told_nothing() -> None:
    assert completed("127.0.0.1:1", "corral explain front/") == (0, [], "")
