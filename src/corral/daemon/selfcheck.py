"""The agent checks itself: is what it wants the same that it would want if it started now?

At one moment it copies what the sources told and what was made of it. A thread then makes a second inventory and
compiles a second ruleset from scratch, neither of which has a past, and compares. Changes that arrive meanwhile
concern neither copy. The kernel is compared by the engine, which alone knows what it has written.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import structlog

from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts
from corral.model.change import ManagedNetwork
from corral.model.entities import Snapshot
from corral.model.inventory import Inventory, Overlays
from corral.nft.text import summary
from corral.nft.tracker import difference
from corral.nft.values import Ruleset
from corral.policy.enforcement import Enforcement
from corral.policy.scratch import compile_ruleset
from corral.policy.verdict import Scene

log = structlog.get_logger()

# Between three quarters and five quarters of it, so that agents that start together do not check together.
INTERVAL = 600.0
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Picture:
    """Copies, all of one moment: what was told, and what was made of it."""

    snapshot: Snapshot
    overlays: Overlays
    network: ManagedNetwork
    scene: Scene
    enforcement: Enforcement
    desired: Ruleset


def picture_of(desk: Desk) -> Picture | None:
    """The desk at this moment, or None while what is in force is not all made of the last snapshot."""
    scene, network = desk.scene(), desk.inventory.network
    if scene is None or network is None or desk.facts.held:
        return None
    return Picture(
        desk.inventory.snapshot,
        desk.inventory.overlays(),
        network,
        replace(scene, endpoints=dict(scene.endpoints)),
        desk.enforcement,
        desk.tracker.desired_ruleset(),
    )


def differences(picture: Picture) -> list[str]:
    """What would be otherwise if the agent started now, one sentence each."""
    return [*_of_inventory(picture), *_of_ruleset(picture)]


def _of_inventory(picture: Picture) -> Iterator[str]:
    inventory, endpoints = Inventory(), picture.scene.endpoints
    inventory.load(picture.snapshot, 0.0)
    inventory.recall(picture.overlays)
    if inventory.network != picture.network:
        yield "the managed network differs"
    for address in inventory.endpoints.keys() | endpoints.keys():
        if inventory.endpoints.get(address) != endpoints.get(address):
            yield f"endpoint {address} differs"


def _of_ruleset(picture: Picture) -> Iterator[str]:
    scene = picture.scene
    scratch = compile_ruleset(
        scene.policy,
        scene.subnets,
        picture.network.bridge,
        scene.endpoints,
        unknown_allowed=scene.unknown_allowed,
        enforcement=picture.enforcement,
    )
    if scratch != picture.desired:
        for operation in difference(scratch, picture.desired).operations:
            yield f"missing: {summary(operation)}"


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """A second inventory of a large environment is a million objects: a pass over them stops every thread for 0.1 s."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class SelfCheck:
    """Checks now and then, and when asked to; a difference is told, and everything made anew."""

    def __init__(
        self,
        desk: Desk,
        engine: Engine,
        facts: Facts,
        *,
        interval: float = INTERVAL,
        rng: Callable[[], float] = random.random,
    ) -> None:
        self._desk = desk
        self._engine = engine
        self._facts = facts
        self._interval = interval
        self._rng = rng
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Check as soon as possible."""
        self._asked.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                async with asyncio.timeout(self._interval * (0.75 + self._rng() / 2)):
                    await self._asked.wait()
            except TimeoutError:
                self._engine.doubt("self-check")
            self._asked.clear()
            await self.check()

    async def check(self) -> None:
        """Check once; after a repair, once more."""
        try:
            found = await self._look()
            if not found:
                return
            log.error("self-check: differs from scratch, made anew", differences=len(found), examples=found[:EXAMPLES])
            if self._desk.renew(time.monotonic()):
                self._engine.wake()
            if found := await self._look():
                # Both were made of the same just now: one of the two compilations is wrong.
                self._facts.self_checks.error = (
                    f"self-check: differs from scratch even anew: {'; '.join(found[:EXAMPLES])}"
                )
                log.error("self-check: differs from scratch even when made anew", examples=found[:EXAMPLES])
        except Exception:
            log.exception("self-check failed")

    async def _look(self) -> list[str]:
        picture = picture_of(self._desk)
        if picture is None:
            return []
        started = time.monotonic()
        with _without_garbage_collection():
            found = await asyncio.to_thread(differences, picture)
        checks = self._facts.self_checks
        checks.runs += 1
        checks.last, checks.last_at = len(found), time.monotonic()
        checks.last_seconds = checks.last_at - started
        checks.differences += len(found)
        if not found:
            checks.error = None
        return found
