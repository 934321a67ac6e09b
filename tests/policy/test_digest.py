"""Names of policies."""

from __future__ import annotations

from corral.policy.digest import policy_digest
from corral.policy.rules import GroupBy, Policy, Rule, Scope, Within
from corral.types import Action


def policy(*scopes: Scope, default: Action = Action.DENY) -> Policy:
    return Policy(tuple(Rule(Within(scope), Action.ALLOW) for scope in scopes), default, default_is_set=True)


def test_digests_name_the_meaning() -> None:
    assert policy_digest(policy(Scope.STACK)) == policy_digest(policy(Scope.STACK))
    different = {
        policy_digest(policy()),
        policy_digest(policy(default=Action.ALLOW)),
        policy_digest(policy(Scope.STACK, Scope.LINKED)),
        policy_digest(policy(Scope.LINKED, Scope.STACK)),
    }
    assert len(different) == 4


def test_half_a_surrogate_pair_in_a_label_has_a_digest() -> None:
    """A rule that is given as JSON in a string can hold one."""
    half, other = (Policy((Rule(GroupBy(label), Action.ALLOW),)) for label in ("\ud800", "\ud801"))
    assert policy_digest(half) != policy_digest(other)


def test_a_label_is_not_taken_for_rules() -> None:
    one = Policy((Rule(GroupBy("a: allow\nwithin stack"), Action.ALLOW),))
    two = Policy((Rule(GroupBy("a"), Action.ALLOW), Rule(Within(Scope.STACK), Action.ALLOW)))
    assert str(one.rules[0]) == "\n".join(map(str, two.rules))
    assert policy_digest(one) != policy_digest(two)
