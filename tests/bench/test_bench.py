"""The bench runs; what it measures is nothing for tests to assert."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from .commands import ANSWERS, COMMANDS, measure_commands
from .questions import measure_questions
from .report import percentile

ROOT = Path(__file__).parents[2]


def test_floor_is_measured_and_written(tmp_path: Path) -> None:
    target = tmp_path / "bench.json"
    command = (sys.executable, "-m", "tests.bench", "--quick", "--only", "floor", "--json", str(target))
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    assert run.returncode == 0, run.stderr
    (row,) = orjson.loads(target.read_bytes())["rows"]
    assert row["name"] == "floor"
    assert 0 < row["p50"] <= row["p99"]
    assert "floor" in run.stdout


def test_questions_are_measured() -> None:
    rows = measure_questions(quick=True)
    assert [row.name for row in rows] == ["matrix", "warnings", "change", "suggest"]
    assert all(0 < row.p50 <= (row.p99 or 0) for row in rows)


def test_commands_are_measured() -> None:
    rows = measure_commands(quick=True)
    assert len(rows) == 1 + len(COMMANDS) + len(ANSWERS)
    assert all(0 < row.p50 <= (row.p99 or 0) for row in rows)


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 2), (75, 3), (99, 4), (100, 4)])
def test_percentile_is_the_smallest_sample_that_covers_enough(percent: float, expected: int) -> None:
    assert percentile([4, 2, 1, 3], percent) == expected


def test_percentile_of_one_sample_is_that_sample() -> None:
    assert percentile([7.0], 50) == percentile([7.0], 99) == 7.0
