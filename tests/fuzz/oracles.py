"""What must hold after any input, good or bad. Every check raises AssertionError with what it has seen."""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import json
import re
import sys
import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import structlog
from prometheus_client.parser import text_string_to_metric_families

from corral.cli import explain as explain_command
from corral.cli import inspect
from corral.cli.output import say, say_error, say_json
from corral.config import Settings
from corral.daemon.answers.explain import explain
from corral.daemon.answers.report import Report
from corral.daemon.answers.topology import topology_of
from corral.daemon.logs import configure_logs
from corral.errors import CorralError, UnreachableError
from corral.nft.text import render
from corral.nft.values import Chain, Count, Dispatch, Equals, Field, InSet, Ruleset, Verdict
from corral.policy.verdict import Scene
from corral.sources.status import SourceStatus
from corral.types import Address, Flow, Protocol
from corral.web.metrics import render_metrics

from ..policy.test_equivalence import check_flow
from .agent import LONG, Agent
from .world import document

# nft's scanner.l (`string`), the kernel's NFT_NAME_MAXLEN, NFTNL_UDATA_COMMENT_MAXLEN and IFNAMSIZ, ends included.
NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9/\\_.-]*")
NAME_LIMIT, COMMENT_LIMIT, INTERFACE_LIMIT = 256, 128, 16
FLOWS = 40
SAID = 8
VIEWED = 3
PROBES = ((Protocol.TCP, 5432), (Protocol.UDP, 53), (Protocol.TCP, 80), (Protocol.ICMP, None))


def check(agent: Agent, data: bytes) -> None:
    """Everything, for an agent that may be in any state after `data`; the slow views for one input in `VIEWED`."""
    check_ruleset(agent)
    check_grammar(agent.desired())
    check_verdicts(agent)
    check_words(dict.fromkeys(agent.said))
    if zlib.crc32(data) % VIEWED == 0:
        check_views(agent)


def check_heals(agent: Agent) -> None:
    """A good document leads to where an agent is that never saw anything else."""
    agent.wait(LONG)
    assert agent.read(document()), "the good document is refused"
    check_ruleset(agent)
    ruleset, reasons = _healthy()
    assert agent.desired() == ruleset, "a good document does not heal"
    assert agent.facts.reasons() == reasons, "what was wrong is still told"


@cache
def _healthy() -> tuple[Ruleset, list[str]]:
    fresh = Agent()
    fresh.read(document())
    check_verdicts(fresh)
    return fresh.desired(), fresh.facts.reasons()


def check_ruleset(agent: Agent) -> None:
    """Incremental is from scratch, and the way there is one that a kernel takes."""
    assert agent.desired() == agent.scratch(), "the incremental result is not the one from scratch"
    agent.commit()


# Verdicts


def check_verdicts(agent: Agent) -> None:
    """The ruleset gives the reference verdict, for a sample of flows."""
    scene = agent.desk.scene()
    if scene is None:
        return
    ruleset = agent.desired()
    for flow in itertools.islice(_flows(scene), FLOWS):
        check_flow(ruleset, scene, flow)


