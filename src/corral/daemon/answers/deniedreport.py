"""The denied flows as they are asked for, and what would allow them."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any

from corral.config import Settings
from corral.daemon.announcer import Announcer
from corral.daemon.answers.resolving import Names
from corral.daemon.answers.topology import copied, topology_of
from corral.daemon.denials import Entry
from corral.daemon.denialwatch import DenialWatch
from corral.daemon.desk import Desk
from corral.daemon.hub import Subscription
from corral.daemon.naming import flow_end
from corral.daemon.times import rfc3339
from corral.documents.denied import Denied, DeniedFlow, DeniedSuggestions, FlowEnd
from corral.documents.explain import SuggestedChange
from corral.errors import UsageError
from corral.model.entities import Container
from corral.policy.suggest import Suggestion, suggest, suggest_all
from corral.policy.verdict import Scene
from corral.types import Address, Flow, Protocol
from corral.web.denied import DeniedQuery

# Suggestions are worked out for so many of the listed flows, the latest.
MOST_ADVISED = 10

_PORT = re.compile(r"(\d{1,5})/(tcp|udp)")


class DeniedReport:
    """Implements `corral.web.denied.DeniedView`."""

    def __init__(
        self, settings: Settings, desk: Desk, watch: DenialWatch, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._watch = watch
        self._clock = clock
        self._advising = asyncio.Lock()

    async def denied(self, query: DeniedQuery) -> Denied:
        """See `DeniedView`. Raises UsageError for a name that neither a flow nor an endpoint has."""
        watch = self._watch
        flows = [entry.document() for entry in islice(self._chosen(query), query.limit)]
        if not flows:
            self._check_names(query)
        advice = await self._advice(flows[:MOST_ADVISED]) if query.suggest else {}
        listed: list[DeniedFlow] = [{**flow, "suggestion": advice.get(_question(flow))} for flow in flows]
        return {
            "mode": self._settings.mode.value,
            "listening": watch.listening,
            "since": rfc3339(watch.since),
            "lost": watch.lost,
            "forgotten": watch.book.forgotten,
            "flows": listed,
        }

    async def suggestions(self, client: str, server: str, port: str | None) -> DeniedSuggestions:
        """See `DeniedView`."""
        loaded = topology_of(self._desk, self._settings.mode)
        names = Names(loaded)
        ends = [min(names.resolve(name).addresses) for name in (client, server)]
        flow = Flow(ends[0], ends[1], *_protocol(port))
        async with self._advising:
            loaded = copied(loaded)
            advice = await asyncio.to_thread(suggest, loaded.scene, loaded.containers, flow)
        called = [flow_end(address, loaded.endpoints, loaded.containers) for address in ends]
        return {
            "client": called[0],
            "server": called[1],
            "port": port,
            "suggestions": [_document(suggestion) for suggestion in advice.suggestions],
            "note": advice.note,
        }

    def _chosen(self, query: DeniedQuery) -> Iterator[Entry]:
        oldest = self._clock() - query.since.total_seconds() if query.since else 0.0
        for entry in self._watch.book.latest():
            denial = entry.denial
            if entry.last < oldest:
                return
            if is_called(denial.client.document(), query.client) and is_called(denial.server.document(), query.server):
                yield entry

    def _check_names(self, query: DeniedQuery) -> None:
        """A name that nothing has is a mistake, and no reason to believe that nothing is denied."""
        names = [name for name in (query.client, query.server) if name]
        if not names or self._desk.scene() is None:
            return
        loaded = topology_of(self._desk, self._settings.mode)
        stacks = {stack.name.lower() for endpoint in loaded.endpoints.values() for stack in endpoint.stacks}
        for name in names:
            if name.lower() not in stacks:
                Names(loaded).resolve(name)

    async def _advice(self, flows: Iterable[DeniedFlow]) -> dict[_Question, str]:
        """The best suggestion for each flow that has one."""
        scene = self._desk.scene()
        if scene is None:
            return {}
        async with self._advising:
            scene = replace(scene, endpoints=dict(scene.endpoints))
            questions = {_question(flow) for flow in flows}
            return await asyncio.to_thread(_advised, scene, dict(self._desk.inventory.containers), questions)


class EventReport:
    """Implements `corral.web.eventstream.EventsView`."""

    def __init__(self, announcer: Announcer) -> None:
        self._announcer = announcer

    @contextmanager
    def subscribed(self, kinds: Collection[str], client: str | None, server: str | None) -> Iterator[Subscription]:
        """See `EventsView`."""

        def wanted(kind: str, data: Mapping[str, Any]) -> bool:
            if kind not in kinds:
                return False
            return kind != "denied" or (is_called(data["client"], client) and is_called(data["server"], server))

        with self._announcer.subscribed(wanted) as subscription:
            yield subscription


def is_called(end: FlowEnd, name: str | None) -> bool:
    """Whether an end has a name: address, `stack/service/container`, container, service or stack. None is any."""
    if name is None:
        return True
    names = {end["address"], end["party"]}
    for party in end["party"].split(" + "):
        names |= {party, party.rpartition("/")[0]}
    if end["name"]:
        names |= {end["name"], end["name"].rpartition("/")[2]}
    return name.lower() in {each.lower() for each in names if each}


_Question = tuple[str, str, str, int | None]


def _question(flow: DeniedFlow) -> _Question:
    return flow["client"]["address"], flow["server"]["address"], flow["protocol"], flow["port"]


def _advised(scene: Scene, containers: Mapping[str, Container], questions: Iterable[_Question]) -> dict[_Question, str]:
    flows = {question: flow for question in questions if (flow := _asked(question)) is not None}
    advice = suggest_all(scene, containers, flows.values())
    return {
        question: one.suggestions[0].sentence for question, one in zip(flows, advice, strict=True) if one.suggestions
    }


def _asked(question: _Question) -> Flow | None:
    client, server, protocol, port = question
    try:
        ends = Address.parse(client), Address.parse(server)
    except ValueError:  # IPv6, which no rule can name
        return None
    known = Protocol(protocol) if protocol in list(Protocol) else Protocol.ICMP
    return Flow(*ends, known, None if known is Protocol.ICMP else port)


def _document(suggestion: Suggestion) -> SuggestedChange:
    return {
        "sentence": suggestion.sentence,
        "rule": suggestion.rule,
        "index": suggestion.index,
        "also_opens": list(suggestion.also_opens),
        "also_opens_pairs": suggestion.also_opens_pairs,
    }


def _protocol(port: str | None) -> tuple[Protocol, int | None]:
    if port is None:
        return Protocol.ICMP, None
    match = _PORT.fullmatch(port.strip().lower())
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise UsageError(f"port: {port!r} given; 1-65535 with /tcp or /udp is allowed")
    return Protocol(match[2]), int(match[1])
