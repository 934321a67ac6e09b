"""Single changes are committed at once, dense ones together, and none waits longer than the interval."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypothesis import given
from hypothesis import strategies as st

from corral.daemon.engine import Engine
from corral.daemon.pacing import CREDIT, INTERVAL, Pacing
from corral.dataplane.fake import FakeDataplane

from .running import desk_of, small_environment, snapshot_of, until


def test_the_first_ones_after_a_quiet_time_go_at_once() -> None:
    pacing = Pacing(interval=1.0, credit=3)
    for _ in range(3):
        assert pacing.delay(100.0) == 0
        pacing.committed(100.0)
    assert pacing.delay(100.0) == 1.0
    assert pacing.delay(100.25) == 0.75
    assert pacing.delay(101.0) == 0
    pacing.committed(101.0)
    assert pacing.delay(101.0) == 1.0


def test_credit_comes_back_but_is_not_saved_up() -> None:
    pacing = Pacing(interval=1.0, credit=3)
    for _ in range(3):
        pacing.committed(0.0)
    for _ in range(3):
        assert pacing.delay(1000.0) == 0
        pacing.committed(1000.0)
    assert pacing.delay(1000.0) == 1.0


@given(st.lists(st.floats(0, 0.1), min_size=1, max_size=200))
def test_no_change_waits_longer_than_the_interval_and_commits_stay_rare(pauses: list[float]) -> None:
    """`pauses` are the times between a commit and the next change."""
    pacing, now, ends = Pacing(), 0.0, []
    for pause in pauses:
        now += pause
        delay = pacing.delay(now)
        assert 0 <= delay <= INTERVAL + 1e-9
        now += delay
        pacing.committed(now)
        ends.append(now)
    for first in range(len(ends)):
        assert len(ends) - first <= CREDIT + (ends[-1] - ends[first]) / INTERVAL + 1e-6


def test_commits_that_did_not_wait_put_off_later_ones_no_longer_than_any_other() -> None:
    """Such as the repairs of a long fight."""
    pacing, now = Pacing(), 0.0
    for _ in range(1000):
        now += INTERVAL / 3
        pacing.committed(now)
    assert 0 < pacing.delay(now) <= INTERVAL + 1e-9


class Stream:
    """An engine, and a container that comes and goes."""

    def __init__(self) -> None:
        self.environment = small_environment()
        self.desk = desk_of(self.environment)
        self.dataplane = FakeDataplane()
        self.engine = Engine(self.dataplane, self.desk.tracker, self.desk.facts, enforceable=lambda: True)
        self._states = ("stopped", "running")
        self._changes = 0

    def change(self) -> None:
        self.environment.set_state("back-job-1", self._states[self._changes % 2])
        self._changes += 1
        assert self.desk.load(snapshot_of(self.environment), 1.0)
        self.engine.wake()

    async def settled(self) -> None:
        await until(lambda: self.desk.facts.programmed)


@asynccontextmanager
async def streaming() -> AsyncIterator[Stream]:
    stream = Stream()
    task = asyncio.create_task(stream.engine.run())
    try:
        stream.engine.wake()
        await stream.settled()
        yield stream
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_single_change_is_committed_within_a_few_turns_of_the_loop() -> None:
    async with streaming() as stream:
        commits = stream.desk.facts.commits
        stream.change()
        for _ in range(10):  # so many turns take far less than the interval
            await asyncio.sleep(0)
        assert stream.desk.facts.commits == commits + 1


async def test_dense_changes_share_commits() -> None:
    async with streaming() as stream:
        commits, started = stream.desk.facts.commits, time.monotonic()
        for _ in range(300):
            stream.change()
            for _ in range(3):
                await asyncio.sleep(0)
        await stream.settled()
        allowed = CREDIT + (time.monotonic() - started) / INTERVAL + 1
        assert stream.desk.facts.commits - commits <= allowed < 300
        dump = await stream.dataplane.dump()
        assert dump is not None
        assert dump.ruleset == stream.desk.tracker.desired_ruleset()


async def test_what_is_in_doubt_does_not_wait() -> None:
    async with streaming() as stream:
        for _ in range(2 * CREDIT):
            stream.engine._pacing.committed(time.monotonic())
        stream.dataplane.alien = ("something foreign",)
        committed = len(stream.dataplane.committed)
        stream.engine.doubt("somebody")
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(stream.dataplane.committed) == committed + 1
