from __future__ import annotations

import asyncio
import io
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from corral.sandbox.demo import INTERRUPTED, Demo, _way_into, run_demo
from corral.sandbox.scenarios import SCENARIOS, Scenario
from corral.sandbox.world import Sandbox

SOURCE = Path(__file__).parents[2] / "src"
DEMO = """
import sys
from rich.console import Console
from corral.sandbox.demo import run_demo
from corral.sandbox.namespace import enter_sandbox
enter_sandbox()
sys.exit(run_demo(hosts=2, keep=False, console=Console()))
"""


def test_the_whole_demo_agrees_with_the_policy() -> None:
    written = io.StringIO()
    assert run_demo(hosts=2, keep=False, console=Console(file=written, width=100)) == 0
    text = written.getvalue()
    assert all(scenario.title in text for scenario in SCENARIOS)
    counts = re.findall(r"(\d+) of (\d+) probes agree", text)
    assert len(counts) == len(SCENARIOS) + 1
    assert all(agreeing == count for agreeing, count in counts)
    assert text.splitlines()[-1].startswith("Every packet agrees with the policy")
    assert "\x1b" not in text


async def test_disagreements_are_named_and_fail_the_demo(sandbox: Sandbox) -> None:
    written = io.StringIO()
    demo = Demo(Console(file=written, width=200))
    assert demo.status == 1, "not finished"
    await demo._show_scenario(sandbox, Scenario("Nobody", (), "deny", ("one", "two")))
    demo._conclude(2, 0.0)
    assert demo.status == 1
    text = written.getvalue()
    assert "DISAGREES: one-a-1 (10.42.1.2) -> one-b-1 (10.42.1.3) tcp/80: answered" in text
    assert "disagreements with the policy:" in text


async def test_keeping_up_says_how_to_look(sandbox: Sandbox) -> None:
    written = io.StringIO()
    staying = asyncio.create_task(Demo(Console(file=written, width=200))._stay(sandbox))
    await asyncio.sleep(0)
    text = written.getvalue()
    assert f"{sandbox.rancher.access_key}:{sandbox.rancher.secret_key} http://192.0.2.1:8080" in text
    assert not staying.done()
    entered = re.findall(r"host\d:  (nsenter .*) COMMAND", text)
    assert len(entered) == len(sandbox.agents)
    for way in entered:
        inside = await asyncio.create_subprocess_exec(*way.split(), "true")
        assert await inside.wait() == 0
    staying.cancel()
    await asyncio.gather(staying, return_exceptions=True)


def test_the_way_in_goes_by_the_user_namespace_where_there_is_one() -> None:
    assert _way_into(7, own_users=True) == "nsenter --target 7 --user --net --preserve-credentials"
    assert _way_into(7, own_users=False) == "nsenter --target 7 --net"


def test_an_interruption_removes_everything() -> None:
    demo = subprocess.Popen(  # noqa: S603
        [sys.executable, "-u", "-c", DEMO],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert demo.stdout is not None
    while "ready after" not in demo.stdout.readline():
        assert demo.poll() is None
    children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()
    watches = [os.pidfd_open(int(child)) for child in children]
    assert len(watches) == 2
    demo.send_signal(signal.SIGINT)
    rest = demo.stdout.read()
    assert demo.wait() == INTERRUPTED
    assert rest.endswith("interrupted; everything is removed\n")
    for watch in watches:
        assert select.select([watch], [], [], 0)[0]
        os.close(watch)
    demo.stdout.close()
