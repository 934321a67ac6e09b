"""Connections that are open when something changes: kept where they stay allowed, cut in the commit where not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from corral.model.endpoint import Endpoint
from corral.model.entities import StackKey
from corral.policy.rules import GroupBy, Policy, Rule, Scope, Within
from corral.sandbox.probes import Outcome, probe
from corral.sandbox.streams import Prober, Stream
from corral.sandbox.topology import Topology
from corral.types import Action, Address, Flow, Protocol

from ..policy.strategies import ADDRESSES
from .rig import Rig, rig_on, scene_of

A, B, C = ADDRESSES[:3]
ONE = frozenset({StackKey("", "one")})
WITHIN_STACK = Policy((Rule(Within(Scope.STACK), Action.ALLOW),), Action.DENY, default_is_set=True)
BY_LABEL = Policy((Rule(GroupBy("team"), Action.ALLOW),), Action.DENY, default_is_set=True)
NOTHING = Policy((), Action.DENY, default_is_set=True)


def endpoint(address: Address, stacks: frozenset[StackKey] = ONE, team: str = "red") -> Endpoint:
    return Endpoint(address, (f"u-{address}",), local=True, stacks=stacks, labels=({"team": team},))


EVERYBODY = {address: endpoint(address) for address in (A, B, C)}
STREAM = Flow(A, B, Protocol.TCP, 80)
DATAGRAMS = Flow(C, B, Protocol.UDP, 53)


def run(topology: Topology, check: Callable[[Rig], Awaitable[None]]) -> None:
    async def main() -> None:
        async with rig_on(topology) as rig:
            await check(rig)

    with topology.hosts[0].namespace, asyncio.Runner() as runner:
        runner.run(main())


def stream(rig: Rig) -> Stream:
    return Stream(rig.clients[str(A)], rig.listeners[str(B)], STREAM)


def prober(rig: Rig) -> Prober:
    return Prober(rig.clients[str(C)], rig.listeners[str(B)], DATAGRAMS, rate=1000.0)


def test_a_policy_edit_drops_no_packet_of_what_stays_allowed(topology: Topology) -> None:
    async def check(rig: Rig) -> None:
        await rig.enforce(scene_of(WITHIN_STACK, EVERYBODY))
        async with stream(rig) as connection, prober(rig) as datagrams:
            for policy in (BY_LABEL, WITHIN_STACK) * 10:
                await rig.enforce(scene_of(policy, EVERYBODY))
                await connection.delivery()
                await datagrams.answer()
            await datagrams.settle()
            assert datagrams.sent > 20
            assert datagrams.lost == 0
            await connection.delivery()

    run(topology, check)


@pytest.mark.parametrize("change", ["rule revoked", "label changed", "endpoint gone"])
def test_what_is_denied_is_cut_in_that_commit(topology: Topology, change: str) -> None:
    async def check(rig: Rig) -> None:
        policy = BY_LABEL if change == "label changed" else WITHIN_STACK
        await rig.enforce(scene_of(policy, EVERYBODY))
        async with stream(rig) as connection, prober(rig) as datagrams:
            await connection.delivery()
            await datagrams.answer()
            match change:
                case "rule revoked":
                    scene = scene_of(NOTHING, EVERYBODY)
                case "label changed":
                    scene = scene_of(policy, EVERYBODY | {B: endpoint(B, team="blue")})
                case _:
                    scene = scene_of(policy, {A: EVERYBODY[A], C: EVERYBODY[C]})
            await rig.enforce(scene)
            committed = asyncio.get_running_loop().time()
            await datagrams.settle(patience=0.3)
            # What the server had answered before the commit may still be read after it.
            arrived = datagrams.arrived
            assert await connection.cut() <= committed + 0.01
            assert (await probe(rig.clients[str(C)], DATAGRAMS)) is Outcome.SILENT
            assert datagrams.arrived == arrived

    run(topology, check)


def test_an_address_that_changes_hands_leaves_its_rights_behind(topology: Topology) -> None:
    async def check(rig: Rig) -> None:
        await rig.enforce(scene_of(WITHIN_STACK, EVERYBODY))
        assert (await probe(rig.clients[str(A)], STREAM)) is Outcome.ANSWERED
        stranger = Endpoint(A, ("u-other",), local=True, stacks=frozenset({StackKey("", "two")}))
        await rig.enforce(scene_of(WITHIN_STACK, EVERYBODY | {A: stranger}))
        assert (await probe(rig.clients[str(A)], STREAM)) is Outcome.SILENT

    run(topology, check)
