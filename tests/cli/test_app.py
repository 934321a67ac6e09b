"""The command line itself: what it is called with, what it exits with."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def corral(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CORRAL_", "CATTLE_"))}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "corral", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**clean, **variables},
    )


def test_without_arguments_it_shows_its_commands() -> None:
    shown = corral()
    for command in ("agent", "demo", "status", "explain", "ruleset", "cleanup"):
        assert command in shown.stdout


def test_the_version() -> None:
    ran = corral("--version")
    assert (ran.returncode, ran.stdout.split()[0]) == (0, "corral")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["agents"], "agents"),
        (["agent", "--listn", "x"], "--listen"),
        (["agent", "--mode", "on"], "CORRAL_MODE: 'on' given; Input should be 'enforce', 'audit' or 'off'"),
        (["agent", "--listen", "8799"], "CORRAL_LISTEN: '8799' given; host:port is allowed"),
        (["status", "--agent", "foo"], "corral: --agent: 'foo' given; host:port is allowed"),
        (["status", "--agent", "a..b:80"], "the address is not valid"),
        (["explain", "one"], "server"),
        (["demo", "--hosts", "1"], "--hosts"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(arguments: list[str], said: str) -> None:
    ran = corral(*arguments)
    assert ran.returncode == 2
    assert said.lower() in ran.stderr.lower()


def test_an_unknown_variable_is_an_error_of_every_command_that_reads_settings() -> None:
    for command in (["agent"], ["status"]):
        ran = corral(*command, CORRAL_LISTN="127.0.0.1:1")
        assert ran.returncode == 2
        assert "the nearest known one is CORRAL_LISTEN" in ran.stderr


def test_an_agent_that_can_not_be_reached_exits_with_3() -> None:
    for command in (["status"], ["explain", "a", "b"], ["ruleset"]):
        ran = corral(*command, "--agent", "127.0.0.1:1")
        assert ran.returncode == 3
        assert "no agent answers at http://127.0.0.1:1" in ran.stderr
        assert "Traceback" not in ran.stderr
