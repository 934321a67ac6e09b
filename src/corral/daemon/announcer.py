"""What is published to those who follow the events: readiness, and what commits changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from corral.daemon.changes import Change, change_event
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.daemon.hub import EventHub, Subscription, Wanted
from corral.documents.events import StateEvent

log = structlog.get_logger()

# How often readiness is looked at while somebody listens.
LOOK_EVERY = 0.25


class Announcer:
    """Feeds the hub while somebody listens, and only then."""

    def __init__(self, hub: EventHub, desk: Desk, facts: Facts) -> None:
        self._hub = hub
        self._desk = desk
        self._facts = facts
        self._last: tuple[str, ...] = ()

    @contextmanager
    def subscribed(self, wanted: Wanted) -> Iterator[Subscription]:
        """A subscription whose first event tells how things are. Raises UnreachableError when there are too many."""
        if not self._hub.listening:
            self._last = self._turning()
        try:
            with self._hub.subscribed(wanted) as subscription:
                self._facts.changes.told = self._changed
                subscription.put("state", self._state())
                yield subscription
        finally:
            if not self._hub.listening:
                self._facts.changes.follow(None)

    async def run(self) -> None:
        """Tell of readiness whenever it turns, for ever."""
        while True:
            await self._hub.listened()
            if (now := self._turning()) != self._last:
                self._last = now
                self._hub.publish("state", self._state())
            await asyncio.sleep(LOOK_EVERY)

    def _turning(self) -> tuple[str, ...]:
        """What `state` is about, without how long it has been so."""
        return self._facts.status, *self._facts.reasons()

    def _state(self) -> StateEvent:
        return {"status": self._facts.status.value, "reasons": self._facts.reasons(time.time())}

    def _changed(self, change: Change) -> None:
        """Called by who commits, whom no error here concerns."""
        try:
            self._hub.publish("change", change_event(change, self._desk.inventory.containers, time.time()))
        except Exception:
            log.exception("unexpected error", task="announcer")
