"""An agent's answers as the page asks for them, made up for environments of any size, and a server for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from corral.web.page import page_routes

Json = dict[str, Any]
RULES = [
    "within linked: allow",
    "within stack: allow",
    "from tier=web to tier=db ports 5432/tcp: allow",
    "from env=staging to env=production: deny",
]
TIERS = ("web", "app", "db", "cache", "queue", "worker", "mail", "search", "auth", "report")


def ago(seconds: float) -> str:
    """RFC 3339, as the agent writes times."""
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def party(name: str, labels: dict[str, str] | None = None, *, system: bool = False, endpoints: int = 2) -> Json:
    stack = name.partition("/")[0] if "/" in name else None
    return {
        "name": name,
        "stack": stack,
        "system": system,
        "endpoints": endpoints,
        "local_endpoints": endpoints // 2,
        "labels": {key: [value] for key, value in (labels or {}).items()},
    }


def port(ports: str, verdict: str, rule: int | None = None, decided_by: str | None = None) -> Json:
    by = decided_by or ("default" if rule is None else "rule")
    past = {"allow": "allowed", "deny": "denied"}[verdict]
    reason = {"default": "the default action", "system": "a system service"}.get(by)
    return {
        "ports": ports,
        "verdict": verdict,
        "decided_by": by,
        "rule": rule,
        "sentence": f"{past} by {reason or f'policy[{rule}] ({RULES[rule or 0]})'}",
        "partly": False,
    }


DECISIONS: list[Json] = [
    {"verdict": "deny", "ports": [port("any", "deny")]},
    {"verdict": "allow", "ports": [port("any", "allow", 1)]},
    {"verdict": "mixed", "ports": [port("tcp 5432", "allow", 2), port("any other", "deny")]},
    {"verdict": "allow", "ports": [port("any", "allow", None, "system")]},
    {"verdict": "allow", "ports": [port("any", "allow", 0)]},
    {"verdict": "deny", "ports": [port("any", "deny", 3)]},
]


def decision(client: Json, server: Json, linked: set[tuple[str, str]]) -> int:
    """The index of what holds between two parties."""
    if client["system"] or server["system"]:
        return 3
    if (client["name"], server["name"]) in linked:
        return 4
    if client["stack"] is not None and client["stack"] == server["stack"]:
        return 1
    if client["labels"].get("tier") == ["web"] and server["labels"].get("tier") == ["db"]:
        return 2
    if client["labels"].get("env") == ["staging"] and server["labels"].get("env") == ["production"]:
        return 5
    return 0


def matrix(parties: list[Json], linked: set[tuple[str, str]] | None = None) -> Json:
    return {
        "policy": "4be0c4711f02",
        "rules": RULES,
        "default": "deny",
        "parties": parties,
        "decisions": DECISIONS,
        "cells": [[decision(client, server, linked or set()) for server in parties] for client in parties],
    }


def small() -> Json:
    """Five services, a standalone container and one of the system's."""
    parties = [
        party("backup"),
        party("blog/app", {"tier": "web", "env": "staging"}),
        party("blog/db", {"tier": "db", "env": "staging"}),
        party("network-services/metadata", system=True),
        party("shop/api", {"tier": "app", "env": "production"}),
        party("shop/db", {"tier": "db", "env": "production"}),
        party("shop/web", {"tier": "web", "env": "production"}, endpoints=4),
    ]
    return matrix(parties, {("backup", "blog/db"), ("backup", "shop/db")})


