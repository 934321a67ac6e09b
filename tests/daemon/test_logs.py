"""Logs: one event, one line, whatever a label holds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog

from corral.daemon.logs import configure_logs

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
