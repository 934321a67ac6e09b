"""What is probably not meant: each warning where it is due, and none where it is not."""

from __future__ import annotations

from hypothesis import given, settings

from corral.model.endpoint import Endpoint
from corral.policy.lint import PolicyWarning, WarningKind, lint
from corral.policy.rules import Policy
from corral.policy.validate import parse_policy
from corral.policy.verdict import Decider, Scene, judge

from .scenes import BETWEEN_DEPARTMENTS, SEED, SUBNETS, WITHIN_STACK, by_address, endpoint, policy
from .strategies import EXAMPLES, Container, endpoints_of, flows, policies, worlds

_DEPARTMENT = "com.rancher.department"


def warnings(judged_by: Policy, *endpoints: Endpoint) -> tuple[PolicyWarning, ...]:
    return lint(judged_by, by_address(*endpoints) if endpoints else SEED, {})


def only(judged_by: Policy, *endpoints: Endpoint) -> PolicyWarning:
    (warning,) = warnings(judged_by, *endpoints)
    return warning


def from_to(client: str, server: str, *ports: str, action: str = "allow") -> dict[str, object]:
    return {"from": {"selector": client}, "to": {"selector": server}, "ports": list(ports), "action": action}


def between(selector: str) -> dict[str, object]:
    return {"between": {"selector": selector}, "action": "allow"}


def group_by(label: str) -> dict[str, object]:
    return {"between": {"groupBy": label}, "action": "allow"}


def test_the_seeds_policies_are_fine() -> None:
    assert warnings(policy(WITHIN_STACK)) == warnings(policy(BETWEEN_DEPARTMENTS)) == ()


def test_a_default_that_is_not_set() -> None:
    warning = only(parse_policy([WITHIN_STACK], None))
    assert (warning.kind, warning.rule) == (WarningKind.NO_DEFAULT, None)


def test_an_environment_without_applications_says_nothing_of_the_rules() -> None:
    system = endpoint(2, "s/a", system=True)
    assert warnings(policy(group_by("nobody"), {"within": "linked", "action": "allow"}), system) == ()


def test_a_rule_that_matches_no_pair() -> None:
    judged_by = policy(between(f"{_DEPARTMENT}=qa, com.rancher.location"))
    warning = only(judged_by)
    assert (warning.kind, warning.rule) == (WarningKind.NO_MATCH, 0)


def test_a_rule_that_earlier_ones_leave_nothing() -> None:
    """The one in the middle is about other ports."""
    other = from_to(f"{_DEPARTMENT}=qa", f"{_DEPARTMENT}=qa", "443/tcp")
    late = from_to(f"{_DEPARTMENT}=qa", f"{_DEPARTMENT}=qa", "80/tcp", action="deny")
    warning = only(policy(other, BETWEEN_DEPARTMENTS, late))
    assert (warning.kind, warning.rule) == (WarningKind.SHADOWED, 2)
    assert f"by policy[1] (between groupBy {_DEPARTMENT}: allow)" in warning.sentence
    assert "policy[0]" not in warning.sentence


def test_a_rule_about_other_clients_is_not_to_blame() -> None:
    other = from_to("com.rancher.location=phoenix", f"{_DEPARTMENT}=qa")
    late = from_to(f"{_DEPARTMENT}=qa", f"{_DEPARTMENT}=qa")
    warning = only(policy(other, BETWEEN_DEPARTMENTS, late))
    assert (warning.kind, warning.rule) == (WarningKind.SHADOWED, 2)
    assert "policy[0]" not in warning.sentence


def test_a_rule_that_decides_one_port_is_of_use() -> None:
    rules = [from_to(_DEPARTMENT, _DEPARTMENT, f"{port}/tcp") for port in (80, 81)]
    assert warnings(policy(*rules)) == ()


def test_a_label_that_is_misspelt() -> None:
    for rule in (group_by("com.rancher.departement"), between("com.rancher.departement=qa")):
        warning = only(policy(rule))
        assert (warning.kind, warning.rule) == (WarningKind.UNKNOWN_LABEL, 0)
        assert f"did you mean {_DEPARTMENT}?" in warning.sentence


def test_a_label_like_no_other() -> None:
    assert "did you mean" not in only(policy(group_by("zzz"))).sentence


def test_letter_case_is_exact_for_group_by_only() -> None:
    warning = only(policy(group_by("com.rancher.Department")))
    assert warning.kind is WarningKind.LETTER_CASE
    assert f"write the label as it is: {_DEPARTMENT}" in warning.remedy
    assert warnings(policy(between("COM.Rancher.Department=QA"))) == ()


def test_labels_and_values_that_letter_case_keeps_apart() -> None:
    apart = [
        endpoint(2, "s/a", labels={"t": "x"}),
        endpoint(3, "s/b", labels={"t": "X"}),
        endpoint(4, "s/c", labels={"t": "x"}),
        endpoint(5, "s/d", labels={"T": "x"}),
    ]
    found = warnings(policy(group_by("t")), *apart)
    assert [warning.kind for warning in found] == [WarningKind.LETTER_CASE] * 2
    assert "some containers carry T instead of t" in found[0].sentence
    assert "t has the values X, x" in found[1].sentence


def test_a_label_whose_values_are_all_different() -> None:
    labelled = [endpoint(number, f"s/n{number}", labels={"id": str(number)}) for number in (2, 3)]
    assert only(policy(group_by("id")), *labelled).kind is WarningKind.ALL_DIFFERENT
    assert warnings(policy(group_by("id")), *labelled, endpoint(4, "s/x", labels={"id": "2"})) == ()


def test_a_value_that_nothing_carries() -> None:
    warning = only(policy(between(f"{_DEPARTMENT}=enginering")))
    assert (warning.kind, warning.rule) == (WarningKind.UNKNOWN_VALUE, 0)
    assert "enginering (did you mean engineering?), so the rule matches nothing" in warning.sentence


def test_one_of_several_values_that_nothing_carries() -> None:
    warning = only(policy(between(f"{_DEPARTMENT} in (qa, zzz)")))
    assert warning.sentence == f"no container has {_DEPARTMENT} = zzz"


def test_leaving_out_a_value_that_nothing_carries() -> None:
    warning = only(policy(between(f"{_DEPARTMENT}!=zzz")))
    assert warning.sentence.endswith("so leaving it out has no effect")


def test_links_where_there_are_none() -> None:
    linked = policy({"within": "linked", "action": "allow"})
    assert only(linked).kind is WarningKind.NO_LINKS
    assert warnings(linked, endpoint(2, "s/a", links_to="s/b"), endpoint(3, "s/b")) == ()
    assert warnings(linked, endpoint(2, links_to_containers="c3"), endpoint(3, linked=True)) == ()


def test_long_lists_are_cut() -> None:
    values = ", ".join(f"missing{number}" for number in range(8))
    assert "and 3 more" in only(policy(between(f"{_DEPARTMENT} in ({values})"))).sentence


@settings(max_examples=EXAMPLES)
@given(worlds, policies)
def test_rules_of_no_use_decide_nothing_and_the_others_do(world: dict[str, Container], judged_by: Policy) -> None:
    endpoints = endpoints_of(world)
    scene = Scene(judged_by, SUBNETS, endpoints)
    judged = [judge(scene, flow) for flow in flows(endpoints)]
    deciding = {one.rule for one in judged if one.decided_by is Decider.RULE}
    idle = {WarningKind.NO_MATCH, WarningKind.SHADOWED, WarningKind.NO_LINKS}
    found = {warning.rule for warning in lint(judged_by, endpoints, {}) if warning.kind in idle}
    assert not found & deciding
