from __future__ import annotations

from dataclasses import replace

import pytest

from corral.model.entities import ServiceKey
from corral.policy.groups import (
    LOCAL,
    SYSTEM,
    UNJUDGED,
    Census,
    Criterion,
    Group,
    Kind,
    client_groups,
    criterion_of,
    server_groups,
)
from corral.policy.rules import Between, FromTo, GroupBy, Scope, Within
from corral.selector import Selector

from .scenes import endpoint

QA = Selector.parse("dept=qa")
WEB = Selector.parse("role=web")
ONE = endpoint(2, "one/web", labels={"dept": "qa"}, links_to="two/api", links_to_containers="c9", linked=True)


def names(found: frozenset[Group] | tuple[Group, ...]) -> set[str]:
    return {group.set_name for group in found}


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        (Within(Scope.STACK), {"stack/one"}),
        (Within(Scope.SERVICE), {"service/one/web"}),
        (Within(Scope.LINKED), {"linked/two/api", "linked-container/c9"}),
        (GroupBy("dept"), {"label/dept/qa"}),
        (GroupBy("Dept"), set()),
        (QA, {Group(Kind.SELECTOR, ("dept=qa",)).set_name}),
        (WEB, set()),
        (Census.CENSUS, {"local"}),
    ],
)
def test_the_groups_of_a_client(criterion: Criterion, expected: set[str]) -> None:
    assert names(client_groups(criterion, ONE)) == expected
    system = client_groups(criterion, replace(ONE, system=True))
    assert system == ({UNJUDGED, SYSTEM} if criterion is Census.CENSUS else set())


def test_the_groups_that_a_server_admits() -> None:
    assert names(server_groups(Within(Scope.STACK), ONE)) == {"stack/one"}
    assert names(server_groups(Within(Scope.LINKED), ONE)) == {"linked/one/web", "linked-container/c2"}
    assert names(server_groups(GroupBy("dept"), ONE)) == {"label/dept/qa"}
    assert server_groups(Between(QA), ONE) == (Group(Kind.SELECTOR, ("dept=qa",)),)
    assert server_groups(Between(WEB), ONE) == ()
    assert server_groups(FromTo(WEB, QA), ONE) == (Group(Kind.SELECTOR, ("role=web",)),)
    assert server_groups(FromTo(QA, WEB), ONE) == ()


def test_a_container_that_nothing_links_to_has_no_group_of_its_own() -> None:
    assert names(server_groups(Within(Scope.LINKED), replace(ONE, linked_containers=frozenset()))) == {"linked/one/web"}


def test_rules_that_ask_the_same_of_a_client_share_a_criterion() -> None:
    assert criterion_of(Between(QA)) == criterion_of(FromTo(QA, WEB)) == QA
    assert criterion_of(Within(Scope.STACK)) == Within(Scope.STACK)


def test_another_environments_service_is_another_group() -> None:
    far = replace(ONE, services=frozenset([ServiceKey("east/other", "one", "web")]))
    (group,) = client_groups(Within(Scope.SERVICE), far)
    assert group.parts == ("east/other", "one", "web")
    assert group.set_name != "service/one/web"


@pytest.mark.parametrize(
    ("group", "text"),
    [
        (Group(Kind.STACK, ("one",)), "stack one"),
        (Group(Kind.SERVICE, ("one", "web")), "service one/web"),
        (Group(Kind.LINKED, ("one", "web")), "what links to one/web"),
        (Group(Kind.LINKED_CONTAINER, ("c1",)), "what links to container c1"),
        (Group(Kind.LABEL, ("dept", "qa")), "label dept=qa"),
        (Group(Kind.LABEL, ("{}", "{}")), "label {}={}"),
        (Group(Kind.STACK, ("{}",)), "stack {}"),
        (Group(Kind.SELECTOR, ("a=b, c",)), "selector a=b, c"),
        (LOCAL, "application endpoints of this host"),
    ],
)
def test_a_group_says_what_its_members_have_in_common(group: Group, text: str) -> None:
    assert str(group) == group.declaration.comment == text