def _flows(scene: Scene) -> Iterator[Flow]:
    """Known endpoints, an unknown address and one outside, in an order that mixes them."""
    known = sorted(scene.endpoints)[:20]
    ends = [*known, *(subnet.last for subnet in scene.subnets[:2]), Address.parse("192.0.2.1")]
    pairs = [(one, other) for one in ends for other in ends]
    step = max(1, len(pairs) * 7 // 11) | 1
    for number in range(len(pairs)):
        client, server = pairs[number * step % len(pairs)]
        protocol, port = PROBES[number % len(PROBES)]
        yield Flow(client, server, protocol, port)


# The table


def check_grammar(ruleset: Ruleset) -> None:
    """Every name and comment is one that nft prints and reads back, and that the kernel takes."""
    names = {*ruleset.counters, *ruleset.sets, *ruleset.maps, *ruleset.chains}
    comments = {declared.comment for declared in ruleset.sets.values()}
    comments |= {declared.comment for declared in ruleset.maps.values()}
    for chain in ruleset.chains.values():
        comments |= {chain.comment, *(rule.comment for rule in chain.rules)}
        names |= set(_names_in(chain))
    for name in names:
        assert NAME.fullmatch(name), f"not a name in nft's grammar: {name!r}"
        assert len(name) < NAME_LIMIT, f"name too long: {name!r}"
    for comment in comments:
        assert comment.isprintable(), f"comment can not be printed: {comment!r}"
        assert '"' not in comment, f"comment ends early: {comment!r}"
        assert len(comment.encode()) < COMMENT_LIMIT, f"comment too long: {comment!r}"
    check_lines(render(ruleset), exceptions="\n\t")


def _names_in(chain: Chain) -> Iterator[str]:
    for expression in itertools.chain.from_iterable(rule.expressions for rule in chain.rules):
        match expression:
            case InSet(_, name) | Dispatch(_, name) | Count(name):
                yield name
            case Verdict(_, str(name)) if name:
                yield name
            case Equals(Field.INPUT_INTERFACE | Field.OUTPUT_INTERFACE, value):
                assert re.fullmatch(r"[!-~]+", value), f"not an interface: {value!r}"
                assert not set(value) & set('"*/:'), f"not an interface: {value!r}"
                assert len(value) < INTERFACE_LIMIT, f"interface name too long: {value!r}"
            case _:
                pass


# What people and programs read


def check_views(agent: Agent) -> None:
    """What the health endpoint, metrics and commands show: strict JSON and text, one line for each thing."""
    report = _report(agent)
    for view in (report.state(), report.policy(), dict(zip(("ready", "health"), report.health(), strict=True))):
        check_json(view)
    check_metrics(agent)
    check_shown(lambda: inspect._show_state(report.state()))
    for client, server in itertools.islice(itertools.product(_askable(agent), repeat=2), 6):
        check_explained(agent, client, server)


def _report(agent: Agent) -> Report:
    source = SourceStatus("metadata")
    if agent.said:
        source.failed(UnreachableError(agent.said[-1]))
    return Report(Settings(), agent.facts, agent.desk, agent.tracker, None, {"metadata": source})


def _askable(agent: Agent) -> Iterator[str]:
    """Names that a person might ask by: of those that have an address, oddest first."""
    for endpoint in sorted(agent.desk.inventory.endpoints.values(), key=lambda each: (each.containers, each.address)):
        for uuid in endpoint.containers[:2]:
            yield agent.desk.inventory.containers[uuid].name or uuid
            yield from itertools.islice(map(str, endpoint.services), 1)


def check_explained(agent: Agent, client: str, server: str) -> None:
    """The answer, or the reason why there is none."""
    try:
        answer = explain(topology_of(agent.desk, "enforce"), client, server, "80/tcp")
    except CorralError as error:
        check_words([str(error)])
        return
    check_json(answer)
    check_shown(lambda: explain_command.show(answer))


def check_metrics(agent: Agent) -> None:
    """Prometheus reads exactly the counters back that there are."""
    counters = dict.fromkeys(agent.desired().counters, (1, 2))
    check_metrics_text(render_metrics(agent.facts, {"hosts": 1}, counters, {"metadata": 1.0}, 0.0), set(counters))


def check_metrics_text(text: bytes, counters: set[str]) -> None:
    """Every counter is one sample of each family, and nothing else is."""
    families = {family.name: family for family in text_string_to_metric_families(text.decode())}
    for family in ("corral_rule_packets", "corral_rule_bytes"):
        seen = [sample.labels["counter"] for sample in families[family].samples]
        assert sorted(seen) == sorted(counters), f"{family} shows {seen!r}"
    assert [sample.value for sample in families["corral_ready"].samples] in ([0.0], [1.0])


def check_json(view: Any) -> None:
    """Strict JSON for every parser, in the endpoint's spelling and in the command's."""
    assert json.loads(json.dumps(view, allow_nan=False)) == json.loads(json.dumps(view))
    printed = _printed_by(lambda: say_json(view))
    check_lines(printed, exceptions="\n")
    assert json.loads(printed) == json.loads(json.dumps(view))


def check_shown(show: Any) -> None:
    """What a command prints for people: printable text that any terminal takes literally."""
    check_lines(_printed_by(show), exceptions="\n")


def check_words(texts: Iterable[str]) -> None:
    """Sentences that are logged, printed and answered with."""
    for text in itertools.islice(texts, SAID):
        check_logged(text)
        check_line(text)


def check_line(text: str) -> None:
    """On a terminal, as an answer or as an error, a text is one line."""
    for printed in (_printed_by(lambda: say(text)), _printed_by(lambda: say_error(text))):
        assert printed.endswith("\n"), f"not a line: {printed!r}"
        check_lines(printed[:-1])


def check_lines(text: str, *, exceptions: str = "") -> None:
    """Nothing that a terminal acts upon, that splits a line, or that no encoder takes."""
    odd = {character for character in text if not character.isprintable()} - set(exceptions)
    assert not odd, f"{sorted(odd)!r} in {text[:400]!r}"


def check_logged(text: str) -> None:
    """One line in either format, from which the text is read back: it forges neither a line nor a field."""
    line = _logged("json", text)
    check_lines(line)
    fields = json.loads(line)
    assert fields.keys() == {"event", "level", "timestamp", "error"}, f"fields are forged: {line!r}"
    assert _units(fields["error"]) == _units(text)
    line = _logged("console", text)
    check_lines(line)
    head, _, said = line.partition(" error=")
    assert re.fullmatch(r"\S+ \[warning {,2}\] source failed +", head + " "), f"the head is forged: {line!r}"
    assert ast.literal_eval(said) == text


def _logged(log_format: str, text: str) -> str:
    """The line, without its end; there is one line only."""
    with _standard("stderr") as written:
        configure_logs(log_format, "info")
        try:
            structlog.get_logger().warning("source failed", error=text)
        finally:
            structlog.reset_defaults()
    printed = written.getvalue()
    assert printed.endswith("\n"), f"not a line: {printed!r}"
    return printed[:-1]


def _units(text: str) -> bytes:
    """JSON joins two halves of a pair that stood side by side."""
    return text.encode("utf-16-le", "surrogatepass")


def _printed_by(show: Any) -> str:
    with _standard("stdout") as written, _standard("stderr") as complained:
        show()
    return written.getvalue() + complained.getvalue()


@contextlib.contextmanager
def _standard(name: str) -> Iterator[io.StringIO]:
    before, written = getattr(sys, name), io.StringIO()
    setattr(sys, name, written)
    try:
        yield written
    finally:
        setattr(sys, name, before)
