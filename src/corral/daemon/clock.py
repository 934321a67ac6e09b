"""The age of what the sources told: since when they fail, stand still or are silent, and what follows from it."""

from __future__ import annotations

import asyncio
import time

import structlog

from corral.config import Settings
from corral.daemon.desk import Desk
from corral.daemon.engine import Engine
from corral.daemon.facts import Facts, Trouble
from corral.daemon.reasonlog import ReasonLog
from corral.policy.digest import policy_digest
from corral.policy.rules import Policy
from corral.sources.status import SourceStatus

log = structlog.get_logger()

CLOCK_INTERVAL = 1.0
# The metadata trails events by several seconds, and a long poll may be answered five seconds late.
FROZEN_AFTER = 20.0


def trouble_of(status: SourceStatus) -> Trouble | None:
    """What is wrong with a source that has just turned. The log tells of it as a reason; the turn itself is detail."""
    if status.connected or status.last_error is None:
        log.debug("source in order", source=status.name)
        return None
    log.debug("source failed", source=status.name, error=status.last_error)
    return Trouble(status.last_error, time.time() - status.unchanged_for())


async def watch_clock(settings: Settings, desk: Desk, engine: Engine, facts: Facts, metadata: SourceStatus) -> None:
    """Judge the age of the metadata, expire what events said, and log what readiness turns on."""
    reasons, told = ReasonLog(), None
    while True:
        await asyncio.sleep(CLOCK_INTERVAL)
        judge_silence(settings, desk, engine, facts, metadata)
        judge_progress(facts, metadata, time.monotonic())
        if not events_lapse(facts, metadata, settings.stale_after.total_seconds()):
            desk.forget_idle(time.monotonic())
        elif desk.expire(time.monotonic()):
            engine.wake()
        reasons.look(facts.not_in_order(), time.monotonic())
        told = tell_policy(facts, told)


def tell_policy(facts: Facts, told: Policy | None) -> Policy | None:
    """Log the policy that the kernel holds, if it is another one than was told of; what has been told of then."""
    policy = facts.programming.policy
    if policy is None or policy == told or facts.opened:
        return told
    log.info("policy in force", policy=policy_digest(policy), rules=len(policy.rules), default=policy.default_in_words)
    return policy


def judge_silence(settings: Settings, desk: Desk, engine: Engine, facts: Facts, metadata: SourceStatus) -> None:
    """Note when the service has not answered for too long, and suspend the policy if that is what was asked for."""
    silence = metadata.silence()
    if silence <= settings.stale_after.total_seconds():
        facts.stale = None
        if facts.opened:
            desk.resume()
            engine.wake()
        return
    if facts.stale is None:
        facts.stale = Trouble("metadata service: no answer for longer than CORRAL_STALE_AFTER", time.time() - silence)
    if settings.on_stale == "open" and not facts.opened:
        desk.suspend()
        engine.wake()


def judge_progress(facts: Facts, metadata: SourceStatus, now: float) -> None:
    """Note when events have changed things for some time, and the service, which answers, has shown no new version."""
    since = facts.unshown_since
    if since is None or not metadata.connected:
        facts.frozen = None
    elif facts.frozen is None and min(now - since, metadata.unchanged_for()) >= FROZEN_AFTER:
        text = "metadata service: frozen: events change things, and no new version shows it"
        facts.frozen = Trouble(text, time.time() - (now - since))


def events_lapse(facts: Facts, metadata: SourceStatus, patience: float) -> bool:
    """What an event said lapses against a picture that is newer than it, not for want of one.

    A service that is frozen gets some patience only: where it is right and an event was wrong, nobody else tells.
    One that answers again with the version that it had before its failure may turn out to be frozen.
    """
    if not metadata.connected:
        return False
    if facts.frozen:
        return time.time() - facts.frozen.since >= patience
    return facts.unshown_since is None or metadata.unchanged_for() >= FROZEN_AFTER
