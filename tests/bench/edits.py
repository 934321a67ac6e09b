"""How long a policy edit takes: what needs no new group, and what brings groups whose sets the kernel does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

from corral.dataplane.batch import Batch, Committed
from corral.dataplane.codec import encode
from corral.dataplane.netlink import NETLINK_NETFILTER, NetlinkSocket

from .latency import Limit, measured
from .path import Path, Run, decoded
from .report import TIMES, Row, micro
from .world import EDITED_POLICY, POLICY, World, size_of, world_of

_Rules = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class _Edit:
    """From the world's policy to another one."""

    name: str
    what: str
    policy: _Rules
    limit: Limit


_FEW = {"between": {"selector": "tier=web, team=team0"}, "action": "allow"}
_EDITS = (
    _Edit("policy", "another action", (POLICY[0], {**POLICY[1], "action": "deny"}), Limit(250)),
    _Edit("policy-order", "rules the other way round", POLICY[::-1], Limit(250)),
    _Edit("policy-few", "a selector that few match, a new set", (*POLICY, _FEW), Limit()),
    _Edit("policy-label", "a label that all carry, new sets for all", EDITED_POLICY, Limit()),
)


def measure_policy(*, quick: bool) -> list[Row]:
    """Edits of the policy that concern every local endpoint's chain, or (the selector) those of one stack."""
    world = world_of(size_of(1000 if quick else 10_000))
    return [_measured(edit, world, 5 if quick else 25) for edit in _EDITS]


def _measured(edit: _Edit, world: World, count: int) -> Row:
    there, back = (world.event(replace(world.network, policy=list(policy))) for policy in (edit.policy, POLICY))
    packed: list[float] = []

    async def work(path: Path) -> list[Run]:
        runs = []
        with NetlinkSocket(NETLINK_NETFILTER) as socket:
            for _ in range(count):
                runs.append(await path.hear(there))
                await _leave(path, back)
                path.take(decoded(there))
                packed.append(await _send_packed(path, socket))
                await _leave(path, back)
        return runs

    what = f"policy edit, {edit.what}: {world.size.containers:,} containers, {world.size.local} local"
    row = measured(edit.name, what, world, work, edit.limit)
    kernel = micro(median(packed))
    floor = row.p50 / (row.ratio or 1)
    note = f"{row.note}; sent from packed bytes {kernel / floor:.0f} {TIMES}"
    return replace(row, note=note, stages={**row.stages, "packed": round(kernel, 1)})


async def _leave(path: Path, back: bytes) -> None:
    """Let the edit's leftovers be removed, and take it back."""
    await path.settle()
    path.take(decoded(back))
    await path.settle()


async def _send_packed(path: Path, socket: NetlinkSocket) -> float:
    """What the kernel takes for the pending transaction: no change of that content costs less."""
    transaction = path.tracker.pending()
    messages = encode(transaction)
    batch = Batch(messages, socket.next_sequence(len(messages) + 2))
    started = perf_counter()
    await socket.send(batch.data)
    for datagram in socket.drain():
        batch.receive(datagram or b"")
    seconds = perf_counter() - started
    if batch.outcome() != Committed():
        raise RuntimeError(f"the edit was refused: {batch.outcome()}")
    path.tracker.committed(transaction)
    return seconds
