"""The doctor's look at this host: every source asked once, nothing changed, whatever fails noted as such."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from contextlib import aclosing
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import msgspec

from corral.config import Settings
from corral.daemon.desk import Desk
from corral.daemon.facts import Facts
from corral.dataplane.bridge import bridge_filtering
from corral.dataplane.host.capability import may_administrate, remedy_for_lack
from corral.dataplane.host.foreign import foreign_chains, foreign_tables
from corral.dataplane.host.ipsets import ipset_names
from corral.dataplane.host.sysctls import forwarding, redirects, tracking
from corral.dataplane.host.trial import inabilities
from corral.dataplane.host.xtables import legacy_chains
from corral.dataplane.kernel import KernelDataplane
from corral.errors import CorralError, UnreachableError, UsageError
from corral.model.entities import Snapshot
from corral.nft.foreign import ForeignChain
from corral.nft.tracker import Tracker
from corral.nft.values import Ruleset, Verb, Verdict
from corral.policy.rules import Policy
from corral.sources.agent import AgentClient
from corral.sources.credentials import Credentials, tls_context
from corral.sources.http import parse_json
from corral.sources.metadata import MetadataSource
from corral.sources.rancher import RancherClient
from corral.sources.status import SourceStatus
from corral.support.findings import (
    AgentSeen,
    ApiSeen,
    Findings,
    Maybe,
    NetworkSeen,
    PolicySeen,
    SourceSeen,
    TableSeen,
    Unread,
)

PATIENCE = 10.0  # seconds for the metadata service, and for Rancher's API

_Read = TypeVar("_Read")
_Pictured = tuple[NetworkSeen | None, PolicySeen | None]


async def examine(settings: Settings, client: AgentClient, settings_error: str | None = None) -> Findings:
    """Look at everything. Only a fault of corral's own is an error."""
    agent, state = await see_agent(client)
    metadata: Maybe[None] = None
    if isinstance(agent, AgentSeen):
        network, policy = _pictured_by_agent(state)
    else:
        metadata, (network, policy) = await _see_metadata(settings)
    findings = Findings(
        now=time.time(),
        settings_error=settings_error,
        agent=agent,
        metadata=metadata,
        network=network,
        policy=policy,
        api=await _see_api(settings),
    )
    return await _with_kernel(replace(findings, now=time.time()))


async def _with_kernel(findings: Findings) -> Findings:
    network = findings.network
    return replace(
        findings,
        privileged=may_administrate(),
        privilege_remedy=remedy_for_lack(),
        inabilities=await _read(inabilities()),
        table=await see_table(),
        bridge=await _read(bridge_filtering(network.bridge)) if network else None,
        forwarding=forwarding(),
        chains=await _read(all_foreign_chains()),
        tables=await _read(foreign_tables()),
        ipsets=await _read(ipset_names()),
        tracking=tracking(),
        redirects=redirects(network.bridge) if network else None,
    )


async def all_foreign_chains() -> tuple[ForeignChain, ...]:
    """Those of nftables, and those that iptables-legacy has beside it. Raises DataplaneError."""
    return *await foreign_chains(), *legacy_chains()


async def see_table() -> Maybe[TableSeen | None]:
    """Corral's table, None when there is none."""
    try:
        async with KernelDataplane() as dataplane:
            dump = await dataplane.dump()
    except CorralError as error:
        return Unread(str(error))
    if dump is None:
        return None
    return TableSeen(
        base_chains=sum(chain.hook is not None for chain in dump.ruleset.chains.values()),
        alien=dump.alien,
        drops=_drops(dump.ruleset),
    )


def _drops(ruleset: Ruleset) -> bool:
    rules = [rule for chain in ruleset.chains.values() for rule in chain.rules]
    return any(Verdict(Verb.DROP) in rule.expressions for rule in rules)


async def see_agent(client: AgentClient) -> tuple[Maybe[AgentSeen | None], dict[str, Any]]:
    """The agent, None when none answers; and its state."""
    try:
        ready = (await asyncio.to_thread(client.get, "/readyz")).status == 200
    except UsageError as error:
        return Unread(str(error)), {}
    except UnreachableError as error:
        return (Unread(str(error)) if error.__cause__ is None else None), {}  # a stranger, or nobody
    try:
        state = parse_json((await asyncio.to_thread(client.get, "/v1/state")).body)
        if isinstance(state, dict):
            return _agent_seen(ready, state), state
    except (CorralError, msgspec.DecodeError, KeyError, TypeError):
        pass
    return Unread("something answers at the agent's address, but not as a corral agent of this version does"), {}


