"""Installing without Docker: the very commands of docs/installing.md, and the units that they install."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from configparser import RawConfigParser
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

import corral
from corral.errors import UnreachableError
from corral.sandbox.agents import LISTEN
from corral.sandbox.exchange import request
from corral.sandbox.namespace import Namespace
from corral.sandbox.world import Sandbox

from ..e2e.places import ENFORCED, nft, one_host, run_on_host, verdicts
from .tool import ROOT, tool

UNITS = ROOT / "docker/systemd"
PLACES = ("/opt/", "/etc/", "/var/lib/")


def commands(heading: str) -> str:
    """The first block of shell commands below a heading of docs/installing.md."""
    text = (ROOT / "docs/installing.md").read_text()
    found = re.search(rf"^## {heading}\n.*?^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


class Unit:
    """A unit as it is, with the places of a host below a folder of the test's."""

    def __init__(self, name: str, root: Path) -> None:
        self._parser = RawConfigParser(strict=False)
        self._parser.optionxform = str  # type: ignore[assignment,method-assign]
        self._parser.read_string(relocated((UNITS / name).read_text(), root))

    def __getitem__(self, name: str) -> str:
        return self._parser["Service"][name]


def relocated(text: str, root: Path) -> str:
    for place in PLACES:
        text = re.sub(rf"(?<![\w/]){place}", f"{root}{place}", text)
    return text


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands make of a host, in a folder; they run but for what asks systemd."""
    packages, root = tmp_path_factory.mktemp("packages"), tmp_path_factory.mktemp("host")
    tool.make_packages(tool.Tree(ROOT), packages)
    tool.write_sums(packages)
    lines = relocated(commands("By hand, with systemd"), root).splitlines()
    script = "\n".join(line for line in lines if not line.startswith("systemctl "))
    for folder in ("etc/systemd/system", "etc/modules-load.d", "etc/sysctl.d"):  # every host with systemd has them
        (root / folder).mkdir(parents=True)
    settings = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PIP_NO_COMPILE": "1"}  # to save time
    subprocess.run(["bash", "-eux", "-c", script], cwd=packages, env={**os.environ, **settings}, check=True)  # noqa: S603, S607
    return root


def test_the_commands_install_what_the_units_need(host: Path) -> None:
    corral_command, *_ = Unit("corral.service", host)["ExecStart"].split()
    said = subprocess.run([corral_command, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    assert said == f"corral {corral.__version__}\n"
    assert (host / "etc/corral/corral.env").stat().st_mode & 0o777 == 0o600
    installed = {path.name for path in (host / "etc/systemd/system").iterdir()}
    assert installed == {path.name for path in UNITS.glob("*.service")}
    packages = {path.name.split("-")[0] for path in (host / "opt/corral").rglob("*.dist-info")}
    assert "corral" in packages
    assert not {"hatchling", "pytest"} & packages


async def test_what_the_unit_starts_enforces_with_what_the_unit_grants(host: Path) -> None:
    """Settings from the file, one capability, nothing new by exec: by setpriv, for no systemd runs here."""
    unit = Unit("corral.service", host)
    assert unit["AmbientCapabilities"] == unit["CapabilityBoundingSet"] == "CAP_NET_ADMIN"
    assert unit["NoNewPrivileges"] == "yes"
    variables = dict(line.split("=", 1) for line in _settings(Path(unit["EnvironmentFile"].removeprefix("-"))))
    assert variables == {"CORRAL_MODE": "audit"}
    grants = ["--inh-caps=-all,+net_admin", "--ambient-caps=+net_admin", "--bounding-set=-all,+net_admin"]
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        assert await sandbox.agents[0].stop() == 0
        settings = {"PATH": "", "CORRAL_LISTEN": LISTEN, **sandbox.agents[0].settings, **variables}
        with sandbox.topology.hosts[0].namespace:
            process = subprocess.Popen(  # noqa: ASYNC220, S603
                ["/usr/bin/setpriv", *grants, "--no-new-privs", *unit["ExecStart"].split()], env=settings
            )
        try:
            assert (await _ready(sandbox.topology.hosts[0].namespace))["mode"] == "audit"
            assert await verdicts(sandbox) == (True, True)
        finally:
            process.terminate()
            process.wait()


async def _ready(namespace: Namespace) -> dict[str, Any]:
    """What the agent there answers once it is ready."""
    async with asyncio.timeout(20):
        while True:
            with suppress(UnreachableError):
                answer = await request(namespace, f"http://{LISTEN}/readyz")
                if answer.status == 200:
                    return cast("dict[str, Any]", answer.json())
            await asyncio.sleep(0)


def _settings(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


async def test_a_table_that_was_kept_enforces_after_a_boot_and_is_taken_over_as_it_is(tmp_path: Path) -> None:
    unit = Unit("corral-table.service", tmp_path)
    (tmp_path / "var/lib/corral-table").mkdir(parents=True)

    async def runs(sandbox: Sandbox, line: str) -> None:
        shell, option, script = line.split(maxsplit=2)
        ran = await run_on_host(sandbox, shell, option, script.strip("'"))
        assert ran.status == 0, ran.errors

    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        await runs(sandbox, unit["ExecStart"])  # nothing kept: the table that is there stays
        await runs(sandbox, unit["ExecStop"])
        assert await sandbox.agents[0].stop() == 0
        await nft(sandbox, "flush", "ruleset")
        assert await verdicts(sandbox) == (True, True)
        await runs(sandbox, unit["ExecStart"])
        assert await verdicts(sandbox) == ENFORCED
        sandbox.agents[0].start()
        await sandbox.enforced()
        assert (await sandbox.agents[0].state())["kernel"]["commits"] == 0
        await runs(sandbox, unit["ExecStart"])  # again, beside a table: nothing
        assert await sandbox.agents[0].stop() == 0
        await nft(sandbox, "flush", "ruleset")
        await runs(sandbox, unit["ExecReload"])
        await runs(sandbox, unit["ExecStart"])
        assert await nft(sandbox, "list", "ruleset") == ""


@pytest.mark.parametrize("which", ["ExecStop", "ExecReload"])
async def test_a_disk_that_is_full_leaves_the_table_that_was_kept_before(which: str, tmp_path: Path) -> None:
    """nft says nothing of what it could not write."""
    unit, kept = Unit("corral-table.service", tmp_path), tmp_path / "var/lib/corral-table/nft"
    kept.parent.mkdir(parents=True)
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        script = unit[which].split(maxsplit=2)[2].strip("'")
        assert (await run_on_host(sandbox, "/bin/sh", "-c", script)).status == 0
        whole = kept.read_text()
        assert whole.endswith("\n}\n")
        full = "trap '' XFSZ; ulimit -f 1; "  # files of one block, as where no other is free
        await run_on_host(sandbox, "/bin/sh", "-c", full + script)
        assert 0 < (kept.parent / "new").stat().st_size < len(whole)
        assert kept.read_text() == whole


@pytest.mark.parametrize("name", sorted(path.name for path in UNITS.glob("*.service")))
def test_systemd_takes_the_units(name: str, tmp_path: Path) -> None:
    """Without a word; the command of the real unit is on no machine that tests run on."""
    unit = tmp_path / name
    unit.write_text((UNITS / name).read_text().replace("/opt/corral/bin/corral", "/bin/true"))
    checked = subprocess.run(  # noqa: S603
        ["systemd-analyze", "verify", "--man=no", unit],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_systemd_rates_the_agents_unit_as_little_exposed() -> None:
    """Out of 10; what is left are the capability itself, the host's network, and addresses that it may speak to."""
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=18", str(UNITS / "corral.service")]
    rated = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert rated.returncode == 0, rated.stdout


def test_the_modules_are_those_that_the_page_names() -> None:
    named = re.findall(r"^modprobe -a (.+)$", commands("What a host needs"), re.MULTILINE)[0].split()
    listed = [line for line in (UNITS / "corral-modules.conf").read_text().splitlines() if not line.startswith("#")]
    assert listed == named
