"""`corral agent` without its sockets and its clock: what comes over the wire goes in, as bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable

import msgspec

from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.dataplane.codec import encode
from corral.errors import UnreachableError
from corral.model.entities import Snapshot
from corral.nft.tracker import Tracker
from corral.nft.values import Ruleset
from corral.policy.scratch import compile_ruleset
from corral.sources.events import read_event
from corral.sources.http import parse_json
from corral.types import Problem
from corral.wire.directory import Reference
from corral.wire.events import Event, event_of
from corral.wire.latest import Latest
from corral.wire.metadata import SnapshotDecoder
from corral.wire.rancher import EventTranslator, Translation

from ..nft.kernel import StrictKernel

LONG = 1000.0


def _decoded(decoder: SnapshotDecoder, document: bytes) -> Snapshot | str:
    """The snapshot, or why there is none."""
    try:
        return decoder.decode(document)
    except UnreachableError as error:
        return str(error)


class Agent:
    """Follows what it is given. `said` is every text that it would show to an operator."""

    def __init__(self, *, unknown_allowed: bool = False) -> None:
        self.tracker = Tracker()
        self.tracker.adopt(None)
        self.facts = Facts()
        self.desk = Desk(self.tracker, self.facts, unknown_allowed=unknown_allowed)
        self.kernel = StrictKernel()
        self.said: list[str] = []
        self.now = 0.0
        self._unknown_allowed = unknown_allowed
        self._decoder = SnapshotDecoder()
        self._latest = Latest()
        self._translator = EventTranslator()
        self._tolerant = EventTranslator()

    def read(self, document: bytes) -> bool:
        """Take the metadata's answer in, and say whether it was taken."""
        before = self.desired()
        try:
            snapshot = self._decoder.decode(document)
        except UnreachableError as error:
            self.said.append(str(error))
            assert self.desired() == before, "a rejected document changed the ruleset"
            return False
        policy = self.desk.policy
        self.desk.load(snapshot, self.now)
        self._check_rejections(before, policy)
        return True

    def learn(self, collection: str, resources: Iterable[object]) -> None:
        """Take a whole collection of the API in, for its references."""
        listed = list(resources)
        there = {
            Reference(collection, one["id"])
            for one in listed
            if isinstance(one, dict) and isinstance(one.get("id"), str)
        }
        self._tolerant.learn(collection, listed)
        self._note(self._translator.learn(collection, listed))
        for translator in (self._tolerant, self._translator):
            translator.forget_others(collection, there)

    def hear(self, text: bytes) -> None:
        """Take a message of the event stream in, as the event source and the feed do."""
        event = read_event(text)
        if isinstance(event, Problem):
            self.said.append(str(event))
            return
        if event.reference is None or not self._latest.admits(event.reference, event.time):
            return
        translation = self._translator.translate(event)
        assert translation == self._tolerantly(text, event), "read quickly it says something else"
        self._note(translation)
        for update in translation.updates:
            before, policy = self.desired(), self.desk.policy
            self.desk.apply(update, self.now)
            self._check_rejections(before, policy)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds
        self.desk.expire(self.now)

    def commit(self, *, encoded: bool = True) -> None:
        """Bring the kernel up to date: every transaction can be encoded, and is what a strict kernel takes."""
        while transaction := self.tracker.pending() or self.tracker.garbage():
            if encoded:
                encode(transaction)
            self.kernel.commit(transaction)
            self.tracker.committed(transaction)
        assert (self.kernel.dump() or Ruleset()) == self.desired()

    def desired(self) -> Ruleset:
        """What should be in the kernel."""
        return self.tracker.desired_ruleset()

    def scratch(self) -> Ruleset:
        """What should be desired."""
        scene, network = self.desk.scene(), self.desk.network
        if scene is None or network is None:
            return Ruleset()
        return compile_ruleset(
            scene.policy, network.subnets, network.bridge, scene.endpoints, unknown_allowed=self._unknown_allowed
        )

    def _tolerantly(self, text: bytes, quick: Event) -> Translation:
        """What the message says when it is decoded whole and looked at with care."""
        try:
            message = parse_json(text)
        except msgspec.DecodeError:
            message = json.loads(text)  # a number out of range, in a field that is not read
        event = event_of(message)
        assert isinstance(event, Event), "it is taken only when it is read quickly"
        assert quick[:3] == event[:3], "read quickly it is another event"
        return self._tolerant.translate(event)

    def _note(self, translation: Translation) -> None:
        self.said += map(str, translation.problems)

    def _check_rejections(self, before: Ruleset, policy: object) -> None:
        self.said += self.facts.reasons()
        if self.facts.policy_problems:
            assert self.desk.policy == policy, "a rejected policy came into force"
        if self.desk.inventory.network is None:
            assert self.desired() == before, "without a managed network the ruleset changed"
