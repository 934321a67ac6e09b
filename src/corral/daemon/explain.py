"""The answer to "may A reach B?": the reference verdict for every flow that the question covers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from corral.daemon.desk import Desk
from corral.errors import UnreachableError, UsageError
from corral.model.entities import Container
from corral.model.lookup import describe, find_endpoints
from corral.policy.verdict import Judgement, Scene, judge
from corral.types import Action, Address, Flow, Protocol

# Judging this many takes about a tenth of a second.
PAIRS_LIMIT = 4000

_PORT = re.compile(r"(\d{1,5})(?:/(tcp|udp))?")


def explain(desk: Desk, client: str, server: str, port: str | None) -> dict[str, Any]:
    """Judge client -> server; `verdict` is `deny` when any flow of the question is denied.

    Raises UsageError for a name that nothing carries, UnreachableError while nothing is known yet.
    """
    return _Picture(_scene(desk), desk.inventory.containers).explain(client, server, port)


async def explain_aside(desk: Desk, client: str, server: str, port: str | None) -> dict[str, Any]:
    """The same in a thread, from a copy of the picture: with many endpoints it takes tenths of a second."""
    scene = _scene(desk)
    picture = _Picture(replace(scene, endpoints=dict(scene.endpoints)), dict(desk.inventory.containers))
    return await asyncio.to_thread(picture.explain, client, server, port)


def _scene(desk: Desk) -> Scene:
    scene = desk.scene()
    if scene is None:
        raise UnreachableError("nothing is known yet: the agent waits for the metadata service or a first good policy")
    return scene


@dataclass(frozen=True, slots=True)
class _Picture:
    scene: Scene
    containers: Mapping[str, Container]

    def explain(self, client: str, server: str, port: str | None) -> dict[str, Any]:
        protocols = _protocols(port)
        pairs = list(product(self.resolve(client), self.resolve(server)))
        if len(pairs) > PAIRS_LIMIT:
            given = f"{client} to {server} is {len(pairs)} pairs"
            raise UsageError(f"{given}; at most {PAIRS_LIMIT}: name single containers")
        flows = [Flow(one, other, protocol, number) for one, other in pairs for protocol, number in protocols]
        judged = [(flow, judge(self.scene, flow)) for flow in flows]
        return {
            "client": client,
            "server": server,
            "port": port,
            "verdict": _overall([judgement for _, judgement in judged]),
            "flows": self.grouped(judged),
        }

    def resolve(self, name: str) -> tuple[Address, ...]:
        found = find_endpoints(name, self.scene.endpoints, self.containers)
        if found.addresses:
            return found.addresses
        hint = f"; did you mean {' or '.join(found.suggestions)}?" if found.suggestions else ""
        allowed = "an address, a container's name or uuid, or stack/service"
        raise UsageError(f"no endpoint is called {name!r}; {allowed}{hint}")

    def grouped(self, judged: list[tuple[Flow, Judgement]]) -> list[dict[str, Any]]:
        """One entry for each distinct answer, with the first flow it was given for."""
        groups: dict[tuple[object, ...], dict[str, Any]] = {}
        for flow, judgement in judged:
            key = (flow.protocol, judgement.action, judgement.rule, judgement.sentence)
            if key in groups:
                groups[key]["count"] += 1
            else:
                groups[key] = self.entry(flow, judgement)
        return list(groups.values())

    def entry(self, flow: Flow, judgement: Judgement) -> dict[str, Any]:
        endpoints = self.scene.endpoints
        server = endpoints.get(flow.server)
        rule = judgement.rule
        return {
            "client": describe(flow.client, endpoints, self.containers),
            "server": describe(flow.server, endpoints, self.containers),
            "protocol": flow.protocol,
            "port": flow.port,
            "verdict": judgement.action or "not judged",
            "decided_by": judgement.decided_by,
            "rule": rule,
            "rule_text": str(self.scene.policy.rules[rule]) if rule is not None else None,
            "sentence": judgement.sentence,
            "steps": [{"rule": step.rule, "matched": step.matched, "why": step.why} for step in judgement.steps],
            "enforced_here": bool(server and server.local) or server is None,
            "count": 1,
        }


def _protocols(port: str | None) -> list[tuple[Protocol, int | None]]:
    if port is None:
        return [(Protocol.ICMP, None)]
    match = _PORT.fullmatch(port.strip().lower())
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise UsageError(f"port: {port!r} given; 1-65535 is allowed, alone or with /tcp or /udp")
    names = [match[2]] if match[2] else ["tcp", "udp"]
    return [(Protocol(name), int(match[1])) for name in names]


def _overall(judgements: list[Judgement]) -> str:
    actions = {judgement.action for judgement in judgements}
    if Action.DENY in actions:
        return "deny"
    return "allow" if Action.ALLOW in actions else "not judged"
