from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corral.errors import PolicyError
from corral.policy.rules import Between, FromTo, GroupBy, Policy, Ports, Rule, Scope, Within
from corral.policy.validate import MOST_PROBLEMS, parse_policy
from corral.selector import Selector
from corral.types import Action, Problem, Protocol

ENDS = {"from": {"selector": "a=b"}, "to": {"selector": "c"}}


def rule(**fields: Any) -> dict[str, Any]:
    return {"action": "allow", **fields}


def parsed(fields: object) -> Rule:
    (only,) = parse_policy([fields], "deny").rules
    return only


def problems(policy: object, default_action: object = "deny") -> tuple[Problem, ...]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(policy, default_action)
    return tuple(caught.value.problems)


@pytest.mark.parametrize("unset", [None, ""])
def test_nothing_set_is_no_rules_and_allow(unset: object) -> None:
    assert parse_policy(None, unset) == Policy((), Action.ALLOW, default_is_set=False)
    assert parse_policy([], "allow") == Policy((), Action.ALLOW, default_is_set=True)
    assert parse_policy((), "deny") == Policy((), Action.DENY, default_is_set=True)


@pytest.mark.parametrize(
    ("fields", "form"),
    [
        ({"within": "stack"}, Within(Scope.STACK)),
        ({"within": "service"}, Within(Scope.SERVICE)),
        ({"within": "linked"}, Within(Scope.LINKED)),
        ({"between": {"groupBy": "com.company.somelabel"}}, GroupBy("com.company.somelabel")),
        ({"between": {"group_by": "Some Label"}}, GroupBy("Some Label")),
        ({"between": {"selector": "a=b, c"}}, Between(Selector.parse("c, a=b"))),
        (ENDS, FromTo(Selector.parse("a=b"), Selector.parse("c"))),
        ({**ENDS, "ports": []}, FromTo(Selector.parse("a=b"), Selector.parse("c"))),
        ({"within": "stack", "ports": []}, Within(Scope.STACK)),
    ],
)
def test_every_form_in_every_shape(fields: dict[str, Any], form: object) -> None:
    plain = rule(**fields)
    nulls = {"within": None, "between": None, "from": None, "to": None, "ports": None, "unknown": None}
    api = {"type": "networkPolicyRule", **nulls, **plain}
    assert parsed(plain) == parsed(api) == parsed(json.dumps(api)) == Rule(form, Action.ALLOW)  # type: ignore[arg-type]


def test_nested_objects_may_carry_types_and_nulls() -> None:
    between = {"type": "networkPolicyRuleBetween", "groupBy": "k", "group_by": None, "selector": None}
    assert parsed(rule(between=between)).form == GroupBy("k")


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("80", Ports(80, 80)),
        ("80/tcp", Ports(80, 80, Protocol.TCP)),
        ("53/udp", Ports(53, 53, Protocol.UDP)),
        ("8000-8080/tcp", Ports(8000, 8080, Protocol.TCP)),
        ("1-65535", Ports(1, 65535)),
    ],
)
def test_ports(text: str, ports: Ports) -> None:
    form = parsed(rule(**ENDS, ports=[text])).form
    assert isinstance(form, FromTo)
    assert form.ports == (ports,)


@pytest.mark.parametrize(
    "port",
    [
        "",
        "0",
        "65536",
        "99999999999",
        "80/sctp",
        "80/TCP",
        "90-80",
        "80-",
        "-80",
        "+80",
        " 80",
        "80\n",
        "٨٠",
        "080",
        "80/",
        80,
        None,
        [],
        {},
    ],
)
def test_bad_ports_name_what_was_given_and_what_is_allowed(port: object) -> None:
    (problem,) = problems([rule(**ENDS, ports=["80", port])])
    assert problem.where == "policy[0].ports[1]"
    assert "given" in problem.message
    assert '"8000-8080/tcp"' in problem.message


