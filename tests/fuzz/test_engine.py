"""The coverage-guided fuzzer, for a fixed time; and whatever it or anything else has ever found, again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from . import oracles
from .engine import FOUND, REGRESSIONS, Budget, fuzz
from .targets import TARGETS
from .trap import HOARD

ROOT = Path(__file__).parents[2]
SECONDS = 8
# Starting, reading the seeds and a slow last input come on top.
LIMIT = 100
FUZZED = sorted(TARGETS)


def run(target: str, *arguments: str | int | Path) -> subprocess.CompletedProcess[str]:
    """In a child of a shell: a child of ours begins with our own peak of memory, which libFuzzer takes for its."""
    command = ["/bin/sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", "tests.fuzz", target, *map(str, arguments)]
    return subprocess.run(  # noqa: S603
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        check=False, timeout=LIMIT,
    )  # fmt: skip


@pytest.mark.parametrize("target", FUZZED)
def test_nothing_breaks_in_a_fixed_time(target: str, tmp_path: Path) -> None:
    before = set((FOUND / target).glob("*-*"))
    done = run(target, "--seconds", SECONDS, "--inputs", tmp_path)
    found = "".join(
        f"\npython -m tests.fuzz {target} --replay {path.relative_to(ROOT)}\n{path.read_bytes()[:4000]!r}"
        for path in sorted(set((FOUND / target).glob("*-*")) - before)
    )
    assert done.returncode == 0, f"{done.stdout[-6000:]}{found}"
    assert "Done " in done.stdout


@pytest.mark.parametrize(
    ("trap", "found"), [("crash", "crash-"), ("hang", "timeout-"), ("backtrack", "timeout-"), ("memory", "oom-")]
)
def test_the_fuzzer_notices_and_keeps_what_breaks(trap: str, found: str, tmp_path: Path) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "trapped").write_text(trap)
    each = 30 if trap == "memory" else 1
    limits = "--seconds", 60, "--each", each, "--mebibytes", HOARD
    done = run("trap", *limits, "--inputs", inputs, "--artifacts", tmp_path)
    assert done.returncode != 0
    artifacts = list(tmp_path.glob(f"{found}*"))
    assert len(artifacts) == 1, done.stdout[-6000:]
    (kept,) = artifacts
    assert str(kept) in done.stdout
    assert kept.read_text() == trap


def test_what_was_kept_is_replayed(tmp_path: Path) -> None:
    kept = tmp_path / "crash-x"
    kept.write_text("crash")
    done = run("trap", "--replay", kept)
    assert done.returncode != 0
    assert "RuntimeError: trapped" in done.stdout
    kept.write_text("harmless")
    assert run("trap", "--replay", kept).returncode == 0


def test_without_atheris_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    reason = fuzz("trap", Budget(seconds=1), inputs=tmp_path, artifacts=tmp_path)
    assert "needs atheris" in reason


@pytest.mark.parametrize("path", sorted(REGRESSIONS.glob("*/*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_once_broke_something_does_so_no_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "VIEWED", 1)
    TARGETS[path.parent.name].run(path.read_bytes())


def test_every_regression_belongs_to_a_target() -> None:
    folders = {path.name for path in REGRESSIONS.iterdir()}
    assert folders <= set(FUZZED)
    assert all(list((REGRESSIONS / folder).iterdir()) for folder in folders)