def _agent_seen(ready: bool, state: Mapping[str, Any]) -> AgentSeen:
    sources = state["sources"]
    return AgentSeen(
        version=str(state["version"]),
        ready=ready,
        mode=str(state["mode"]),
        reasons=tuple(map(str, state["reasons"])),
        metadata=_source_seen(sources["metadata"]),
        events=_source_seen(sources["events"]) if "events" in sources else None,
    )


def _source_seen(source: Mapping[str, Any]) -> SourceSeen:
    return SourceSeen(bool(source["connected"]), source["last_success"], source["last_error"])


def _pictured_by_agent(state: Mapping[str, Any]) -> _Pictured:
    network, policy = state["network"], state["policy"]
    seen = NetworkSeen(network["name"], network["bridge"], tuple(network["subnets"])) if network else None
    problems = tuple(f"{problem['where']}: {problem['message']}" for problem in policy["problems"])
    if policy["default"] is None and not problems:
        return seen, None
    rules, default = len(policy["rules"]), str(policy["default"])
    return seen, PolicySeen(bool(rules) or not default.startswith("not set"), default, rules, problems)


async def _see_metadata(settings: Settings) -> tuple[Maybe[None], _Pictured]:
    try:
        snapshot = await one_snapshot(settings.metadata_url)
    except UnreachableError as error:
        return Unread(str(error)), (None, None)
    facts = Facts()
    desk = Desk(Tracker(), facts, unknown_allowed=False)
    desk.load(snapshot, 0.0)
    network = desk.network
    seen = NetworkSeen(network.name, network.bridge, tuple(map(str, network.subnets))) if network else None
    problems = tuple(map(str, facts.policy_problems))
    return None, (seen, _policy_seen(desk.policy, problems))


def _policy_seen(policy: Policy | None, problems: tuple[str, ...]) -> PolicySeen | None:
    if policy is None:
        return PolicySeen(is_set=True, default="unknown", rules=0, problems=problems) if problems else None
    default = str(policy.default) if policy.default_is_set else "not set (allow)"
    return PolicySeen(policy.default_is_set or bool(policy.rules), default, len(policy.rules), problems)


async def one_snapshot(url: str, patience: float = PATIENCE) -> Snapshot:
    """What the metadata service tells now. Raises UnreachableError at its first failure."""
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def turned(status: SourceStatus) -> None:
        if not status.connected and not failed.done():
            failed.set_result(status.last_error or "")

    source = MetadataSource(url, status=SourceStatus("metadata", on_change=turned))
    async with aclosing(source.snapshots()) as snapshots:
        first = asyncio.ensure_future(anext(snapshots))
        waiting: set[asyncio.Future[Any]] = {first, failed}
        await asyncio.wait(waiting, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if first.done():
            return first.result()
        first.cancel()
        await asyncio.wait({first})
    raise UnreachableError(failed.result() if failed.done() else f"{url}: no answer within {patience:.0f} s")


async def _see_api(settings: Settings) -> ApiSeen | None:
    if settings.rancher_url is None or settings.rancher_access_key is None or settings.rancher_secret_key is None:
        return None
    secret = settings.rancher_secret_key.get_secret_value()
    try:
        credentials = Credentials.of(settings.rancher_url, settings.rancher_access_key, secret)
        tls = tls_context(settings.ca_file) if credentials.base.startswith("https:") else None
    except UsageError as error:
        return ApiSeen("", str(error))
    async with RancherClient(credentials, tls=tls, timeout=PATIENCE) as client:
        refusal = await _probe(client)
        return ApiSeen(credentials.base, refusal, _clock(client.server_date))


async def _probe(client: RancherClient) -> str | None:
    try:
        await client.probe()
    except UnreachableError as error:
        return str(error)
    return None


def _clock(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None


async def _read(reading: Awaitable[_Read]) -> Maybe[_Read]:
    try:
        return await reading
    except CorralError as error:
        return Unread(str(error))
