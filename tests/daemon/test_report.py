"""What the agent says of itself."""

from __future__ import annotations

import pytest

from corral.config import load_settings
from corral.daemon.report import Report, policy_digest
from corral.dataplane.fake import FakeDataplane
from corral.nft.transaction import AddChain, Transaction
from corral.nft.values import Chain
from corral.policy.rules import GroupBy, Policy, Rule, Scope, Within
from corral.types import Action
from corral.web.views import Which

from .running import desk_of, small_environment


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


@pytest.mark.parametrize(("default", "shown"), [("deny", "deny"), (None, "not set (allow)"), ("allow", "allow")])
async def test_a_missing_default_is_said(default: str | None, shown: str) -> None:
    environment = small_environment()
    environment.set_policy([], default)
    desk = desk_of(environment)
    report = Report(load_settings({}), desk.facts, desk, desk.tracker, FakeDataplane(), {})
    assert report.policy()["default"] == shown


async def test_the_difference_shows_what_is_missing_and_what_is_too_much() -> None:
    desk, dataplane = desk_of(small_environment()), FakeDataplane()
    report = Report(load_settings({}), desk.facts, desk, desk.tracker, dataplane, {})
    assert "add table inet corral" in await report.ruleset(Which.DIFFERENCE)
    await dataplane.commit(desk.tracker.pending())
    assert await report.ruleset(Which.DIFFERENCE) == ""
    dataplane.interfere(Transaction((AddChain(Chain("foreign", ())),)))
    assert "delete chain inet corral foreign" in await report.ruleset(Which.DIFFERENCE)
