"""From the kernel's log to the book, the agent's log and those who follow."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator

import pytest
from structlog.testing import capture_logs

from corral.daemon import denialwatch
from corral.daemon.denialwatch import DenialWatch
from corral.daemon.hub import EventHub
from corral.dataplane.fake import FakeFlowLog
from corral.dataplane.flows.conntrack import TrackedFlow
from corral.dataplane.flows.flowlog import LoggedPacket
from corral.dataplane.flows.packet import TCP, Header
from corral.errors import DataplaneError, UnsupportedError
from corral.policy.enforcement import log_prefix
from corral.policy.render import INVALID_DROP

from .running import desk_of, small_environment, until
from .test_denials import DENY, address, logged

BUSY = DataplaneError("another program has it", errno=errno.EBUSY)
MISSING = UnsupportedError("no module", errno=errno.EINVAL)


class Watched:
    """A watch over a log in memory; `changes` has what the table was made to say of the log."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.changes: list[bool] = []
        self.desk, self.log, self.hub = desk_of(small_environment()), FakeFlowLog(), EventHub()
        self.watch = DenialWatch(
            self.log, self.desk, self.desk.facts, self.hub, changed=self._changed, clock=lambda: self.now
        )

    def _changed(self) -> None:
        self.changes.append(self.desk.enforcement.log)

    async def saw(self, *packets: LoggedPacket) -> None:
        """Let the watch take some packets."""
        expected = sum(self.watch._counts.reports.values()) + len(packets)
        for packet in packets:
            self.log.report(packet)
        await until(lambda: sum(self.watch._counts.reports.values()) == expected)


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def test_reports_are_counted_named_and_told(watched: Watched) -> None:
    job, db = address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1")
    await watched.watch.open()
    with capture_logs() as lines, watched.hub.subscribed() as subscription:
        running = asyncio.create_task(watched.watch.run())
        await watched.saw(logged(job, db), logged(job, db), logged(job, db, audit=True))
        first, second = [await anext(subscription.events(5)) for _ in range(2)]
        running.cancel()
    assert first is not None
    assert (first[0], first[1]["client"]["name"], first[1]["count"]) == ("denied", "back/job/back-job-1", 1)
    assert second is not None
    assert second[1]["verdict"] == "audit"
    assert [(line["event"], line["verdict"], line["client"], line["log_level"]) for line in lines] == [
        ("denied", "deny", "back/job/back-job-1", "info"),
        ("denied", "AUDIT", "back/job/back-job-1", "info"),
    ]
    assert watched.desk.facts.denied.reports == {"deny": 2, "audit": 1}
    assert (watched.desk.facts.denied.flows, watched.desk.facts.denied.listening) == (2, True)


