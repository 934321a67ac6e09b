"""What the kernel holds for each endpoint: told change by change, by the clock that is given, and never too early."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corral.daemon.engine import Engine
from corral.daemon.pacing import Pacing
from corral.daemon.programming import GRACE, Programming
from corral.dataplane.fake import FakeDataplane
from corral.model.endpoint import Endpoint
from corral.nft.trace import trace
from corral.nft.transaction import AddTable, DeleteTable, DeleteVerdicts, Transaction
from corral.policy.render import DISPATCH
from corral.policy.rules import Policy
from corral.policy.verdict import judge
from corral.sources.backoff import Backoff
from corral.types import Action, Address, Flow, Protocol

from ..policy.test_equivalence import enforced, packets
from ..sequences.test_whole_path import Deliver, Follower, Happening, Show, happen, happenings
from ..sequences.worlds import ADDRESSES, Start, World
from .running import until

ONE, OTHER, THIRD, REMOTE = map(Address.parse, ("10.42.7.1", "10.42.7.2", "10.42.7.3", "10.42.7.4"))
DENY, ALLOW = Policy(default=Action.DENY), Policy(default=Action.ALLOW)


def local(*addresses: Address) -> dict[Address, Endpoint | None]:
    return {address: Endpoint(address, ("c",), local=True) for address in addresses}


def started(*addresses: Address, at: float = 10.0) -> Programming:
    """These are in the kernel since `at`."""
    programming = Programming()
    programming.policy_changed(DENY)
    programming.endpoints_changed(local(*addresses))
    programming.begin()
    programming.committed(at)
    programming.settled(at)
    return programming


def since(programming: Programming, address: Address) -> float | None:
    held = programming.held(address)
    return held and held.since


def test_nothing_is_held_before_the_first_comparison() -> None:
    programming = Programming()
    programming.endpoints_changed(local(ONE))
    programming.policy_changed(DENY)
    assert programming.held(ONE) is None
    programming.begin()
    programming.committed(10.0)
    assert programming.held(ONE) is None
    programming.settled(10.0)
    assert programming.held(ONE) == (10.0, None, DENY)


def test_only_those_that_changed_are_pending_until_the_commit() -> None:
    programming = started(ONE)
    programming.endpoints_changed(local(OTHER))
    assert (since(programming, ONE), since(programming, OTHER)) == (10.0, None)
    assert "on its way" in programming.why_not(OTHER)
    programming.begin()
    assert since(programming, OTHER) is None
    programming.committed(20.0)
    assert (since(programming, ONE), since(programming, OTHER)) == (10.0, 20.0)


def test_what_changes_during_a_commit_waits_for_the_next() -> None:
    programming = started(ONE)
    programming.endpoints_changed(local(ONE))
    programming.begin()
    assert since(programming, ONE) is None
    programming.endpoints_changed(local(ONE))
    programming.committed(20.0)
    assert since(programming, ONE) is None
    programming.begin()
    programming.committed(30.0)
    assert since(programming, ONE) == 30.0


def test_a_policy_concerns_everyone_from_when_it_is_told_until_its_commit() -> None:
    programming = started(ONE, OTHER)
    programming.policy_changed(ALLOW)
    assert (programming.policy, since(programming, ONE)) == (None, None)
    assert "policy" in programming.why_not(ONE)
    programming.begin()
    assert since(programming, ONE) is None
    programming.committed(20.0)
    assert programming.held(OTHER) == (20.0, None, ALLOW)


def test_what_made_no_difference_to_the_kernel_keeps_its_time() -> None:
    programming = started(ONE)
    programming.endpoints_changed(local(ONE))
    programming.policy_changed(ALLOW)
    programming.begin()
    programming.needless(20.0)
    assert programming.held(ONE) == (10.0, None, ALLOW)


def test_an_adopted_table_holds_since_the_adoption_and_has_been_read_back() -> None:
    programming = Programming()
    programming.policy_changed(DENY)
    programming.endpoints_changed(local(ONE))
    programming.begin()
    programming.needless(5.0)
    programming.read_back(5.0)
    programming.settled(5.0)
    assert programming.held(ONE) == (5.0, 5.0, DENY)


def test_a_reading_verifies_what_was_committed_before_it_and_nothing_later() -> None:
    programming = started(ONE)
    programming.read_back(15.0)
    programming.endpoints_changed(local(OTHER))
    programming.begin()
    programming.committed(20.0)
    assert programming.held(ONE) == (10.0, 15.0, DENY)
    assert programming.held(OTHER) == (20.0, None, DENY)
    programming.read_back(25.0)
    assert programming.held(OTHER) == (20.0, 25.0, DENY)


def test_a_failure_puts_all_in_doubt_and_forgets_nothing_that_it_could_not_bring_in() -> None:
    programming = started(ONE)
    programming.endpoints_changed(local(OTHER))
    programming.begin()
    programming.failed()
    assert since(programming, ONE) is None
    programming.endpoints_changed(local(THIRD))
    programming.begin()
    programming.committed(20.0)
    assert since(programming, ONE) is None
    programming.settled(20.0)
    assert [since(programming, address) for address in (ONE, OTHER, THIRD)] == [10.0, 20.0, 20.0]


def test_a_lost_acknowledgement_of_what_was_done_counts_from_when_it_was_found() -> None:
    programming = started(ONE)
    programming.endpoints_changed(local(ONE))
    programming.begin()
    programming.failed()
    programming.begin()
    programming.needless(20.0)
    programming.settled(20.0)
    assert since(programming, ONE) == 20.0


def test_a_table_that_somebody_changed_holds_from_the_repair_on() -> None:
    programming = started(ONE)
    programming.read_back(11.0)
    programming.broken()
    assert since(programming, ONE) is None
    assert "repaired" in programming.why_not(ONE)
    programming.begin()
    programming.committed(20.0)
    programming.settled(20.0)
    assert programming.held(ONE) == (20.0, None, DENY)


def test_those_of_other_hosts_and_those_that_went_are_not_followed() -> None:
    programming = started(ONE, OTHER)
    programming.endpoints_changed({REMOTE: Endpoint(REMOTE, ("r",)), ONE: None, OTHER: Endpoint(OTHER, ("c",))})
    assert not programming.local
    programming.endpoints_changed(local(ONE))
    assert since(programming, ONE) is None


def test_one_that_goes_during_its_commit_is_forgotten() -> None:
    programming = started(ONE)
    programming.endpoints_changed(local(OTHER))
    programming.begin()
    programming.endpoints_changed({OTHER: None})
    programming.committed(20.0)
    assert set(programming.local) == {ONE}


def test_a_change_of_endpoints_is_brief_for_a_moment() -> None:
    programming = started(ONE)
    programming.endpoints_changed(local(OTHER))
    programming.woken(100.0)
    programming.woken(100.9)
    assert programming.brief(100.0 + GRACE - 0.01)
    assert not programming.brief(100.0 + GRACE)
    programming.begin()
    assert not programming.brief(100.0 + GRACE), "the transaction holds what came first"
    programming.woken(101.5)
    assert not programming.brief(101.5)
    programming.committed(50.0)
    programming.settled(50.0)
    assert programming.brief(101.6), "what came meanwhile has its own second"


def test_no_change_of_the_policy_no_failure_and_no_doubt_is_brief() -> None:
    for spoil in (
        lambda programming: programming.policy_changed(ALLOW),
        Programming.failed,
        Programming.broken,
    ):
        programming = started(ONE)
        programming.woken(100.0)
        assert programming.brief(100.0)
        spoil(programming)
        assert not programming.brief(100.0)
        programming.begin()
        assert not programming.brief(100.0)
    never = Programming()
    never.woken(100.0)
    assert not never.brief(100.0)


def test_whoever_listens_is_told_of_each_good_round() -> None:
    programming, told = started(ONE), list[str]()
    programming.listeners.add(lambda: told.append("settled"))
    programming.begin()
    programming.needless(20.0)
    programming.settled(20.0)
    assert told == ["settled"]


def test_made_anew_nothing_of_before_counts() -> None:
    programming = started(ONE, OTHER)
    programming.start_over()
    programming.endpoints_changed(local(ONE))
    assert (since(programming, ONE), set(programming.local)) == (None, {ONE})


# Random histories with an engine and a table in memory


@dataclass(frozen=True)
class Turns:
    """The other tasks have so many turns."""

    number: int


@dataclass(frozen=True)
class Refuse:
    """The kernel refuses the next transaction."""


@dataclass(frozen=True)
class LoseAnswer:
    applied: bool


@dataclass(frozen=True)
class Hold:
    """Commits take until the next time, or for good."""


@dataclass(frozen=True)
class Vandalise:
    whole: bool


Fault = Refuse | LoseAnswer | Hold | Vandalise
faults: st.SearchStrategy[Fault] = st.one_of(
    st.builds(Refuse), st.builds(LoseAnswer, st.booleans()), st.builds(Hold), st.builds(Vandalise, st.booleans())
)
turns = st.builds(Turns, st.sampled_from((0, 1, 2, 5, 50)))
moves: st.SearchStrategy[Happening | Turns | Fault] = st.one_of(
    happenings, happenings, st.builds(Show, st.just(0)), turns, turns, faults
)


class Programmed:
    """A follower of a world whose ruleset goes into a table in memory."""

    def __init__(self) -> None:
        self.world = World()
        self.follower = Follower(self.world, unknown_allowed=False)
        self.desk = self.follower.desk
        self.dataplane = FakeDataplane()
        self.engine = Engine(
            self.dataplane, self.desk.tracker, self.desk.facts, enforceable=lambda: self.desk.enforceable
        )
        self.engine._backoff = Backoff(first=0.0, limit=0.0)
        self.engine._pacing = Pacing(interval=0.0)
        self.held = False
        self.checked = 0

    def start(self) -> None:
        self.follower.read(self.world.documents[-1])
        self.engine.wake()

    async def move(self, move: Happening | Turns | Fault) -> None:
        match move:
            case Turns(number):
                for _ in range(number):
                    await asyncio.sleep(0)
            case Refuse():
                self.dataplane.fail_next(errno.ENOMEM)
            case LoseAnswer(applied):
                self.dataplane.lose_next_acknowledgement(applied=applied)
            case Hold():
                self.held = not self.held
                self.dataplane.hold() if self.held else self.dataplane.release()
            case Vandalise(whole):
                self._vandalise(whole=whole)
            case _:
                happen(self.world, self.follower, move)
                if not isinstance(move, Show | Deliver):
                    self.follower.read(self.world.show())
                self.engine.wake()

    def _vandalise(self, *, whole: bool) -> None:
        table = self.dataplane._table
        if table is None or self.dataplane._failures:  # which are for the agent
            return
        entries = table.verdicts.get(DISPATCH.name, {})
        some = DeleteVerdicts(DISPATCH.name, dict(list(entries.items())[:1]))
        self.dataplane.interfere(Transaction((AddTable(), DeleteTable()) if whole or not entries else (some,)))
        self.engine.tampered("somebody")

    def check(self) -> None:
        """Among those that are said to be programmed, the kernel gives the reference's verdicts."""
        scene, programming = self.desk.scene(), self.desk.facts.programming
        held = [address for address in map(Address.parse, ADDRESSES) if programming.held(address)]
        if scene is None or not held:
            return
        assert self.dataplane._table is not None
        ruleset = self.dataplane._table.ruleset()
        for client in held:
            for server in held:
                flow = Flow(client, server, Protocol.TCP, 80)
                told = [trace(ruleset, packet) for packet in packets(flow)]
                assert told == [enforced(scene, flow)] * 2, (flow, judge(scene, flow))
                self.checked += 1


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(moves, min_size=4, max_size=24))
def test_what_is_said_to_be_programmed_is_what_the_kernel_holds(history: list[Happening | Turns | Fault]) -> None:
    asyncio.run(follow_history(history))


