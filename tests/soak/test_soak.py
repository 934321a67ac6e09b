"""The soak, short: `make soak` is the long one."""

from __future__ import annotations

import asyncio
import inspect
import random
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from .churn import Churn
from .gauges import MEBIBYTE, Gauges, caches
from .run import Options, Summary

ROOT = Path(__file__).parents[2]
CHANGES = 12_000


@pytest.mark.timeout(300)
def test_thousands_of_changes_with_faults_leave_no_drift_and_nothing_behind() -> None:
    # A process of its own, so that its memory, descriptors and threads are the soak's alone.
    command = (sys.executable, "-m", "tests.soak", "--changes", str(CHANGES))
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{CHANGES:,}"[:2] in run.stdout.splitlines()[-2]


def test_churn_goes_on_for_ever_in_a_bounded_environment() -> None:
    churn = Churn(random.Random(1))  # noqa: S311
    for _ in range(3000):
        churn.step()
    records = churn.environment.records
    sizes = {len(records.stacks), len(records.services), len(records.containers)}
    assert churn.changes > 3000
    assert max(sizes) < 1000


def test_growth_is_measured_from_the_end_of_the_warm_up() -> None:
    summary = Summary(Options(changes=4, checkpoint=1, seed=0, warm_up=2))
    summary.gauges += [(number, Gauges(memory, 1, 1, 1)) for number, memory in enumerate((10, 50, 100, 104, 110))]
    assert summary.growth() == pytest.approx(1.1)


def parameters(function: Callable[..., object]) -> Iterable[inspect.Parameter]:
    return inspect.signature(function).parameters.values()


def _is_flag(parameter: inspect.Parameter) -> bool:
    return parameter.annotation in {bool, "bool"}


def test_every_cache_has_a_bound() -> None:
    endless = [each for each in caches() if each.cache_parameters()["maxsize"] is None]
    assert len(caches()) > len(endless)
    # Without parameters there is one result to remember, and with a flag alone two.
    assert [each.__qualname__ for each in endless if not all(map(_is_flag, parameters(each)))] == []


async def test_gauges_see_what_is_left_behind() -> None:
    before = Gauges.read()
    ballast = bytearray(b"x") * (64 * MEBIBYTE)
    task = asyncio.create_task(asyncio.Event().wait())
    with socket.socket():
        after = Gauges.read()
    task.cancel()
    assert after.memory - before.memory > 32 * MEBIBYTE
    assert (after.descriptors - before.descriptors, after.tasks - before.tasks) == (1, 1)
    assert ballast
