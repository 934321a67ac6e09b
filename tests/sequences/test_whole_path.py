"""From the wire to the ruleset, for random histories: documents early, late and again; events lost, doubled, shuffled.

After every single input the incremental result equals the one from scratch; in the end it gives the reference verdict
for every flow, and a fresh snapshot leads to where a brand-new agent would be.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.model.entities import Snapshot
from corral.nft.tracker import Tracker
from corral.nft.values import Ruleset
from corral.policy.scratch import compile_ruleset
from corral.sources.events import read_event
from corral.types import Address
from corral.wire.events import Event
from corral.wire.latest import Latest
from corral.wire.metadata import SnapshotDecoder
from corral.wire.rancher import EventTranslator

from ..policy.strategies import flows
from ..policy.test_equivalence import check_flow
from .worlds import ADDRESSES, Step, World, steps

SEQUENCES = int(os.environ.get("CORRAL_SEQUENCES", "2000"))
LONG = 1000.0


@dataclass(frozen=True)
class Show:
    """The agent reads the metadata; `back` is by how many documents it is late."""

    back: int


@dataclass(frozen=True)
class Deliver:
    """One of the events that wait, counted from the newest, is delivered `times` (0: it is lost)."""

    which: int
    times: int


@dataclass(frozen=True)
class Wait:
    seconds: float


Happening = Step | Show | Deliver | Wait
happenings: st.SearchStrategy[Happening] = st.one_of(
    steps,
    steps,
    steps,
    st.builds(Show, st.sampled_from((0, 0, 0, 1, 3))),
    st.builds(Deliver, st.integers(0, 5), st.sampled_from((0, 1, 1, 1, 2))),
    st.builds(Deliver, st.just(0), st.just(1)),
    st.builds(Wait, st.sampled_from((0.5, 30.0, 61.0))),
)


class Follower:
    """What `corral agent` is, without its sockets and its clock."""

    def __init__(self, world: World, *, unknown_allowed: bool) -> None:
        self.tracker = Tracker()
        self.facts = Facts()
        self.desk = Desk(self.tracker, self.facts, unknown_allowed=unknown_allowed)
        self.unknown_allowed = unknown_allowed
        self.now = 0.0
        self._decoder = SnapshotDecoder()
        self._latest = Latest()
        self._translator = EventTranslator()
        for name, resources in world.resources().items():
            self._translator.learn(name, resources)

    def read(self, document: bytes) -> None:
        snapshot: Snapshot = self._decoder.decode(document)
        self.desk.load(snapshot, self.now)
        self.check()

    def hear(self, text: bytes) -> None:
        event = read_event(text)
        assert isinstance(event, Event)
        if event.reference is None or not self._latest.admits(event.reference, event.time):
            return
        for update in self._translator.translate(event).updates:
            self.desk.apply(update, self.now)
            self.check()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.desk.expire(self.now)
        self.check()

    def check(self) -> None:
        """The incremental result is the one from scratch."""
        assert self.tracker.desired_ruleset() == self.scratch()

    def scratch(self) -> Ruleset:
        scene, network = self.desk.scene(), self.desk.network
        if scene is None or network is None:
            return Ruleset()
        if self.desk.inventory.network is not None:
            assert scene.endpoints == self.desk.inventory.endpoints
        return compile_ruleset(
            scene.policy, network.subnets, network.bridge, scene.endpoints, unknown_allowed=self.unknown_allowed
        )


@settings(max_examples=SEQUENCES, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(happenings, min_size=3, max_size=16), st.booleans())
def test_any_history_is_followed(history: list[Happening], unknown_allowed: bool) -> None:
    world = World()
    follower = Follower(world, unknown_allowed=unknown_allowed)
    follower.read(world.documents[-1])
    for happening in history:
        happen(world, follower, happening)
    check_verdicts(follower)
    follower.wait(LONG)
    follower.read(world.show())
    fresh = Follower(world, unknown_allowed=unknown_allowed)
    if follower.desk.policy is not None and not follower.facts.policy_problems:
        fresh.read(world.documents[-1])
        assert follower.tracker.desired_ruleset() == fresh.tracker.desired_ruleset()


def happen(world: World, follower: Follower, happening: Happening) -> None:
    match happening:
        case Show(back):
            world.show()
            follower.read(world.documents[-1 - min(back, len(world.documents) - 1)])
        case Deliver(which, times) if which < len(world.events):
            text = world.events.pop(-1 - which)
            for _ in range(times):
                follower.hear(text)
        case Deliver():
            pass
        case Wait(seconds):
            follower.wait(seconds)
        case _:
            world.step(happening)


def check_verdicts(follower: Follower) -> None:
    scene = follower.desk.scene()
    if scene is None:
        return
    ruleset = follower.tracker.desired_ruleset()
    unknown = Address.parse("10.42.200.1")
    for flow in flows((*map(Address.parse, ADDRESSES), unknown)):
        check_flow(ruleset, scene, flow)
