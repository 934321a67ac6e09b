"""Who can reach whom: measured with real packets, and as the policy says."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from rich.text import Text

from corral.policy.verdict import Judgement, Scene, judge
from corral.sandbox.probes import Outcome
from corral.sandbox.records import ContainerRecord
from corral.sandbox.world import Sandbox
from corral.types import Action, Flow, Protocol

Kind = tuple[Protocol, int | None]
KINDS: tuple[Kind, ...] = ((Protocol.TCP, 80), (Protocol.TCP, 5432), (Protocol.UDP, 53), (Protocol.ICMP, None))
# Silence proves a denial only when the machine had time to answer.
SECOND_PATIENCE = 2.0
ALLOWED, DENIED, NO_PAIR = "+", ".", " "
_PARTIAL_MARKS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Finding:
    """One flow: between whom, what the policy says of it, and what became of the probe."""

    client: ContainerRecord
    server: ContainerRecord
    kind: Kind
    judgement: Judgement
    outcome: Outcome

    @property
    def expected(self) -> bool:
        return self.judgement.action is not Action.DENY

    @property
    def agrees(self) -> bool:
        return self.expected == self.outcome.passed and self.outcome is not Outcome.MASKED

    def __str__(self) -> str:
        ends = f"{self.client.name} ({self.client.address}) -> {self.server.name} ({self.server.address})"
        return f"{ends} {kind_name(self.kind)}: {self.outcome}, but it should be {self.judgement.sentence}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """All findings of one round, and how long it took."""

    findings: tuple[Finding, ...]
    seconds: float

    @property
    def disagreements(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.agrees]


def kind_name(kind: Kind) -> str:
    """`tcp/80`, `icmp`."""
    protocol, port = kind
    return str(protocol) if port is None else f"{protocol}/{port}"


async def measure(sandbox: Sandbox, kinds: Sequence[Kind] = KINDS) -> Measurement:
    """Probe every pair of application containers with every kind. What should pass but is silent is asked again."""
    begin = time.monotonic()
    scene, containers = sandbox.scene(), sandbox.containers()
    flows = {
        sandbox.flow(client.name, server.name, *kind): (client, server, kind)
        for client, server, kind in product(containers, containers, kinds)
        if client.address != server.address
    }
    outcomes = await sandbox.probe_all(list(flows))
    again = [flow for flow, outcome in outcomes.items() if not outcome.passed and _allowed(scene, flow)]
    outcomes |= await sandbox.probe_all(again, patience=SECOND_PATIENCE)
    findings = tuple(Finding(*ends, judge(scene, flow), outcomes[flow]) for flow, ends in flows.items())
    return Measurement(findings, time.monotonic() - begin)


def render(paths: Mapping[str, str], measurement: Measurement) -> Text:
    """Both matrices side by side, service by service; `paths` maps a service's id to `stack/service`."""
    numbers = {service: number for number, service in enumerate(paths, 1)}
    cells = _Cells(paths, measurement.findings)
    width = max(map(len, paths.values()))
    head = "".join(f"{number:>3}" for number in numbers.values())
    text = Text()
    text.append(f"{'':{width + 5}}{'measured':<{len(head)}}    policy\n", style="bold")
    text.append(f"{'from      to':>{width + 5}}{head}    {head}\n", style="dim")
    for client, path in paths.items():
        text.append(f"{numbers[client]:>3}  {path:<{width}}")
        for expected in (False, True):
            for server in paths:
                _append_cell(text, cells, client, server, expected=expected)
            text.append("" if expected else "    ")
        text.append("\n")
    text.append(cells.legend(), style="dim")
    return text


class _Cells:
    """The mark of each cell; a set of kinds that pass only in part gets a letter."""

    def __init__(self, paths: Iterable[str], findings: Iterable[Finding]) -> None:
        self._passing: dict[tuple[str, str, bool], set[Kind]] = {}
        self._failing: dict[tuple[str, str, bool], set[Kind]] = {}
        self._letters: dict[tuple[Kind, ...], str] = {}
        self.kinds = KINDS
        shown = set(paths)
        for finding in findings:
            client, server = finding.client.service or "", finding.server.service or ""
            if {client, server} <= shown:
                for expected, passed in ((False, finding.outcome.passed), (True, finding.expected)):
                    side = self._passing if passed else self._failing
                    side.setdefault((client, server, expected), set()).add(finding.kind)

    def mark(self, client: str, server: str, *, expected: bool) -> str:
        key = (client, server, expected)
        passing, failing = self._passing.get(key, set()), self._failing.get(key, set())
        if not passing and not failing:
            return NO_PAIR
        if not failing:
            return ALLOWED
        # A kind that passes between some containers of the services and not between others counts as neither.
        clean = tuple(kind for kind in self.kinds if kind in passing - failing)
        if not passing:
            return DENIED
        return self._letters.setdefault(clean, _PARTIAL_MARKS[len(self._letters) % len(_PARTIAL_MARKS)])

    def legend(self) -> str:
        partial = [
            f"{letter} {', '.join(map(kind_name, kinds)) or 'some containers'} only"
            for kinds, letter in self._letters.items()
        ]
        return "     " + "   ".join([f"{ALLOWED} allowed", f"{DENIED} denied", *partial])


def _append_cell(text: Text, cells: _Cells, client: str, server: str, *, expected: bool) -> None:
    mark = cells.mark(client, server, expected=expected)
    style = {ALLOWED: "green", DENIED: "dim"}.get(mark, "yellow")
    if not expected and mark != cells.mark(client, server, expected=True):
        style = "bold white on red"
    text.append(f"{mark:>3}", style=style)


def _allowed(scene: Scene, flow: Flow) -> bool:
    return judge(scene, flow).action is not Action.DENY
