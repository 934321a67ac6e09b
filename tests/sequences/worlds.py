"""A small Rancher that random steps move, and what an agent may get to hear of it, in any order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from corral.errors import UsageError
from corral.sandbox.documents import render_root
from corral.sandbox.environment import Environment, ResourceChange
from corral.sandbox.records import Record
from corral.sandbox.resources import render_resource

STACKS = ("one", "two")
SERVICES = ("one/web", "one/db", "two/web")
NAMES = tuple(f"c{number}" for number in range(6))
ADDRESSES = tuple(f"10.42.7.{number}" for number in range(1, 6))
STATES = ("running", "starting", "stopping", "stopped", "error", "strange", "restarting")
LABELS: tuple[Mapping[str, str], ...] = ({}, {"dept": "qa"}, {"dept": "eng", "Role": "x"}, {"dept": "QA", "role": "x"})
LINKS: tuple[Mapping[str, str], ...] = ({}, {"one/db": "db"}, {"two/web": "w", "one/db": "db"}, {"nowhere/x": "x"})
RULES: tuple[Any, ...] = (
    {"within": "stack", "action": "allow"},
    {"within": "service", "action": "deny"},
    {"within": "linked", "action": "allow"},
    {"between": {"groupBy": "dept"}, "action": "allow"},
    json.dumps({"between": {"selector": "role=x"}, "action": "deny"}),
    {"from": {"selector": "dept"}, "to": {"selector": "role in (x)"}, "ports": ["80/tcp", "53"], "action": "allow"},
)
BAD_RULES: tuple[Any, ...] = ({"within": "stacks", "action": "allow"}, {"action": "deny"}, "{", 7)


@dataclass(frozen=True)
class Start:
    name: str
    service: str | None
    host: int
    address: str
    links: tuple[str, ...]


@dataclass(frozen=True)
class State:
    name: str
    state: str


@dataclass(frozen=True)
class Remove:
    name: str


@dataclass(frozen=True)
class Label:
    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class LabelService:
    path: str
    labels: Mapping[str, str]


@dataclass(frozen=True)
class Link:
    path: str
    links: Mapping[str, str]


@dataclass(frozen=True)
class System:
    stack: str
    system: bool


@dataclass(frozen=True)
class SetPolicy:
    rules: tuple[Any, ...]
    default: str | None


Step = Start | State | Remove | Label | LabelService | Link | System | SetPolicy

_names = st.sampled_from(NAMES)
steps: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        Start,
        _names,
        st.sampled_from((None, *SERVICES)),
        st.integers(0, 1),
        st.sampled_from(ADDRESSES),
        st.lists(_names, max_size=1).map(tuple),
    ),
    st.builds(State, _names, st.sampled_from(STATES)),
    st.builds(Remove, _names),
    st.builds(Label, _names, st.sampled_from(LABELS)),
    st.builds(LabelService, st.sampled_from(SERVICES), st.sampled_from(LABELS)),
    st.builds(Link, st.sampled_from(SERVICES), st.sampled_from(LINKS)),
    st.builds(System, st.sampled_from(STACKS), st.booleans()),
    st.builds(
        SetPolicy,
        st.lists(st.sampled_from(RULES), max_size=3).map(tuple)
        | st.lists(st.sampled_from(RULES + BAD_RULES), max_size=2).map(tuple),
        st.sampled_from(("deny", "deny", "allow", None, "maybe")),
    ),
)


class World:
    """The environment, the documents that its metadata showed so far, and the events that nobody has got yet."""

    def __init__(self) -> None:
        self.environment = Environment(hosts=2)
        for stack in STACKS:
            self.environment.add_stack(stack)
        for path in SERVICES:
            self.environment.add_service(path)
        self.environment.set_policy([RULES[0]], "deny")
        self.events: list[bytes] = []
        self._told = 0
        self.environment.listeners.append(self._note)
        self.documents: list[bytes] = []
        self.show()

    def show(self) -> bytes:
        """The metadata service catches up: its document, as it goes over the wire."""
        document = json.dumps(render_root(self.environment.records, self.environment.host(0))).encode()
        self.documents.append(document)
        return document

    def resources(self) -> dict[str, list[Any]]:
        """What the API lists, for an agent that has just connected."""
        records = self.environment.records
        listed: dict[str, Mapping[str, Record]] = {
            "hosts": records.hosts,
            "networks": records.networks,
            "stacks": records.stacks,
            "services": records.services,
        }
        return {
            name: [render_resource(records, record) for record in of_kind.values()] for name, of_kind in listed.items()
        }

    def step(self, step: Step) -> None:
        """Change the environment; what can not be done now (no such container) is not done."""
        try:
            self._step(step)
        except UsageError:
            return

    def _step(self, step: Step) -> None:
        environment = self.environment
        match step:
            case Start(name, service, host, address, links):
                self._start(name, service, host, address, links)
            case State(name, state):
                environment.set_state(name, state)
            case Remove(name):
                environment.remove_container(name)
            case Label(name, labels):
                environment.set_container_labels(name, labels)
            case LabelService(path, labels):
                environment.set_service_labels(path, labels)
            case Link(path, links):
                environment.set_links(path, links)
            case System(stack, system):
                environment.set_system(stack, system=system)
            case SetPolicy(rules, default):
                environment.set_policy(list(rules), default)

    def _start(self, name: str, service: str | None, host: int, address: str, links: tuple[str, ...]) -> None:
        known = {container.name for container in self.environment.records.containers.values()}
        if name not in known:
            targets = {f"to-{link}": link for link in links if link in known}
            self.environment.create_container(service, host=host, name=name, links=targets)
        self.environment.set_running(name, address)

    def _note(self, change: ResourceChange) -> None:
        self._told += 1
        message = {
            "name": "resource.change",
            "time": self._told,
            "resourceType": change.type,
            "resourceId": change.id,
            "data": {"resource": change.resource},
        }
        self.events.append(json.dumps(message).encode())