async def follow_history(history: list[Happening | Turns | Fault]) -> None:
    made = Programmed()
    task = asyncio.create_task(made.engine.run())
    try:
        made.start()
        for move in history:
            await made.move(move)
            made.check()
        made.dataplane.release()
        await settle(made)
        made.check()
        if made.desk.enforceable:
            assert all(map(made.desk.facts.programming.held, made.desk.facts.programming.local))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_somebody_changes_during_a_commit_is_held_only_after_the_comparison() -> None:
    made = Programmed()
    task = asyncio.create_task(made.engine.run())
    try:
        await made.move(Start("c0", None, 0, ADDRESSES[0], ()))
        await settle(made)
        made.dataplane.hold()
        await made.move(Start("c1", None, 0, ADDRESSES[1], ()))
        await until(lambda: made.desk.facts.committing)
        await made.move(Vandalise(whole=False))
        commits = made.desk.facts.commits
        made.dataplane.release()
        await until(lambda: made.desk.facts.commits > commits)
        assert made.desk.facts.programming.held(Address.parse(ADDRESSES[0])) is None
        await settle(made)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_refused_change_is_not_brief_however_soon_it_is_tried_again() -> None:
    made = Programmed()
    made.engine._backoff = Backoff(first=60.0, limit=60.0)
    made.desk.facts.bridge_error = None
    task = asyncio.create_task(made.engine.run())
    try:
        await made.move(Start("c0", None, 0, ADDRESSES[0], ()))
        await settle(made)
        assert made.desk.facts.ready
        await made.move(Refuse())
        await made.move(Start("c1", None, 0, ADDRESSES[1], ()))
        assert made.desk.facts.ready, "an ordinary change, on its way"
        await until(lambda: made.desk.facts.failed_commits == 1)
        assert not made.desk.facts.ready
        assert made.desk.facts.programming.held(Address.parse(ADDRESSES[0])) is None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_foreign_change_ends_what_is_held_until_the_repair() -> None:
    made = Programmed()
    task = asyncio.create_task(made.engine.run())
    try:
        await made.move(Start("c0", None, 0, ADDRESSES[0], ()))
        await settle(made)
        programming, address = made.desk.facts.programming, Address.parse(ADDRESSES[0])
        before = programming.held(address)
        assert before is not None
        await made.move(Vandalise(whole=True))
        assert programming.held(address) is None
        await settle(made)
        after = programming.held(address)
        assert after is not None
        assert after.since > before.since
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def settle(made: Programmed) -> None:
    async with asyncio.timeout(10):
        while not made.desk.facts.programmed and made.desk.enforceable:
            await asyncio.sleep(0)
            made.check()


async def test_another_boundary_of_the_network_concerns_everyone() -> None:
    made = Programmed()
    task = asyncio.create_task(made.engine.run())
    try:
        await made.move(Start("c0", None, 0, ADDRESSES[0], ()))
        await settle(made)
        environment, programming = made.world.environment, made.desk.facts.programming
        cni = {**(environment.network.cni or {}), "bridge": "docker7"}
        environment.records.put(replace(environment.network, cni=cni))
        before = programming.policy
        made.follower.read(made.world.show())
        assert made.desk.network is not None
        assert made.desk.network.bridge == "docker7"
        assert programming.held(Address.parse(ADDRESSES[0])) is None
        made.engine.wake()
        await settle(made)
        assert programming.policy == before is not None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
