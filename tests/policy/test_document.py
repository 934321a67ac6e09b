"""Policy files: what is read, and where a fault is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import PolicyError
from corral.policy.document import PolicyDocument, read_document

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values)
def test_what_is_written_is_read_back(policy: object, default: object) -> None:
    document = PolicyDocument(policy, default)
    assert read_document(document.as_text()) == document


def test_both_keys_may_be_missing_but_not_both_at_once() -> None:
    assert read_document('{"policy": []}') == PolicyDocument([], None)
    assert read_document('{"defaultPolicyAction": "deny"}') == PolicyDocument(None, "deny")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "policy": [}\n', "line 2, column 14: this is no JSON"),
        ("", "line 1, column 1: this is no JSON"),
        ('{"policy": NaN}', "the file: this is no JSON: NaN"),
        ("[" * 100_000, "the file: this is no JSON"),
        ('{"policy": [{"within": "stack", "within": "service"}]}', '"within" is given twice'),
        ("[]", "the file: given a list; allowed: an object"),
        ("7", "the file: given 7; allowed: an object"),
        ("{}", "the file: given an empty object"),
        ('{"policies": []}', "policies: unknown key; allowed: defaultPolicyAction, policy"),
    ],
)
def test_faults_say_where(text: str, said: str) -> None:
    with pytest.raises(PolicyError) as failed:
        read_document(text)
    assert said in str(failed.value)


def test_the_digest_is_of_the_meaning_where_there_is_one() -> None:
    written = PolicyDocument([{"within": "stack", "action": "allow"}], "deny")
    other = PolicyDocument([{"type": "networkPolicyRule", "action": "allow", "within": "stack", "ports": None}], "deny")
    assert written.digest == other.digest == "fd4436eb6d81"
    bad, worse = PolicyDocument([{"within": "x"}], "deny"), PolicyDocument([{"within": "y"}], "deny")
    assert len({written.digest, bad.digest, worse.digest}) == 3
    assert len(bad.digest) == len(written.digest)


def test_tidied_it_means_the_same_in_fewer_words() -> None:
    rule = {"type": "networkPolicyRule", "within": None, "action": "allow", "ports": None}
    ends = {"from": {"type": "x", "selector": "a=b"}, "to": {"selector": "c", "type": None}}
    held = PolicyDocument([{**rule, **ends}, '{"within": "stack", "action": "deny"}'], None)
    assert held.tidied().parse() == held.parse()
    assert held.tidied().policy == [
        {"action": "allow", "from": {"selector": "a=b"}, "to": {"selector": "c"}},
        {"within": "stack", "action": "deny"},
    ]
    for odd in (PolicyDocument(None, "deny"), PolicyDocument(["no JSON", 7], 1), PolicyDocument("text", None)):
        assert odd.tidied() == odd
