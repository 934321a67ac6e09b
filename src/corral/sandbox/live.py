"""Changes while traffic flows: what they do, and how fast. Each function tells what it saw."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from corral.sandbox.scenarios import BY_DEPARTMENT, QA, WITHIN_STACK
from corral.sandbox.world import Sandbox
from corral.types import Address, Flow, Protocol

RATE = 500.0
# How long forbidden traffic is watched after the change.
WATCH = 0.3
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Observation:
    """Sentences about what happened, and about what should not have."""

    facts: tuple[str, ...]
    disagreements: tuple[str, ...] = ()


async def container_starts(sandbox: Sandbox) -> Observation:
    """A new container is closed to whom the policy denies from its first packet on, and opens to its peers."""
    await _enforce(sandbox, [BY_DEPARTMENT])
    host = sandbox.hosts[-1]
    address = sandbox.environment.allocate_address(host)
    peer, stranger = (
        sandbox.prober(_to(sandbox, name, address), rate=RATE) for name in ("stack_two-service_one-1", "shop-db-1")
    )
    async with peer, stranger:
        container = await sandbox.start_container("stack_one/service_one", host=host, address=address)
        told = time.monotonic()
        for prober in (peer, stranger):
            prober.attach(sandbox.listeners[address])
        try:
            await peer.answer(PATIENCE)
        except TimeoutError:
            return Observation((), (f"{container.name} started, but its peer gets no answer",))
        await asyncio.sleep(WATCH)
        await stranger.settle(0.0)
    opened = _milliseconds((peer.first_answer or told) - told)
    where = f"{container.name} starts on {sandbox.environment.host(host).name}"
    return Observation(
        (
            f"{where}; its department reaches it {opened} after Rancher says that it runs",
            f"of {stranger.sent} datagrams that a stranger sent it from before its start, {stranger.arrived} arrived",
        ),
        (f"{stranger.arrived} forbidden datagrams reached {container.name}",) if stranger.arrived else (),
    )


async def label_changes(sandbox: Sandbox) -> Observation:
    """A service moves from one department to the other."""
    await _enforce(sandbox, [BY_DEPARTMENT])
    server = "stack_three-service_one-1"
    gains, loses = (
        sandbox.prober(sandbox.flow(client, server, Protocol.UDP, 53), rate=RATE)
        for client in ("stack_one-service_one-1", "stack_one-service_two-1")
    )
    async with gains, loses:
        await loses.answer()
        changed = time.monotonic()
        sandbox.environment.set_service_labels("stack_three/service_one", QA)
        try:
            await gains.answer(PATIENCE)
        except TimeoutError:
            return Observation((), (f"{server} is in another department now, but its new peers get no answer",))
        await asyncio.sleep(WATCH)
    opened = (gains.first_answer or changed) - changed
    closed = max((loses.last_answer or changed) - changed, 0.0)
    times = f"open to qa after {_milliseconds(opened)}, closed to engineering after {_milliseconds(closed)}"
    return Observation(
        (f"stack_three/service_one moves from engineering to qa: {times}",),
        (f"{server} still answers engineering",) if closed > WATCH else (),
    )


async def rule_is_revoked(sandbox: Sandbox, patience: float = PATIENCE) -> Observation:
    """A rule goes: the stream that it allowed stops, and what another rule allows goes on without loss."""
    await _enforce(sandbox, [BY_DEPARTMENT, WITHIN_STACK])
    revoked = sandbox.flow("stack_one-service_one-1", "stack_two-service_one-1", Protocol.TCP, 80)
    kept = sandbox.flow("shop-web-1", "shop-db-1", Protocol.UDP, 53)
    async with sandbox.stream(revoked) as stream, sandbox.prober(kept, rate=RATE) as prober:
        await stream.delivery()
        await prober.answer()
        asked = time.monotonic()
        await sandbox.put_policy([WITHIN_STACK], "deny")
        answered = time.monotonic()
        try:
            cut = await stream.cut(patience=patience)
        except TimeoutError:
            return Observation((), ("the rule is revoked, but the open stream goes on",))
        await prober.settle()
    last, api = _milliseconds(max(cut - asked, 0.0)), _milliseconds(answered - asked)
    times = f"the open TCP stream delivers its last byte {last} after the request (the API took {api})"
    return Observation(
        (
            f"the rule between departments is revoked: {times}",
            f"traffic that the other rule allows lost {prober.lost} of {prober.sent} datagrams meanwhile",
        ),
        (f"{prober.lost} datagrams of an allowed flow were lost",) if prober.lost else (),
    )


LIVE = (container_starts, label_changes, rule_is_revoked)


async def _enforce(sandbox: Sandbox, rules: list[object]) -> None:
    await sandbox.put_policy(rules, "deny")
    await sandbox.enforced()


def _to(sandbox: Sandbox, client: str, address: str) -> Flow:
    return Flow(sandbox.address(client), Address.parse(address), Protocol.UDP, 53)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