@pytest.mark.parametrize(
    ("policy", "where", "words"),
    [
        ("no list", "policy", ['"no list"', "a list of rules"]),
        ({"within": "stack"}, "policy", ["an object", "a list of rules"]),
        ([None], "policy[0]", ["null", "a rule as an object"]),
        ([7], "policy[0]", ["the number 7"]),
        (["{"], "policy[0]", ['"{"', "not JSON"]),
        (["[]"], "policy[0]", ["an empty list", "a rule as an object"]),
        (['{"within": "stack", "action": "deny", "action": "allow"}'], "policy[0]", ["a key is given twice"]),
        ([{}], "policy[0]", ["no form", "exactly one of"]),
        ([rule()], "policy[0]", ["no form", "exactly one of"]),
        ([rule(within="stack", between={"groupBy": "a"})], "policy[0]", ['"within" and "between"', "exactly one of"]),
        ([rule(within="stack", **ENDS)], "policy[0]", ['"within" and "from" and "to"']),
        ([rule(within="Stack")], "policy[0].within", ['"Stack"', '"stack", "service" or "linked"']),
        ([rule(within=["stack"])], "policy[0].within", ["a list"]),
        ([rule(within="stack", ports=["80"])], "policy[0].ports", ['"within"', 'only with "from" and "to"']),
        ([rule(between={"groupBy": "a"}, ports="80")], "policy[0].ports", ['"between"']),
        ([rule(between="a")], "policy[0].between", ['"a"', "groupBy"]),
        ([rule(between={})], "policy[0].between", ["neither groupBy nor selector"]),
        ([rule(between={"groupBy": "a", "selector": "b"})], "policy[0].between", ["groupBy and selector"]),
        ([rule(between={"groupBy": ""})], "policy[0].between.groupBy", ['""', "the name of a label"]),
        ([rule(between={"group_by": 1})], "policy[0].between.group_by", ["the number 1"]),
        ([rule(between={"group-by": "a"})], "policy[0].between.group-by", ['"group-by"', "did you mean", "groupBy"]),
        ([rule(between={"selector": "a ~ b"})], "policy[0].between.selector", ["a ~ b", "key notin (a, b)"]),
        ([rule(between={"selector": True})], "policy[0].between.selector", ["true", "a selector in a string"]),
        ([rule(**{"from": {"selector": "a"}})], "policy[0].to", ["missing", '"from" and "to" together']),
        ([rule(to={"selector": "a"})], "policy[0].from", ["missing"]),
        ([rule(**{**ENDS, "to": "a"})], "policy[0].to", ['"a"', '{"selector"']),
        ([rule(**{**ENDS, "to": {}})], "policy[0].to", ["the selector is missing"]),
        ([rule(**{**ENDS, "from": {"selector": ""}})], "policy[0].from.selector", ["empty"]),
        ([rule(**ENDS, ports="80/tcp")], "policy[0].ports", ['"80/tcp"', "a list of"]),
        ([rule(**ENDS, portz=["80"])], "policy[0].portz", ['"portz"', "did you mean ports"]),
        ([rule(**ENDS, Ports=["80"])], "policy[0].Ports", ['"Ports"', "did you mean ports"]),
        ([{"within": "stack"}], "policy[0].action", ["missing", '"allow" or "deny"']),
        ([rule(within="stack", action="ALLOW")], "policy[0].action", ['"ALLOW"', '"allow" or "deny"']),
        ([rule(within="stack", action=True)], "policy[0].action", ["true"]),
    ],
)
def test_faults_name_the_rule_the_field_the_given_and_the_allowed(policy: object, where: str, words: list[str]) -> None:
    found = problems(policy)
    (message,) = [problem.message for problem in found if problem.where == where]
    assert all(word in message for word in words), message


@pytest.mark.parametrize("action", ["Deny", "drop", 0, False, [], {}])
def test_a_bad_default_action_is_a_fault(action: object) -> None:
    (problem,) = problems(None, action)
    assert problem.where == "defaultPolicyAction"
    assert '"allow" or "deny"' in problem.message


def test_every_fault_of_every_rule_is_reported() -> None:
    policy = [rule(within="stack"), rule(within="x", action="y"), rule(**ENDS, ports=["a", "80", "b"])]
    found = problems(policy, "z")
    assert [problem.where for problem in found] == [
        "policy[1].within",
        "policy[1].action",
        "policy[2].ports[0]",
        "policy[2].ports[2]",
        "defaultPolicyAction",
    ]


def test_one_bad_rule_rejects_the_policy() -> None:
    assert problems([rule(within="stack"), rule(within="stak")])[0].where == "policy[1].within"


def test_the_report_is_bounded() -> None:
    found = problems(["x" * 100_000] * 1000)
    assert len(found) == MOST_PROBLEMS
    assert all(len(problem.message) < 1000 for problem in found)


def test_a_long_selector_still_tells_what_is_allowed() -> None:
    (problem,) = problems([rule(between={"selector": "a=" + "(" * 5000})])
    assert len(problem.message) < 1000
    assert problem.message.endswith("`,()=!<>`")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["stack", "80", "a=b"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["within", "between", "from", "to", "ports", "action", "selector", "groupBy", "type", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON | st.lists(JSON | JSON.map(json.dumps), max_size=3), JSON)
@example(["[" * 100_000], None)
@example([10**5000], None)
@example(["9" * 5000], None)
@example(['"\\ud800"', "\ud800"], "\ud800")
def test_any_json_is_a_policy_or_a_policy_error(policy: object, default_action: object) -> None:
    try:
        result = parse_policy(policy, default_action)
    except PolicyError as error:
        assert 1 <= len(error.problems) <= MOST_PROBLEMS  # noqa: PT017
    else:
        assert isinstance(result, Policy)


def test_very_many_unknown_keys_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for the nearest known key takes 15 microseconds: a megabyte of keys held up the agent for seconds."""
    looked_at: list[str] = []

    def near(key: str, _: object) -> str:
        looked_at.append(key)
        return ""

    monkeypatch.setattr("corral.policy.validate._near", near)
    with pytest.raises(PolicyError) as caught:
        parse_policy([{f"k{number}": 1 for number in range(1000)}], "deny")
    assert len(caught.value.problems) == MOST_PROBLEMS == len(looked_at)
