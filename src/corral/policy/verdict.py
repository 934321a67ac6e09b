"""The reference verdict: what a policy means for one flow, and why. Everything else is tested against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from corral.model.endpoint import Endpoint
from corral.model.entities import ServiceKey, StackKey
from corral.policy.rules import Between, Form, FromTo, GroupBy, Policy, Ports, Scope, Within
from corral.selector import Selector
from corral.types import Action, Address, Flow, Protocol, Subnet


class Decider(StrEnum):
    """What settled a flow."""

    OUTSIDE = "outside"  # an end is outside the managed subnets: not judged
    SYSTEM = "system"
    RULE = "rule"
    DEFAULT = "default"
    UNKNOWN = "unknown"  # an end is no known endpoint


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a verdict depends on, the flow aside."""

    policy: Policy
    subnets: tuple[Subnet, ...]
    endpoints: Mapping[Address, Endpoint] = field(default_factory=dict)
    unknown_allowed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A rule that was considered, whether it matched, and why."""

    rule: int
    matched: bool
    why: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """`action` is None where the policy does not judge; `rule` is the index of the deciding rule, if one did."""

    action: Action | None
    decided_by: Decider
    sentence: str
    rule: int | None = None
    steps: tuple[Step, ...] = ()


def judge(scene: Scene, flow: Flow) -> Judgement:
    """Judge a flow, by the numbered list of "The verdict" in the policy reference."""
    outside = [f"{end} {address}" for end, address in _ends(flow) if not _managed(scene, address)]
    if outside:
        return Judgement(None, Decider.OUTSIDE, f"not judged: outside the managed network: {' and '.join(outside)}")

    client, server = scene.endpoints.get(flow.client), scene.endpoints.get(flow.server)
    if server and server.system:
        return Judgement(Action.ALLOW, Decider.SYSTEM, "allowed: the server is a system endpoint")
    if client and client.system:
        return Judgement(Action.ALLOW, Decider.SYSTEM, "allowed: the client is a system endpoint")

    if client is None or server is None:
        return _judge_unknown(scene, flow)
    return _judge_by_rules(scene.policy, client, server, flow)


def _ends(flow: Flow) -> tuple[tuple[str, Address], tuple[str, Address]]:
    return ("client", flow.client), ("server", flow.server)


def _managed(scene: Scene, address: Address) -> bool:
    return any(address in subnet for subnet in scene.subnets)


def _judge_unknown(scene: Scene, flow: Flow) -> Judgement:
    unknown = [f"{end} {address}" for end, address in _ends(flow) if address not in scene.endpoints]
    who = f"no known endpoint: {' and '.join(unknown)}"
    if scene.unknown_allowed:
        return Judgement(Action.ALLOW, Decider.UNKNOWN, f"allowed: {who}, and unknown endpoints are let through")
    default = scene.policy.default
    return Judgement(default, Decider.UNKNOWN, f"{_PAST[default]} by the default action: {who}")


def _judge_by_rules(policy: Policy, client: Endpoint, server: Endpoint, flow: Flow) -> Judgement:
    steps: list[Step] = []
    for index, rule in enumerate(policy.rules):
        matched, why = _match(rule.form, client, server, flow)
        steps.append(Step(index, matched, why))
        if matched:
            sentence = f"{_PAST[rule.action]} by policy[{index}] ({rule}): {why}"
            return Judgement(rule.action, Decider.RULE, sentence, index, tuple(steps))
    origin = "" if policy.default_is_set else ", which Rancher does not set"
    sentence = f"{_PAST[policy.default]} by the default action{origin}: no rule matches"
    return Judgement(policy.default, Decider.DEFAULT, sentence, None, tuple(steps))


_Key = TypeVar("_Key", StackKey, ServiceKey)
_PAST = {Action.ALLOW: "allowed", Action.DENY: "denied"}
_Match = tuple[bool, str]


def _match(form: Form, client: Endpoint, server: Endpoint, flow: Flow) -> _Match:
    match form:
        case Within(Scope.STACK):
            return _share("stack", client.stacks, server.stacks)
        case Within(Scope.SERVICE):
            return _share("service", client.services, server.services)
        case Within():
            return _linked(client, server)
        case GroupBy(label):
            return _grouped(label, client, server)
        case Between(selector):
            return _selected(((client, "client", selector), (server, "server", selector)))
        case FromTo(from_, to, ports):
            return _from_to(_selected(((client, "client", from_), (server, "server", to))), ports, flow)


def _share(kind: str, client: frozenset[_Key], server: frozenset[_Key]) -> _Match:
    if common := client & server:
        return True, f"both are in {kind} {_listed(_names(common))}"
    ours, theirs = (_listed(_names(keys), f"no {kind}") for keys in (client, server))
    return False, f"client is in {ours}, server in {theirs}"


def _linked(client: Endpoint, server: Endpoint) -> _Match:
    if link := _link(client, server, "client", "server"):
        return True, link
    if link := _link(server, client, "server", "client"):
        return False, f"linked the other way only: {link}"
    return False, "client does not link to server"


def _link(one: Endpoint, other: Endpoint, its: str, others: str) -> str:
    """How `one` links to `other`, in words; nothing if it does not."""
    if services := one.links_to & other.services:
        return f"{its}'s service links to {others}'s: {_listed(_names(services))}"
    if containers := one.links_to_containers & set(other.containers):
        return f"{its}'s container links to {others}'s: {_listed(_names(containers))}"
    return ""


def _grouped(label: str, client: Endpoint, server: Endpoint) -> _Match:
    ours, theirs = _names(client.label_values(label)), _names(server.label_values(label))
    if common := [value for value in ours if value in theirs]:
        return True, f"both have {label}={_listed(common)}"
    return False, f"client has {_labelled(label, ours)}, server has {_labelled(label, theirs)}"


def _labelled(label: str, values: list[str]) -> str:
    return f"{label}={_listed(values)}" if values else f"no {label}"


def _selected(ends: Iterable[tuple[Endpoint, str, Selector]]) -> _Match:
    ends = tuple(ends)
    if misses := [
        f"{end} does not match {selector}" for one, end, selector in ends if not selector.matches(one.labels)
    ]:
        return False, " and ".join(misses)
    return True, " and ".join(f"{end} matches {selector}" for _, end, selector in ends)


def _from_to(ends: _Match, ports: tuple[Ports, ...], flow: Flow) -> _Match:
    matched, why = ends
    if not matched or not ports:
        return ends
    given = f"{flow.port}/{flow.protocol}" if flow.port is not None else flow.protocol
    if any(_covers(one, flow) for one in ports):
        return True, f"{why}, and {given} is a listed port"
    return False, f"{why}, but {given} is not among ports {_listed(map(str, ports))}"


def _covers(ports: Ports, flow: Flow) -> bool:
    protocols = (ports.protocol,) if ports.protocol else (Protocol.TCP, Protocol.UDP)
    return flow.protocol in protocols and flow.port is not None and ports.first <= flow.port <= ports.last


def _names(values: Iterable[object]) -> list[str]:
    return sorted({str(value) for value in values})


def _listed(names: Iterable[str], nothing: str = "") -> str:
    return ", ".join(names) or nothing
