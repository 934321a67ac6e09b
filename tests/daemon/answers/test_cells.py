"""The matrix as a document: what the reference says, by the names that people use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings

from corral.daemon.answers.cells import matrix_document
from corral.documents.matrix import MatrixDocument
from corral.model.endpoint import Endpoint
from corral.policy.digest import policy_digest
from corral.policy.matrix import matrix_of
from corral.policy.profiles import party_name, profiles_of
from corral.policy.rules import Policy
from corral.policy.verdict import Scene, judge
from corral.types import Address

from ...documents.checking import check
from ...policy.scenes import BETWEEN_DEPARTMENTS, SEED, SUBNETS, WITHIN_STACK, by_address, endpoint, policy
from ...policy.strategies import EXAMPLES, Container, endpoints_of, flows, policies, worlds


def document_of(judged_by: Policy, endpoints: Mapping[Address, Endpoint], *chosen: int) -> MatrixDocument:
    matrix = matrix_of(judged_by, profiles_of(endpoints, {}, [judged_by]))
    return matrix_document(matrix, endpoints, chosen or None)


def cell(document: MatrixDocument, client: str, server: str) -> Any:
    names = [party["name"] for party in document["parties"]]
    return document["decisions"][document["cells"][names.index(client)][names.index(server)]]


def test_the_shape_is_that_of_the_documentation() -> None:
    check(MatrixDocument, document_of(policy(WITHIN_STACK), SEED))


def test_the_seeds_third_example() -> None:
    judged_by = policy(BETWEEN_DEPARTMENTS)
    document = document_of(judged_by, SEED)
    assert document["policy"] == policy_digest(judged_by)
    assert document["rules"] == ["between groupBy com.rancher.department: allow"]
    assert document["default"] == "deny"
    assert len(document["parties"]) == 7
    assert len(document["decisions"]) == 2
    allowed = cell(document, "stack_one/service_one", "stack_two/service_one")
    sentence = "allowed by policy[0] (between groupBy com.rancher.department: allow)"
    assert allowed == {
        "verdict": "allow",
        "ports": [
            {
                "ports": "any",
                "verdict": "allow",
                "decided_by": "rule",
                "rule": 0,
                "sentence": sentence,
                "partly": False,
            }
        ],
    }
    denied = cell(document, "stack_one/service_one", "stack_one/service_two")
    assert denied["verdict"] == "deny"
    assert denied["ports"][0]["sentence"] == "denied by the default action"


def test_parties_say_what_they_are() -> None:
    endpoints = by_address(
        endpoint(2, "s/a", labels={"team": "x", "io.rancher.container.uuid": "u"}),
        endpoint(3, "s/a", labels={"team": "w"}, local=False),
        endpoint(4, system=True),
    )
    alone, service = document_of(policy(WITHIN_STACK), endpoints)["parties"]
    assert service == {
        "name": "s/a",
        "stack": "s",
        "system": False,
        "endpoints": 2,
        "local_endpoints": 1,
        "labels": {"team": ["w", "x"]},
    }
    assert (alone["name"], alone["stack"], alone["system"]) == ("10.42.0.4", None, True)


def test_ports_make_a_cell_mixed() -> None:
    rule = {"from": {"selector": "c"}, "to": {"selector": "s"}, "ports": ["80/tcp"], "action": "allow"}
    endpoints = by_address(endpoint(2, "s/a", labels={"c": "x"}), endpoint(3, "s/b", labels={"s": "x"}))
    found = cell(document_of(policy(rule), endpoints), "s/a", "s/b")
    assert found["verdict"] == "mixed"
    assert [(entry["ports"], entry["verdict"], entry["partly"]) for entry in found["ports"]] == [
        ("tcp 80", "allow", False),
        ("any other", "deny", False),
    ]


def test_endpoints_that_differ_make_a_cell_mixed() -> None:
    rule = {"between": {"selector": "t"}, "action": "allow"}
    endpoints = by_address(
        endpoint(2, "s/a", labels={"t": "x"}), endpoint(3, "s/a"), endpoint(4, "s/b", labels={"t": ""})
    )
    found = cell(document_of(policy(rule), endpoints), "s/a", "s/b")
    assert found["verdict"] == "mixed"
    assert [(entry["ports"], entry["verdict"], entry["rule"], entry["partly"]) for entry in found["ports"]] == [
        ("any", "allow", 0, True),
        ("any", "deny", None, True),
    ]


def test_chosen_parties_only() -> None:
    document = document_of(policy(WITHIN_STACK), SEED, 1, 4)
    assert [party["name"] for party in document["parties"]] == ["stack_one/service_three", "stack_three/service_two"]
    assert len(document["cells"]) == len(document["cells"][0]) == 2


def test_nobody_is_an_empty_matrix() -> None:
    assert document_of(policy(WITHIN_STACK), {})["cells"] == []


@settings(max_examples=EXAMPLES)
@given(worlds, policies)
def test_cells_are_what_the_reference_says(world: dict[str, Container], judged_by: Policy) -> None:
    endpoints = endpoints_of(world)
    document = document_of(judged_by, endpoints)
    said: dict[tuple[str, str], set[tuple[str, int | None]]] = {}
    for flow in flows(endpoints):
        judged = judge(Scene(judged_by, SUBNETS, endpoints), flow)
        names = party_name(endpoints[flow.client], {}), party_name(endpoints[flow.server], {})
        said.setdefault(names, set()).add((str(judged.action), judged.rule))
    for names, expected in said.items():
        found = cell(document, *names)
        # The probes may miss a class of ports, never the other way round.
        entries = {(entry["verdict"], entry["rule"]) for entry in found["ports"]}
        assert expected <= entries
        if not any(getattr(rule.form, "ports", ()) for rule in judged_by.rules):
            assert expected == entries
        verdicts = {verdict for verdict, _ in entries}
        assert found["verdict"] == (verdicts.pop() if len(verdicts) == 1 else "mixed")