def large(services: int = 500) -> Json:
    """Stacks of ten services each."""
    parties = [
        party(
            f"{('orders', 'billing', 'portal', 'media', 'intranet')[stack % 5]}-{stack:02}/{tier}",
            {"tier": tier, "env": "production" if stack % 3 else "staging"},
        )
        for stack in range(services // len(TIERS))
        for tier in TIERS
    ]
    names = [one["name"] for one in parties]
    linked = {(names[index], names[(index * 37 + 11) % len(names)]) for index in range(0, len(names), 4)}
    return matrix(sorted(parties, key=lambda one: str(one["name"])), linked)


def state(mode: str = "enforce", status: str = "ready", reasons: list[str] | None = None) -> Json:
    return {
        "version": "0",
        "mode": mode,
        "status": status,
        "reasons": reasons or [],
        "host": {"uuid": "u-host-1", "name": "host1"},
        "network": {"name": "ipsec", "uuid": "n-1", "bridge": "docker0", "subnets": ["10.42.0.0/16"], "others": []},
        "policy": {"in_force": True, "digest": "4be0c4711f02", "default": "deny", "rules": RULES, "problems": []},
        "inventory": {"hosts": 3, "stacks": 3, "services": 6, "containers": 14, "endpoints": 12},
        "sources": {
            name: {"connected": True, "since": 5025.0, "last_success": age, "last_error": None, "failures": 0}
            for name, age in (("metadata", 3.2), ("events", 1.4))
        },
        "kernel": {
            "programmed": True,
            "pending": False,
            "garbage": False,
            "commits": 118,
            "failed_commits": 0,
            "repairs": 1,
            "last_repair": "the set stack/shop lacked 10.42.11.3",
            "verified_age_seconds": 21.0,
            "last_commit_age_seconds": 148.0,
            "last_commit_seconds": 0.0021,
        },
        "self_check": {"runs": 7, "age_seconds": 312.0, "seconds": 0.02, "differences": 0, "differences_ever": 0},
    }


def rules() -> Json:
    def one(text: str, packets: int, size: int, last: float | None) -> Json:
        return {
            "text": text,
            "action": text.rpartition(": ")[2],
            "counter": "rule-allow-7gsihnaq",
            "packets": packets,
            "bytes": size,
            "last_hit": None if last is None else ago(last),
        }

    counts = [(88_212, 7_340_032, 2), (1_204_411, 920_000_000, 0.4), (14_090, 1_800_000, 95), (0, 0, None)]
    counted = [one(text, *numbers) for text, numbers in zip(RULES, counts, strict=True)]
    warned = {3: ["No container carries a label env=testing. Look for a slip in the spelling."]}
    return {
        "policy": "4be0c4711f02",
        "mode": "enforce",
        "since": ago(86_400 * 3),
        "sampled": ago(3),
        "rules": [{"index": index, **rule, "warnings": warned.get(index, [])} for index, rule in enumerate(counted)],
        "default": one("default: deny", 311, 18_660, 31),
        "others": [{**one("packets without a flow", 7, 420, 3_000), "action": "deny"}],
        "warnings": [],
    }


def containers() -> Json:
    def one(name: str, address: str, *, judged: bool = True, programmed: bool = True) -> Json:
        return {
            "name": name,
            "uuid": f"u-{name}",
            "address": address,
            "party": "/".join(name.split("-")[:2]),
            "judged": judged,
            "programmed": programmed and judged,
            "since": ago(8_000) if programmed and judged else None,
            "policy": "4be0c4711f02" if programmed and judged else None,
            "verified": ago(21) if programmed and judged else None,
        }

    return {
        "policy": "4be0c4711f02",
        "reason": None,
        "containers": [
            one("blog-app-1", "10.42.11.9"),
            one("shop-db-1", "10.42.11.4"),
            one("shop-web-1", "10.42.11.3"),
            one("shop-web-3", "10.42.11.12", programmed=False),
            one("network-metadata-1", "10.42.11.2", judged=False),
        ],
    }


def hosts() -> Json:
    def one(name: str, agent: str, state: str = "active") -> Json:
        number = int(name[-1])
        return {
            "name": name,
            "uuid": f"u-{name}",
            "address": f"192.0.2.{number}",
            "state": state,
            "this": agent == "this",
            "agent": agent,
            "endpoints": 3 + number,
        }

    how = (
        "Agents do not talk to each other: of another host this agent knows what Rancher says of the containers there."
    )
    states = [one("host1", "this"), one("host2", "running"), one("host3", "missing"), one("host4", "unhealthy")]
    return {"how": how, "hosts": states}


def flow(client: str, server: str, number: int, *, count: int = 3, seconds: float = 4, verdict: str = "deny") -> Json:
    def end(path: str, address: str) -> Json:
        return {"name": path, "address": address, "party": "/".join(path.split("/")[:2])}

    sentence = f"{client} to {server} tcp/{number}: denied by the default action: no rule matches"
    return {
        "client": end(client, "10.42.27.5"),
        "server": end(server, "10.42.11.4"),
        "protocol": "tcp",
        "port": number,
        "verdict": verdict,
        "decided_by": "default",
        "rule": None,
        "rule_text": None,
        "sentence": sentence,
        "answered": False,
        "count": count,
        "first": ago(seconds + 600),
        "last": ago(seconds),
    }


def denied(mode: str = "enforce", *flows: Json) -> Json:
    word = "audit" if mode == "audit" else "deny"
    some = flows or (
        flow("blog/app/blog-app-2", "shop/db/shop-db-1", 3306, count=41, verdict=word),
        flow("blog/db/blog-db-1", "shop/api/shop-api-1", 8080, seconds=340, verdict=word),
    )
    return {"mode": mode, "listening": True, "since": ago(9_000), "lost": 0, "forgotten": 0, "flows": list(some)}


def explanation(client: str, server: str) -> Json:
    rule = {"from": {"selector": "tier=web"}, "to": {"selector": "tier=db"}, "ports": ["3306/tcp"], "action": "allow"}
    steps = [
        {"rule": 0, "text": RULES[0], "matched": False, "why": "blog/app has no link to shop/db"},
        {"rule": 1, "text": RULES[1], "matched": False, "why": "blog/app is in stack blog, shop/db in stack shop"},
    ]
    sentence = "denied by the default action: no rule matches"
    return {
        "client": client,
        "server": server,
        "flows": [{"sentence": sentence, "count": 1, "steps": steps, "enforced": [{"sentence": "Enforced on host1."}]}],
        "notes": [],
        "published": [],
        "suggestions": [
            {
                "sentence": "Link blog/app to shop/db.",
                "rule": None,
                "index": None,
                "also_opens": [],
                "also_opens_pairs": 0,
            },
            {
                "sentence": "Add a rule in front of rule 3.",
                "rule": rule,
                "index": 3,
                "also_opens": ["shop/web to blog/db tcp 3306"],
                "also_opens_pairs": 1,
            },
        ],
    }


@dataclass
class Answers:
    """What the server says; a path that is missing is answered with 503."""

    documents: dict[str, Json]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    gone: bool = False
    """Break every connection, as an agent does that is not there."""
    _streams: list[asyncio.Queue[bytes | None]] = field(default_factory=list)

    @classmethod
    def of(cls, the_matrix: Json, mode: str = "enforce") -> Answers:
        return cls(
            {
                "state": state(mode),
                "matrix": the_matrix,
                "rules": rules(),
                "containers": containers(),
                "hosts": hosts(),
                "denied": denied(mode),
            }
        )

    def tell(self, event: str, data: Json) -> None:
        """A server-sent event to every listener."""
        for stream in self._streams:
            stream.put_nowait(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())

    @property
    def listeners(self) -> int:
        return len(self._streams)

    def routes(self) -> list[web.RouteDef]:
        return [
            *page_routes(),
            web.get("/v1/events", self._events),
            web.get("/v1/explain", self._explain),
            web.get("/v1/{name}", self._document),
        ]

    async def _document(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._break_if_gone(request)
        self.asked.append(name)
        if name not in self.documents:
            return web.json_response({"error": f"{name} is out of order"}, status=503)
        return web.json_response(self.documents[name])

    async def _explain(self, request: web.Request) -> web.Response:
        return web.json_response(explanation(request.query["client"], request.query["server"]))

    def _break_if_gone(self, request: web.Request) -> None:
        if self.gone and request.transport is not None:
            request.transport.abort()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self._break_if_gone(request)
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        await response.write(b": hello\n\n")
        self._streams.append(stream)
        try:
            while (told := await stream.get()) is not None:
                await response.write(told)
        finally:
            self._streams.remove(stream)
        return response

    def end(self) -> None:
        """End all streams of events: the server waits for them."""
        for stream in self._streams:
            stream.put_nowait(None)


@asynccontextmanager
async def serving(answers: Answers) -> AsyncIterator[Answers]:
    """Serve them, and the page, on loopback."""
    app = web.Application()
    app.router.add_routes(answers.routes())
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        answers.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield answers
    finally:
        answers.end()
        await runner.cleanup()
