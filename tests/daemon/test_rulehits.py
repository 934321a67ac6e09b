"""What each rule decided, and when last."""

from __future__ import annotations

import asyncio
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.daemon.answers.matrix import MatrixReport
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.daemon.rulehits import MOST_REMEMBERED, RuleHitsReport, Tallies
from corral.dataplane.fake import FakeDataplane
from corral.documents.rules import Rules
from corral.errors import DataplaneError, UnreachableError
from corral.nft.tracker import Tracker
from corral.policy.render import rule_counter

from ..documents.checking import check
from .running import desk_of, small_environment, snapshot_of, until

AT = 1_800_000_000.0


def test_what_was_counted_before_has_no_time() -> None:
    tallies = Tallies()
    tallies.take({"a": (5, 500)}, AT)
    assert (tallies.of("a").packets, tallies.of("a").octets, tallies.of("a").last_hit) == (5, 500, None)
    tallies.take({"a": (5, 500)}, AT + 1)
    assert tallies.of("a").last_hit is None
    tallies.take({"a": (6, 560)}, AT + 2)
    assert (tallies.of("a").packets, tallies.of("a").octets, tallies.of("a").last_hit) == (6, 560, AT + 2)


def test_a_counter_that_is_new_has_counted_since() -> None:
    tallies = Tallies()
    tallies.take({"a": (5, 500)}, AT)
    tallies.take({"a": (5, 500), "b": (1, 40), "c": (0, 0)}, AT + 1)
    assert (tallies.of("b").last_hit, tallies.of("c").last_hit) == (AT + 1, None)
    fresh = Tallies()
    fresh.gone()
    fresh.take({"a": (5, 500)}, AT)
    assert fresh.of("a").last_hit == AT


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=5))
def test_another_table_goes_on_where_the_last_one_ended(tables: list[list[int]]) -> None:
    """Each list is what a table's counter grew by between readings, from zero."""
    tallies, before, last = Tallies(), 0, 0
    for increments in tables:
        tallies.gone()
        for count in accumulate(increments):
            tallies.take({"a": (count, 10 * count)}, AT)
            assert tallies.of("a").packets >= last
            last = tallies.of("a").packets
        before += sum(increments)
        assert (tallies.of("a").packets, tallies.of("a").octets) == (before, 10 * before)


def test_a_count_that_fell_began_anew() -> None:
    tallies = Tallies()
    tallies.take({"a": (100, 1000)}, AT)
    tallies.take({"a": (3, 30)}, AT + 1)
    assert (tallies.of("a").packets, tallies.of("a").last_hit) == (103, AT + 1)


def test_rules_that_are_long_gone_are_forgotten_oldest_first() -> None:
    tallies = Tallies()
    for number in range(MOST_REMEMBERED + 10):
        tallies.take({f"rule-{number}": (1, 1)}, AT)
    assert tallies.of("rule-0").packets == 0
    assert tallies.of(f"rule-{MOST_REMEMBERED + 9}").packets == 1


def report_of(desk: Desk, dataplane: FakeDataplane, mode: str = "enforce") -> RuleHitsReport:
    return RuleHitsReport(desk, dataplane, mode, MatrixReport(desk), interval=0.0, clock=lambda: AT)


class Counting(FakeDataplane):
    """Only counts."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[str, tuple[int, int]] = {}
        self.broken = False
        self.asked = 0

    async def counters(self) -> dict[str, tuple[int, int]]:
        self.asked += 1
        if self.broken:
            raise DataplaneError("no")
        return dict(self.counts)


async def test_rules_defaults_and_what_is_dropped_besides() -> None:
    environment = small_environment()
    environment.set_policy(
        [{"within": "stack", "action": "allow"}, {"between": {"selector": "nothing=here"}, "action": "deny"}], "deny"
    )
    desk, dataplane = desk_of(environment), Counting()
    report = report_of(desk, dataplane)
    assert desk.policy is not None
    first = rule_counter(desk.policy.rules[0])
    dataplane.counts = {first: (1, 60), "default-deny": (2, 80), "ipv6-drop": (3, 90)}
    await report.sample()
    dataplane.counts[first] = (2, 120)
    answer = await report.rules()
    check(Rules, answer)
    assert [(rule["index"], rule["action"], rule["packets"]) for rule in answer["rules"]] == [
        (0, "allow", 2), (1, "deny", 0)
    ]  # fmt: skip
    assert answer["rules"][0]["last_hit"] == answer["sampled"] == answer["since"] == "2027-01-15T08:00:00.000Z"
    assert (answer["default"]["packets"], answer["default"]["last_hit"]) == (2, None)
    assert {one["counter"]: one["packets"] for one in answer["others"]} == {"invalid-drop": 0, "ipv6-drop": 3}
    assert any("nothing" in warning for warning in answer["rules"][1]["warnings"])
    assert answer["rules"][0]["warnings"] == []


async def test_a_rule_keeps_its_count_wherever_it_stands() -> None:
    environment, dataplane = small_environment(), Counting()
    desk = desk_of(environment)
    report = report_of(desk, dataplane)
    assert desk.policy is not None
    dataplane.counts = {rule_counter(desk.policy.rules[0]): (4, 40)}
    await report.sample()
    environment.set_policy([{"within": "service", "action": "allow"}, {"within": "stack", "action": "allow"}], "deny")
    desk.load(snapshot_of(environment), 1.0)
    assert [rule["packets"] for rule in (await report.rules())["rules"]] == [0, 4]


async def test_what_can_not_be_read_is_shown_as_it_was() -> None:
    desk, dataplane = desk_of(small_environment()), Counting()
    report = report_of(desk, dataplane)
    dataplane.counts = {"default-deny": (2, 80)}
    await report.sample()
    dataplane.broken = True
    assert (await report.rules())["default"]["packets"] == 2
    desk.facts.committing, dataplane.asked = True, 0
    assert (await report.rules())["default"]["packets"] == 2
    assert dataplane.asked == 0


async def test_nothing_is_known_at_the_start() -> None:
    with pytest.raises(UnreachableError, match="nothing is known yet"):
        await report_of(Desk(Tracker(), Facts(), unknown_allowed=False), Counting()).rules()


async def test_with_mode_off_there_is_nothing_to_read() -> None:
    dataplane = Counting()
    answer = await report_of(desk_of(small_environment()), dataplane, "off").rules()
    assert (answer["sampled"], dataplane.asked) == (None, 0)


async def test_the_counters_are_read_again_and_again_also_after_a_failure() -> None:
    desk, dataplane = desk_of(small_environment()), Counting()
    dataplane.broken = True
    task = asyncio.create_task(report_of(desk, dataplane).run())
    try:
        await until(lambda: dataplane.asked >= 3)
    finally:
        task.cancel()
