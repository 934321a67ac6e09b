"""Capabilities of the real kernel, in processes that gave some away."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from corral.dataplane.host.capability import may_administrate

_SOURCE_ROOTS = os.pathsep.join(path for path in sys.path if path)
_NET_ADMIN = 1 << 12

# Puts nothing into effect, as an interpreter with a file capability starts.
_LOWER = """
import asyncio, ctypes
from corral.dataplane.host import capability
from corral.dataplane.kernel import KernelDataplane

def lower():
    header, sets = capability._Header(0x20080522, 0), (capability._Sets * 2)()
    assert ctypes.CDLL(None).capget(ctypes.byref(header), sets) == 0
    sets[0].effective = sets[1].effective = 0
    assert ctypes.CDLL(None).capset(ctypes.byref(header), sets) == 0

async def table():
    async with KernelDataplane() as dataplane:
        return await dataplane.dump()

def effective():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))

def attempt():
    try:
        asyncio.run(table())
    except Exception as error:
        return error
    return "done"
"""


def run(script: str, *wrapper: str) -> list[str]:
    """The lines that a script prints, in a network namespace of its own."""
    command = ["unshare", "--net", *wrapper, sys.executable, "-c", _LOWER + script]
    environment = {**os.environ, "PYTHONPATH": _SOURCE_ROOTS, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_is_permitted_is_raised_and_nothing_else() -> None:
    lines = run("lower(); print(attempt()); capability.raise_net_admin(); print(effective()); print(attempt())")
    assert lines[0].startswith("the kernel refuses nftables to this process: it needs the capability CAP_NET_ADMIN")
    assert lines[1:] == [str(_NET_ADMIN), "done"]


def test_what_is_in_effect_stays() -> None:
    before, after = run("print(effective()); capability.raise_net_admin(); print(effective())")
    assert before == after != "0"


def test_threads_that_come_later_have_it() -> None:
    script = """
from concurrent.futures import ThreadPoolExecutor
lower()
capability.raise_net_admin()
with ThreadPoolExecutor(1) as pool:
    print(pool.submit(attempt).result())
"""
    assert run(script) == ["done"]


@pytest.mark.parametrize(
    ("wrapper", "told", "untold"),
    [
        (("--bounding-set", "-net_admin"), ["--cap-add NET_ADMIN"], ["no-new-privileges", "as root"]),
        (("--reuid", "65532", "--clear-groups", "--no-new-privs"), ["no-new-privileges"], ["--cap-add", "as root"]),
        (
            ("--reuid", "65532", "--clear-groups", "--no-new-privs", "--bounding-set", "-net_admin"),
            ["--cap-add NET_ADMIN", "no-new-privileges"],
            ["as root"],
        ),
        (
            ("--reuid", "65532", "--clear-groups"),
            ["as root", "AmbientCapabilities"],
            ["--cap-add", "no-new-privileges"],
        ),
    ],
)
def test_says_what_would_help(wrapper: tuple[str, ...], told: list[str], untold: list[str]) -> None:
    script = "capability.raise_net_admin(); print(attempt()); print(capability.may_administrate())"
    said, may = run(script, "setpriv", *wrapper)
    assert may == "False"
    assert [words for words in [*told, "CAP_NET_ADMIN"] if words not in said] == []
    assert [words for words in untold if words in said] == []


def test_tells_of_a_user_namespace_of_its_own() -> None:
    said, may = run("print(attempt()); print(capability.may_administrate())", "unshare", "--user", "--map-root-user")
    assert may == "True"
    assert "--userns host" in said


def test_says_nothing_of_what_can_not_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert may_administrate() is True
    monkeypatch.setattr("corral.dataplane.host.capability._STATUS", tmp_path / "status")
    assert may_administrate() is None