async def test_one_line_for_a_flow_in_a_minute_with_the_count_since(watched: Watched) -> None:
    packet = logged(address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1"))
    await watched.watch.open()
    with capture_logs() as lines:
        running = asyncio.create_task(watched.watch.run())
        for pause in (0.0, 30.0, 29.0, 1.0):
            watched.now += pause
            await watched.saw(packet)
        running.cancel()
    assert [line["count"] for line in lines] == [1, 3]


async def test_who_tries_every_door_does_not_fill_the_log(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denialwatch, "LINES_A_MINUTE", 3)
    job, db = address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1")
    await watched.watch.open()
    with capture_logs() as lines:
        running = asyncio.create_task(watched.watch.run())
        await watched.saw(*(logged(job, db, port=port) for port in range(1, 8)))
        watched.now += 60
        await watched.saw(logged(job, db, port=9))
        running.cancel()
    assert [(line["event"], line.get("port", line.get("lines"))) for line in lines] == [
        ("denied", 1),
        ("denied", 2),
        ("denied", 3),
        ("denied flows not logged one by one", 4),
        ("denied", 9),
    ]
    assert watched.desk.facts.denied.flows == 8


async def test_connection_tracking_is_asked_about_a_packet_that_has_a_flow(watched: Watched) -> None:
    job, db = address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1")
    answer, invalid = logged(db, job, port=40000), logged(db, job, INVALID_DROP, port=40000)
    flow = TrackedFlow(job, 40000, db, 5432, TCP, "established", answered=True)
    watched.log.flows = {answer: flow, invalid: flow}
    await watched.watch.open()
    running = asyncio.create_task(watched.watch.run())
    await watched.saw(answer, invalid)
    running.cancel()
    by_invalid, by_default = watched.watch.book.latest()
    assert (by_default.denial.client.party, by_default.denial.port, by_default.answered) == ("back/job", 5432, True)
    assert (by_invalid.denial.client.party, by_invalid.answered) == ("front/db", False)


async def test_what_is_no_report_of_ours_is_left_aside(watched: Watched) -> None:
    job, db = address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1")
    await watched.watch.open()
    running = asyncio.create_task(watched.watch.run())
    watched.log.report(LoggedPacket("firewalld", Header(job, db, TCP, 1, 2), None))
    watched.log.lost = 7
    await watched.saw(logged(job, db))
    running.cancel()
    assert len(watched.watch.book) == 1
    assert watched.desk.facts.denied.lost == 7


async def test_another_program_that_has_the_log_is_a_reason_until_it_lets_go(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denialwatch, "RETRY", 0.001)
    watched.log.failures = [BUSY, BUSY, BUSY]
    await watched.watch.open()
    (reason,) = [reason for reason in watched.desk.facts.hindering() if reason.cause == "denied flows"]
    assert "another program has it, since" in reason.sentence()
    assert watched.desk.facts.denied_error is not None
    assert watched.desk.facts.denied_error.since == 1000.0
    watched.now += 5
    running = asyncio.create_task(watched.watch.run())
    await until(lambda: watched.watch.listening)
    await watched.saw(logged(address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1")))
    running.cancel()
    assert watched.desk.facts.denied_error is None
    assert watched.changes == []  # the table's rules report to whoever has the log


async def test_without_the_kernels_module_the_table_does_without_the_log(watched: Watched) -> None:
    watched.log.failures = [MISSING]
    await watched.watch.open()
    assert watched.changes == [False]
    assert not watched.watch.listening
    await watched.watch.open()
    assert watched.changes == [False, True]


async def test_a_packet_that_can_not_be_told_of_hides_no_other(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers make packets up; of a bug that these meet there is a line a minute."""
    job, db = address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1")
    poison, flow_of = logged(job, db, port=666), watched.log.flow_of

    async def looked_up(packet: LoggedPacket) -> TrackedFlow | None:
        if packet == poison:
            raise ValueError("a bug")
        return await flow_of(packet)

    monkeypatch.setattr(watched.log, "flow_of", looked_up)
    await watched.watch.open()
    with capture_logs() as lines:
        running = asyncio.create_task(watched.watch.run())
        for _ in range(10):
            watched.log.report(poison)
        await watched.saw(logged(job, db))
        running.cancel()
    assert [line["event"] for line in lines] == ["unexpected error", "denied"]
    assert watched.watch.listening


async def test_whatever_goes_wrong_with_the_log_is_told_and_tried_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denialwatch, "RETRY", 0.001)
    packets, opened = watched.log.packets, watched.log.open
    broken = [OSError(errno.EBADF, "reading"), OSError(errno.EMFILE, "opening")]

    def reading() -> AsyncGenerator[LoggedPacket]:
        if len(broken) == 2:
            raise broken.pop(0)
        return packets()

    async def opening() -> None:
        if len(broken) == 1:
            raise broken.pop(0)
        await opened()

    monkeypatch.setattr(watched.log, "packets", reading)
    monkeypatch.setattr(watched.log, "open", opening)
    await watched.watch.open()
    with capture_logs() as lines:
        running = asyncio.create_task(watched.watch.run())
        await until(lambda: watched.desk.facts.denied_error is not None)
        await watched.saw(logged(address(watched.desk, "back-job-1"), address(watched.desk, "front-db-1")))
        running.cancel()
    assert [line["event"] for line in lines] == ["unexpected error", "unexpected error", "denied"]
    assert watched.desk.facts.denied_error is None
    assert watched.changes == [False, True]  # while nobody knows, the table must not fail for it


async def test_the_log_is_let_go_at_the_end(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    monkeypatch.setattr(watched.log, "close", lambda: closed.append(True))
    await watched.watch.open()
    running = asyncio.create_task(watched.watch.run())
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert closed == [True]


def test_the_prefixes_are_those_of_the_table() -> None:
    assert log_prefix(DENY, audit=True) == "corral audit default-deny"
