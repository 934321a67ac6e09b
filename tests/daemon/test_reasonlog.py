"""What is told of reasons that come, change, go and flap."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from corral.daemon.facts import Reason
from corral.daemon.logs import QUIET as REPEATS_QUIET
from corral.daemon.reasonlog import QUIET, ReasonLog


def failing(text: str = "refused", since: float = 0.0) -> Reason:
    return Reason(f"metadata service: {text}", "metadata service", since, "look after it")


def told(*looks: tuple[float, Reason | None]) -> list[tuple[float, str, str]]:
    """The lines that these looks yield: when, the event, the reason."""
    reasons, lines = ReasonLog(), []
    for now, reason in looks:
        with capture_logs() as logs:
            reasons.look([reason] if reason else [], now)
        lines += [(now, line["event"], line["reason"]) for line in logs]
    return lines


def test_it_comes_stays_and_goes() -> None:
    lines = told((0, failing()), (1, failing()), (40, failing()), (100, None), (101, None))
    assert lines == [
        (0, "not in order", "metadata service: refused, since 1970-01-01 00:00:00 UTC; look after it"),
        (100, "in order again", "metadata service: refused"),
    ]


def test_one_cause_is_told_once_however_it_changes_its_words() -> None:
    looks = [(float(now), failing(("refused", "status 500", "no JSON")[now % 3])) for now in range(30)]
    assert len(told(*looks)) == 1


def test_what_is_told_last_is_how_it_is() -> None:
    lines = told((0, failing()), (2, None), (20, None), (QUIET, None), (QUIET + 1, None))
    assert [(now, event) for now, event, _ in lines] == [(0, "not in order"), (QUIET, "in order again")]


def test_an_hour_of_flapping_makes_a_line_each_half_minute_and_says_how_often() -> None:
    reasons = ReasonLog()
    with capture_logs() as lines:
        for now in range(3600):
            reasons.look([failing()] if now % 2 else [], float(now))
    assert 3600 / QUIET / 2 <= len(lines) <= 3600 / QUIET + 1
    assert max(line["turns"] for line in lines if "turns" in line) >= 30


@given(st.lists(st.tuples(st.floats(0.1, 20), st.sampled_from(["", "a", "b"])), max_size=60))
def test_never_two_lines_within_the_quiet_time(steps: list[tuple[float, str]]) -> None:
    now, looks = 0.0, []
    for pause, text in steps:
        now += pause
        looks.append((now, failing(text) if text else None))
    times = [at for at, _, _ in told(*looks)]
    assert all(later - earlier >= QUIET for earlier, later in pairwise(times))


def test_causes_do_not_hold_each_other_up() -> None:
    reasons = ReasonLog()
    with capture_logs() as logs:
        reasons.look([failing()], 0.0)
        reasons.look([failing(), Reason("event stream: refused", "event stream")], 1.0)
    assert [line["reason"].partition(":")[0] for line in logs] == ["metadata service", "event stream"]


def test_what_is_logged_elsewhere_is_not_told() -> None:
    assert told((0, Reason("kernel: refused", "kernel", logged=True))) == []


def test_what_is_over_is_forgotten() -> None:
    reasons = ReasonLog()
    for number in range(100):
        reasons.look([Reason(f"container {number}", f"container {number}")], number * 3 * QUIET)
        reasons.look([], number * 3 * QUIET + QUIET)
        reasons.look([], number * 3 * QUIET + 2 * QUIET)
    assert reasons._causes == {}


@pytest.mark.parametrize("quiet", [REPEATS_QUIET])
def test_repeats_do_not_swallow_a_line(quiet: float) -> None:
    assert quiet < QUIET


def test_reasons_of_one_cause_share_a_line() -> None:
    """A document that is wrong everywhere is one cause."""
    reasons = ReasonLog()
    problems = [Reason(f"container {number}: wrong", "inventory") for number in range(20)]
    with capture_logs() as lines:
        reasons.look(problems, 0.0)
        reasons.look(problems, QUIET)
        reasons.look(problems[1:], 2 * QUIET)
    assert [(line["reason"], line["more"]) for line in lines] == [
        ("container 0: wrong", 19),
        ("container 1: wrong", 18),
    ]
