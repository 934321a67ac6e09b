"""What the table costs the packets between two containers of one host: throughput, requests, connections.

A table that judges flows needs connection tracking, which costs something itself. Docker's NAT turns it on on every
host of a Rancher environment, with or without corral, so both are measured too: the tracking alone, and that NAT.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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

TRACKING = "connection tracking alone"
DOCKER = "Docker's NAT alone"
_HOOK = Hook("forward", -10)
# What dockerd sets up for its default bridge, as of 20.10 to 28; the managed network has rules of the same kind.
_DOCKER_NAT = f"""table ip nat {{
  chain docker {{ iifname "{BRIDGE}" return; }}
  chain prerouting {{ type nat hook prerouting priority dstnat; fib daddr type local jump docker; }}
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {MANAGED_SUBNET} oifname != "{BRIDGE}" masquerade
  }}
}}"""
_FIRST_OTHER = Address.parse("10.42.1.0")


@dataclass(frozen=True)
class Setting:
    """What the packets meet: corral's table or another one, beside Docker's NAT or alone."""

    table: Tracker | None = None
    nat: bool = False

    async def install(self, dataplane: KernelDataplane) -> None:
        """Put it in place of the former one."""
        await dataplane.delete_table()
        _nft("table ip nat {}; delete table ip nat")
        if self.nat:
            _nft(_DOCKER_NAT)
        if self.table is not None:
            await dataplane.commit(self.table.replace())


def measure_packets(*, quick: bool) -> list[Row]:
    """Rounds over all tables in turn, so that a machine that slows down slows all of them."""
    require_bridge_netfilter()
    topology = Topology([ROUTER])
    try:
        host = topology.hosts[0]
        for address in (CLIENT, SERVER):
            topology.add_container(0, address)
        with host.namespace, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rates = runner.run(_rates_of(_settings(quick=quick), host, rounds=2 if quick else 12))
    finally:
        topology.close()
    return _rows(rates)


def _settings(*, quick: bool) -> dict[str, Setting]:
    kinds = (1, 100) if quick else (1, 10, 100, 1000)
    return {
        NO_TABLE: Setting(),
        "no table, once more": Setting(),
        TRACKING: Setting(_connection_tracking()),
        **{f"kinds of local endpoint: {number:,}": Setting(_kinds(number)) for number in kinds},
        DOCKER: Setting(nat=True),
        f"{DOCKER.removesuffix(' alone')} and {kinds[-1]:,} kinds": Setting(_kinds(kinds[-1]), nat=True),
        f"other shape: {kinds[-1]:,} groups in a linear chain": Setting(_linear(kinds[-1])),
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


async def _rates_of(settings: Mapping[str, Setting], host: HostNetwork, *, rounds: int) -> dict[str, list[Rates]]:
    with host.containers[SERVER]:
        server = subprocess.Popen([sys.executable, "-m", "tests.bench.traffic", "serve", SERVER])  # noqa: ASYNC220, S603
    rates: dict[str, list[Rates]] = {name: [] for name in settings}
    try:
        async with KernelDataplane() as dataplane:
            await enable_bridge_filtering(BRIDGE, ipv6=False)
            for number in range(rounds):
                for name in _rotated(list(settings), number):
                    await settings[name].install(dataplane)
                    rates[name].append(await asyncio.to_thread(_ask, host))
    finally:
        server.kill()
        server.wait()
    return rates


def _nft(commands: str) -> None:
    subprocess.run(["nft", "-f", "-"], input=commands.encode(), check=True)  # noqa: S607


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
    rows = [_row(name, found, best[NO_TABLE]) for name, found in best.items()]
    first, *_, last = (name for name in best if "kinds of" in name)
    beside_nat = next(name for name in best if name.startswith(DOCKER.removesuffix(" alone")) and name != DOCKER)
    return [
        *rows,
        _compared("packets-growth", last, first, best, 0.99),
        _compared("packets-tracking", last, TRACKING, best, 0.97),
        _compared("packets-docker", beside_nat, DOCKER, best, 0.97),
    ]


def _parts(found: Rates, base: Rates) -> dict[str, float]:
    return {metric: found[metric] / base[metric] for metric in METRICS}


def _row(name: str, found: Rates, bare: Rates) -> Row:
    parts = _parts(found, bare)
    ratio = min(parts.values())
    judged = "kinds of" in name
    note = ", ".join(f"{metric} {found[metric]:,.0f} ({part:.3f})" for metric, part in parts.items())
    target, met = ("all three ≥ 0.97 of no table", ratio >= 0.97) if judged else ("", None)
    what = f"packets: {name}"
    return Row("packets", what, found["Gbit/s"], unit="Gbit/s", ratio=ratio, target=target, met=met, note=note)


def _compared(key: str, name: str, base: str, best: Mapping[str, Rates], least: float) -> Row:
    parts = _parts(best[name], best[base])
    spread = min(parts.values())
    note = ", ".join(f"{metric} {part:.3f}" for metric, part in parts.items())
    what = f"packets: {name} over {base}"
    return Row(key, what, spread, unit=TIMES, ratio=spread, target=f"≥ {least}", met=spread >= least, note=note)
