"""The end of the log, in memory."""

from __future__ import annotations

import json
import math

import msgspec

from corral.daemon.logs import configure_logs
from corral.daemon.recentlog import RECENT, RecentLines


def line(recent: RecentLines, event: str, **details: object) -> None:
    stamp = {"timestamp": "2026-11-23T02:35:15.123456Z", "level": "info"}
    assert recent(None, "info", {"event": event, **stamp, **details})["event"] == event


def test_lines_are_kept_oldest_first_and_no_more_than_asked_for() -> None:
    recent = RecentLines(kept=2)
    for event in ("one", "two", "three"):
        line(recent, event)
    assert [kept["event"] for kept in recent.log()["lines"]] == ["two", "three"]
    assert recent.log()["lines"][0]["at"] == "2026-11-23T02:35:15.123Z"


def test_details_are_plain_and_short() -> None:
    recent = RecentLines()
    line(recent, "x", number=1, share=0.5, flag=True, nothing=None, error=ValueError("bad"), text="a" * 5000)
    (kept,) = recent.log()["lines"]
    assert kept["details"] == {
        "number": 1,
        "share": 0.5,
        "flag": True,
        "nothing": None,
        "error": "bad",
        "text": "a" * 2000 + "…",
    }


def test_what_json_can_not_carry_hides_no_line() -> None:
    recent = RecentLines()
    line(recent, "half a pair \ud800", since=-math.inf, label="\udfff")
    assert msgspec.json.decode(json.dumps(recent.log()))["lines"] == [
        {
            "at": "2026-11-23T02:35:15.123Z",
            "level": "info",
            "event": "half a pair \\ud800",
            "details": {"since": "-inf", "label": "\\udfff"},
        }
    ]


def test_the_configured_log_is_remembered_with_its_level() -> None:
    import structlog

    before = structlog.get_config()
    try:
        configure_logs("json", "warning")
        log = structlog.get_logger()
        log.info("not written, not remembered")
        log.warning("remembered by the test", where="here")
        assert RECENT.log()["level"] == "warning"
        last = RECENT.log()["lines"][-1]
        assert (last["level"], last["event"], last["details"]) == (
            "warning",
            "remembered by the test",
            {"where": "here"},
        )
        assert last["at"].endswith("Z")
        assert len(last["at"]) == len("2026-11-23T02:35:15.123Z")
    finally:
        structlog.configure(**before)
