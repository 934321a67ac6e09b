"""What people expect of a policy, tested by the ruleset that would be in the kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from corral.errors import PolicyError
from corral.nft.trace import Packet, trace
from corral.nft.values import Ruleset, Verb
from corral.policy.enforcement import Enforcement
from corral.policy.scratch import compile_ruleset
from corral.policy.verdict import Scene, judge
from corral.types import Action, Address, Flow, Problem, Protocol

KEYS = ("client", "server", "port", "verdict")

_PORT = re.compile(r"([1-9][0-9]{0,4})(?:/(tcp|udp))?")
_PORTS = '"80" (TCP and UDP), "80/tcp" or "53/udp", with ports from 1 to 65535'
_BRIDGE = "bridge"

# The endpoints that a name stands for, those that no rule tells apart together.
Resolve = Callable[[str], Sequence[Sequence[Address]]]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What should become of flows. Without a `port` of protocols that have none, such as ICMP."""

    client: str
    server: str
    port: str | None
    verdict: Action

    def __str__(self) -> str:
        port = f" {self.port}" if self.port else ""
        return f"{self.client} -> {self.server}{port}: {self.verdict}"

    @property
    def protocols(self) -> list[tuple[Protocol, int | None]]:
        """Protocols and port of its flows."""
        if self.port is None:
            return [(Protocol.ICMP, None)]
        number, _, protocol = self.port.partition("/")
        return [(each, int(number)) for each in ([Protocol(protocol)] if protocol else [Protocol.TCP, Protocol.UDP])]


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that does not hold for `flows` flows; `flow` is one of them, and `sentence` says why."""

    index: int
    expectation: Expectation
    flow: Flow
    flows: int
    verdict: Action
    sentence: str


def read_expectations(text: str) -> list[Expectation]:
    """Read a file's text: a JSON list. Raises PolicyError naming every fault."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise PolicyError(
            [Problem(f"line {error.lineno}, column {error.colno}", f"this is no JSON: {error.msg}")]
        ) from None
    except RecursionError as error:
        raise PolicyError([Problem("the file", f"this is no JSON: {error}")]) from None
    if not isinstance(value, list) or not value:
        raise PolicyError([Problem("the file", f"a list of objects with {', '.join(KEYS)} is allowed")])
    problems: list[Problem] = []
    expectations = [_expectation(entry, f"[{index}]", problems) for index, entry in enumerate(value)]
    if problems:
        raise PolicyError(problems)
    return [each for each in expectations if each is not None]


def _expectation(entry: Any, where: str, problems: list[Problem]) -> Expectation | None:
    if not isinstance(entry, Mapping):
        problems.append(Problem(where, f"an object with {', '.join(KEYS)} is allowed"))
        return None
    faults = list(_faults(entry, where))
    problems += faults
    if faults:
        return None
    port = entry.get("port")
    return Expectation(entry["client"], entry["server"], None if port is None else str(port), Action(entry["verdict"]))


def _faults(entry: Mapping[str, Any], where: str) -> Iterator[Problem]:
    for key in entry:
        if key not in KEYS:
            yield Problem(f"{where}.{key}", f"unknown key; allowed: {', '.join(KEYS)}")
    for key in ("client", "server"):
        if not (isinstance(entry.get(key), str) and entry[key]):
            allowed = "an address, a container's name or uuid, or stack/service is allowed"
            yield Problem(f"{where}.{key}", allowed)
    if entry.get("port") is not None and not _is_port(entry["port"]):
        yield Problem(f"{where}.port", f"given {_show(entry['port'])}; allowed: {_PORTS}; without a port: ICMP")
    if entry.get("verdict") not in list(Action):
        yield Problem(f"{where}.verdict", f'given {_show(entry.get("verdict"))}; allowed: "allow" or "deny"')


def _show(value: object) -> str:
    return json.dumps(value)[:60]


def _is_port(port: object) -> bool:
    """A number is fine, too."""
    text = str(port) if isinstance(port, int) and not isinstance(port, bool) else port
    match = _PORT.fullmatch(text) if isinstance(text, str) else None
    return match is not None and int(match[1]) <= 65535


def failures(scene: Scene, expectations: Sequence[Expectation], resolve: Resolve) -> list[Failure]:
    """Expectations that do not hold for every pair of endpoints that they name.

    The verdict is what the compiled ruleset does with the flow's first packet. Raises what `resolve` raises.
    """
    ends = [(resolve(one.client), resolve(one.server)) for one in expectations]
    ruleset = _ruleset(scene, {kind[0] for _, servers in ends for kind in servers})
    found = [
        _failure(scene, ruleset, index, expectation, clients, servers)
        for index, (expectation, (clients, servers)) in enumerate(zip(expectations, ends, strict=True))
    ]
    return [failure for failure in found if failure is not None]


def _ruleset(scene: Scene, servers: Iterable[Address]) -> Ruleset:
    """The table of a host that has all these servers."""
    wanted = set(servers)
    endpoints = {
        address: replace(endpoint, local=address in wanted) if endpoint.local != (address in wanted) else endpoint
        for address, endpoint in scene.endpoints.items()
    }
    return compile_ruleset(
        scene.policy,
        scene.subnets,
        _BRIDGE,
        endpoints,
        unknown_allowed=scene.unknown_allowed,
        enforcement=Enforcement(log=False),
    )


def _failure(
    scene: Scene,
    ruleset: Ruleset,
    index: int,
    expectation: Expectation,
    clients: Sequence[Sequence[Address]],
    servers: Sequence[Sequence[Address]],
) -> Failure | None:
    """All flows that go wrong as one, for they are one line of the file."""
    wrong = [
        (flow, len(client) * len(server))
        for client, server in product(clients, servers)
        for flow in _flows(expectation, client[0], server[0])
        if _verdict(ruleset, flow) is not expectation.verdict
    ]
    if not wrong:
        return None
    flow = wrong[0][0]
    sentence = judge(scene, flow).sentence
    return Failure(index, expectation, flow, sum(number for _, number in wrong), _verdict(ruleset, flow), sentence)


def _flows(expectation: Expectation, client: Address, server: Address) -> Iterator[Flow]:
    return (Flow(client, server, protocol, port) for protocol, port in expectation.protocols)


def _verdict(ruleset: Ruleset, flow: Flow) -> Action:
    packet = Packet(
        source=flow.client,
        destination=flow.server,
        client=flow.client,
        server=flow.server,
        protocol=flow.protocol,
        server_port=flow.port,
        input_interface=_BRIDGE,
        output_interface=_BRIDGE,
    )
    return Action.DENY if trace(ruleset, packet) is Verb.DROP else Action.ALLOW
