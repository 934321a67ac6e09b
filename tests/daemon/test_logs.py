"""Logs: one event, one line, whatever a label holds."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

from corral.config import Mode
from corral.daemon.logs import Repeats, configure_logs

FORGED = 'x"}\n{"event": "policy applied", "level": "info"}'


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_json_lines_can_not_be_forged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info")
    structlog.get_logger().info("source failed", error=FORGED)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["error"] == FORGED


def test_console_lines_can_not_be_split(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("console", "info")
    structlog.get_logger().info("source failed", error=FORGED)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_is_below_the_level_is_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "warning")
    structlog.get_logger().info("quiet")
    assert capsys.readouterr().err == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal_unless_it_is_not_wanted(
    no_color: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("NO_COLOR", no_color)
    configure_logs(None, "info")
    structlog.get_logger().info("source failed")
    assert ("\x1b" in terminal.getvalue()) is coloured


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_members_of_enumerations_are_their_values(log_format: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(log_format, "info")
    structlog.get_logger().info("starts", mode=Mode.ENFORCE)
    line = capsys.readouterr().err
    assert "enforce" in line
    assert "Mode" not in line


@dataclass
class Reports:
    """Reports of a `Repeats` whose clock is set by hand."""

    now: float = 0.0
    known: int = 1000

    def __post_init__(self) -> None:
        self._repeats = Repeats(clock=lambda: self.now, known=self.known)

    def report(self, event: str, method: str = "warning", **values: object) -> dict[str, object] | None:
        """What is written, if anything is."""
        try:
            return dict(self._repeats(None, method, {"event": event, **values}))
        except structlog.DropEvent:
            return None


def test_one_cause_is_written_once_in_30_seconds_and_the_next_says_how_often() -> None:
    reports = Reports()
    first = reports.report("ruleset repaired", cause="table changed by nft (pid 17)", operations=3)
    assert first == {"event": "ruleset repaired", "cause": "table changed by nft (pid 17)", "operations": 3}
    for pid in range(5):
        reports.now += 5.9
        assert reports.report("ruleset repaired", cause=f"table changed by nft (pid {pid})", operations=pid) is None
    reports.now = 30.0
    again = reports.report("ruleset repaired", cause="table changed by nft (pid 1)")
    assert again is not None
    assert again["repeated"] == 5
    reports.now = 60.0
    assert reports.report("ruleset repaired", cause="table changed by nft (pid 1)") == {
        "event": "ruleset repaired",
        "cause": "table changed by nft (pid 1)",
    }


def test_other_causes_and_debug_are_not_collapsed() -> None:
    reports = Reports()
    assert reports.report("source failed", source="metadata", error="refused")
    assert reports.report("source failed", source="events", error="refused")
    assert reports.report("source failed", source="events", error="no answer")
    assert reports.report("source connected", source="events")
    assert reports.report("committed", "debug")
    assert reports.report("committed", "debug")


def test_what_is_given_as_the_cause_is_all_that_counts() -> None:
    """A flood of broken messages, no two alike, has one cause."""
    reports = Reports()
    assert reports.report("event not understood", cause="event stream", problem="{broken")
    assert reports.report("event not understood", cause="event stream", problem="[worse") is None
    assert reports.report("event not understood", cause="event", problem="{broken")
    assert reports.report("something else", cause="event", problem="{broken")


def test_the_memory_of_causes_is_bounded() -> None:
    reports = Reports(known=2)
    for name in ("a", "b", "c"):
        assert reports.report(name)
    assert reports.report("c") is None
    assert reports.report("b") is None
    assert reports.report("a")


def test_logs_collapse_repeats(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs("json", "info")
    for pid in range(3):
        structlog.get_logger().warning("ruleset repaired", cause=f"pid {pid}")
    assert len(capsys.readouterr().err.splitlines()) == 1


_LOGS_AND_GOES_ON = """
import structlog
from corral.daemon.logs import configure_logs
configure_logs("json", "info")
structlog.get_logger().info("one")
structlog.get_logger().warning("two")
print("alive")
"""


def test_a_pipe_that_nobody_reads_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", _LOGS_AND_GOES_ON], stdout=subprocess.PIPE, stderr=writing, text=True, check=False
        )
    finally:
        os.close(writing)
    assert ran.stdout == "alive\n"


def test_debug_is_switched_on_and_off_for_loggers_that_are_bound_already(capsys: pytest.CaptureFixture[str]) -> None:
    levels = configure_logs("json", "warning")
    logger = structlog.get_logger()
    logger.warning("bound")
    logger.debug("not yet")
    levels.toggle()
    logger.debug("now")
    levels.toggle()
    logger.info("no more")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line.get("to")) for line in lines] == [
        ("bound", None),
        ("log level switched", "debug"),
        ("now", None),
        ("log level switched", "warning"),
    ]
