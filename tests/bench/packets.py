"""What the table costs the packets between two containers of one host: throughput, requests, connections."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence

import orjson
import uvloop

from corral.dataplane.bridge import enable_bridge_filtering
from corral.dataplane.kernel import KernelDataplane
from corral.model.endpoint import Endpoint
from corral.model.entities import StackKey
from corral.nft.tracker import Tracker
from corral.nft.values import Chain, Field, Hook, InSet, NftRule, NftSet, Ruleset, State, Verb, Verdict
from corral.policy.compiler import Compiler
from corral.policy.rules import Policy, Rule, Scope, Within
from corral.sandbox.environment import MANAGED_SUBNET
from corral.sandbox.topology import BRIDGE, HostNetwork, Topology, require_bridge_netfilter
from corral.types import Action, Address, Subnet

from .report import TIMES, Row

ROUTER, CLIENT, SERVER = "10.42.255.250", "10.42.0.2", "10.42.0.3"
METRICS = ("Gbit/s", "requests/s", "connections/s")
NO_TABLE = "no table at all"
Rates = Mapping[str, float]

_HOOK = Hook("forward", -10)
_FIRST_OTHER = Address.parse("10.42.1.0")


def measure_packets(*, quick: bool) -> list[Row]:
    """Rounds over all tables in turn, so that a machine that slows down slows all of them."""
    require_bridge_netfilter()
    topology = Topology([ROUTER])
    try:
        host = topology.hosts[0]
        for address in (CLIENT, SERVER):
            topology.add_container(0, address)
        with host.namespace, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rates = runner.run(_rates_of(_tables(quick=quick), host, rounds=2 if quick else 12))
    finally:
        topology.close()
    return _rows(rates)


def _tables(*, quick: bool) -> dict[str, Tracker | None]:
    kinds = (1, 100) if quick else (1, 10, 100, 1000)
    return {
        NO_TABLE: None,
        "no table, once more": None,
        "connection tracking alone": _connection_tracking(),
        **{f"kinds of local endpoint: {number:,}": _kinds(number) for number in kinds},
        f"other shape: {kinds[-1]:,} groups in a linear chain": _linear(kinds[-1]),
    }


def _kinds(number: int) -> Tracker:
    """So many stacks, each with a chain of its own; client and server are in the same one."""
    tracker = Tracker()
    compiler = Compiler(tracker, unknown_allowed=False)
    compiler.set_boundary((Subnet.parse(MANAGED_SUBNET),), BRIDGE)
    compiler.set_policy(Policy((Rule(Within(Scope.STACK), Action.ALLOW),), Action.DENY))
    others = {Address(_FIRST_OTHER + place): f"stack{place}" for place in range(1, number)}
    stacks = {Address.parse(CLIENT): "ours", Address.parse(SERVER): "ours", **others}
    compiler.update(
        {
            address: Endpoint(address, (str(address),), local=True, stacks=frozenset([StackKey("", stack)]))
            for address, stack in stacks.items()
        }
    )
    return tracker


def _connection_tracking() -> Tracker:
    rule = NftRule((State(("invalid", "untracked")), Verdict(Verb.DROP)))
    return Tracker(Ruleset(chains={"forward": Chain("forward", (rule,), _HOOK)}))


def _linear(number: int) -> Tracker:
    """For comparison: a rule and two sets for each group, and the flow's group is the last of them."""
    members = [(CLIENT, SERVER), *((str(Address(_FIRST_OTHER + place)),) for place in range(1, number))]
    elements = {
        f"{side}{place}": frozenset(map(Address.parse, addresses))
        for place, addresses in enumerate(reversed(members))
        for side in ("from", "to")
    }
    rules = [
        NftRule((InSet(Field.SOURCE, f"from{place}"), InSet(Field.DESTINATION, f"to{place}"), Verdict(Verb.ACCEPT)))
        for place in range(number)
    ]
    chain = Chain("forward", (*rules, NftRule((Verdict(Verb.DROP),))), _HOOK)
    return Tracker(
        Ruleset(sets={name: NftSet(name) for name in elements}, elements=elements, chains={"forward": chain})
    )


async def _rates_of(tables: Mapping[str, Tracker | None], host: HostNetwork, *, rounds: int) -> dict[str, list[Rates]]:
    with host.containers[SERVER]:
        server = subprocess.Popen([sys.executable, "-m", "tests.bench.traffic", "serve", SERVER])  # noqa: ASYNC220, S603
    rates: dict[str, list[Rates]] = {name: [] for name in tables}
    try:
        async with KernelDataplane() as dataplane:
            await enable_bridge_filtering(BRIDGE, ipv6=False)
            for number in range(rounds):
                for name in _rotated(list(tables), number):
                    await dataplane.delete_table()
                    table = tables[name]
                    if table is not None:
                        await dataplane.commit(table.replace())
                    rates[name].append(await asyncio.to_thread(_ask, host))
    finally:
        server.kill()
        server.wait()
    return rates


def _rotated(names: Sequence[str], by: int) -> list[str]:
    return [*names[by % len(names) :], *names[: by % len(names)]]


def _ask(host: HostNetwork) -> Rates:
    with host.containers[CLIENT]:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "tests.bench.traffic", "ask", SERVER], stdout=subprocess.PIPE, check=True
        )
    rates: Rates = orjson.loads(done.stdout)
    return rates


def _rows(rates: Mapping[str, Sequence[Rates]]) -> list[Row]:
    # The best round is the least disturbed one: what else runs on the machine only ever takes away.
    best = {
        name: {metric: max(each[metric] for each in measured) for metric in METRICS} for name, measured in rates.items()
    }
    bare = best[NO_TABLE]
    rows, ratios = [], {}
    for name, found in best.items():
        parts = {metric: found[metric] / bare[metric] for metric in METRICS}
        ratio = ratios[name] = min(parts.values())
        judged = "kinds" in name
        note = ", ".join(f"{metric} {found[metric]:,.0f} ({part:.3f})" for metric, part in parts.items())
        target, met = ("all three ≥ 0.97 of no table", ratio >= 0.97) if judged else ("", None)
        rows.append(
            Row(
                "packets",
                f"packets: {name}",
                found["Gbit/s"],
                unit="Gbit/s",
                ratio=ratio,
                target=target,
                met=met,
                note=note,
            )
        )
    kinds = [name for name in best if "kinds" in name]
    spread = min(best[kinds[-1]][metric] / best[kinds[0]][metric] for metric in METRICS)
    what = f"packets: {kinds[-1]} over {kinds[0]}"
    return [*rows, Row("packets-growth", what, spread, unit=TIMES, ratio=spread, target="≥ 0.99", met=spread >= 0.99)]
