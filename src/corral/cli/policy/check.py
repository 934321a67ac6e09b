"""`corral policy validate` and `test`: what can be said of a policy before anybody runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from corral.cli.asking import AgentAddress
from corral.cli.output import JsonFlag, say, say_json
from corral.cli.policy.evidence import TopologyFile, ask_for_topology
from corral.cli.policy.input import PolicyFile, name_of, read_policy, read_text
from corral.cli.policy.text import counted, show_warnings
from corral.errors import PolicyError, UsageError
from corral.model.lookup import describe
from corral.policy.digest import policy_digest
from corral.policy.document import read_document
from corral.policy.rules import Policy
from corral.policy.verdict import Scene
from corral.types import Problem

if TYPE_CHECKING:
    from corral.documents.matrix import PolicyWarning
    from corral.documents.plan import FailedExpectation, PolicyCheck, PolicyTest
    from corral.model.topology import Topology
    from corral.policy.expectations import Expectation, Failure


def validate(
    file: PolicyFile,
    topology: TopologyFile = None,
    agent: Annotated[
        str | None, typer.Option("--agent", help="host:port of an agent whose environment the warnings are about.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check a policy: every problem is named, and the exit status is 1 if there is any. Works without an agent.

    With --topology or --agent it also warns of rules that match nothing in that environment, or never decide.
    """
    text = read_text(file)
    try:
        policy = read_document(text).parse()
    except PolicyError as error:
        _tell(file, None, error.problems, [], as_json=as_json)
        raise typer.Exit(1) from None
    environment = _environment(topology, agent) if topology or agent else None
    _tell(file, policy, [], _warnings(policy, environment) if environment else [], as_json=as_json)


def check_expectations(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Expectations: a JSON list of client, server, port and verdict.")
    ],
    policy: Annotated[
        str | None, typer.Option("--policy", help="The policy to test (default: the one in force).", show_default=False)
    ] = None,
    topology: TopologyFile = None,
    agent: AgentAddress = None,
    as_json: JsonFlag = False,
) -> None:
    """Test a policy against expectations, by the compiler that programs the kernel; nothing is changed.

    Exit status 1 if any does not hold. A name that stands for several endpoints must hold for all of them.
    """
    # `--help` does without the compiler and without msgspec.
    from corral.daemon.answers.resolving import Names  # noqa: PLC0415
    from corral.daemon.answers.topology import LoadedTopology  # noqa: PLC0415
    from corral.policy.expectations import failures, read_expectations  # noqa: PLC0415

    try:
        expectations = read_expectations(read_text(file))
    except PolicyError as error:
        raise UsageError(f"{name_of(file)}: {error}") from error
    environment = _environment(topology, agent)
    tested = read_policy(policy)[1] if policy else _policy_of(environment)
    scene = Scene(tested, environment.network.subnets, environment.endpoints, environment.unknown_allowed)
    names = Names(LoadedTopology(environment, tested), many=True)
    found = failures(scene, expectations, lambda name: names.resolve(name).kinds)
    _report(expectations, found, environment, as_json=as_json)
    raise typer.Exit(1 if found else 0)


def _environment(topology: Path | None, agent: str | None) -> Topology:
    if topology is None:
        return asyncio.run(ask_for_topology(agent))
    from corral.daemon.answers.topology import load  # noqa: PLC0415 - `--help` does without msgspec

    return load(topology).topology


def _policy_of(topology: Topology) -> Policy:
    from corral.policy.validate import parse_policy  # noqa: PLC0415 - as above

    return parse_policy(topology.network.policy, topology.network.default_policy_action)


def _warnings(policy: Policy, topology: Topology) -> list[PolicyWarning]:
    from corral.policy.lint import lint  # noqa: PLC0415 - as above

    found = lint(policy, topology.endpoints, topology.containers)
    return [{"kind": str(one.kind), "rule": one.rule, "sentence": one.sentence, "remedy": one.remedy} for one in found]


def _tell(
    file: str, policy: Policy | None, problems: Sequence[Problem], warnings: list[PolicyWarning], *, as_json: bool
) -> None:
    if as_json:
        document: PolicyCheck = {
            "valid": policy is not None,
            "digest": policy_digest(policy) if policy else None,
            "default": policy.default_in_words if policy else None,
            "rules": [str(rule) for rule in policy.rules] if policy else [],
            "problems": [{"where": one.where, "message": one.message} for one in problems],
            "warnings": warnings,
        }
        say_json(document)
        return
    for problem in problems:
        say(f"{name_of(file)}: {problem}", "red")
    if policy is not None:
        rules = counted(len(policy.rules), "rule")
        say(f"valid: {rules}, default {policy.default_in_words}, digest {policy_digest(policy)}")
    show_warnings(warnings)


def _report(
    expectations: Sequence[Expectation], found: Sequence[Failure], topology: Topology, *, as_json: bool
) -> None:
    failed = [_failed(failure, topology) for failure in found]
    if as_json:
        document: PolicyTest = {"expectations": len(expectations), "failures": failed}
        say_json(document)
        return
    for one in failed:
        say(f"FAILED  [{one['index']}] {one['expected']}", "red")
        flow = f"{one['client']} -> {one['server']}  {one['port'] or 'icmp'}"
        more = f"  (and {one['flows'] - 1} more like it)" if one["flows"] > 1 else ""
        say(f"  {flow} is {one['verdict']}: {one['sentence']}{more}")
    count = len(expectations)
    say(f"{count - len(failed)} of {count} expectations hold", "red" if failed else "green")


def _failed(failure: Failure, topology: Topology) -> FailedExpectation:
    flow = failure.flow
    client, server = (describe(end, topology.endpoints, topology.containers) for end in (flow.client, flow.server))
    return {
        "index": failure.index,
        "expected": str(failure.expectation),
        "client": client,
        "server": server,
        "port": None if flow.port is None else f"{flow.port}/{flow.protocol}",
        "verdict": failure.verdict.value,
        "flows": failure.flows,
        "sentence": failure.sentence,
    }
