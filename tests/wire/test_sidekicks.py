from __future__ import annotations

import pytest

from corral.wire.sidekicks import Member, derived_primaries, member_of
from tests.wire.documents import Json


def member(name: str, sidekicks: object = None, **fields: object) -> Json:
    return {"name": name, "stack_name": "shop", "sidekicks": sidekicks, **fields}


def primaries(*members: object) -> dict[str, str]:
    derived = derived_primaries([member_of(member) for member in members])
    return {
        member["name"]: derived[index]
        for index, member in enumerate(members)
        if isinstance(member, dict) and index in derived
    }


def test_the_service_that_lists_a_sidekick_is_its_primary() -> None:
    assert primaries(member("side"), member("web", ["Side", "log"]), member("LOG")) == {"side": "web", "LOG": "web"}


def test_a_list_repeated_on_all_members() -> None:
    shared = ["side", "log"]
    assert primaries(member("web", shared), member("side", shared), member("log", shared)) == {
        "side": "web",
        "log": "web",
    }


def test_a_primary_that_lists_itself() -> None:
    assert primaries(member("web", ["web", "side"]), member("side")) == {"side": "web"}


def test_other_stacks_do_not_count() -> None:
    assert primaries(member("web", ["side"]), member("side", stack_name="other")) == {}
    assert primaries(
        {"name": "web", "stack_uuid": "st1", "sidekicks": ["side"]}, {"name": "side", "stack_uuid": "st1"}
    ) == {"side": "web"}


def test_a_primary_that_is_named_counts() -> None:
    assert primaries(member("web", ["side"]), member("side", primary_service_name="side")) == {}


@pytest.mark.parametrize(
    "members",
    [
        (member("web", ["side"]), member("db", ["side"]), member("side")),
        (member("side", ["side"]),),
        (member("a", ["b"]), member("b", ["a"])),
        (5, None, {"name": 5, "sidekicks": "side"}, member("x", [None, 5])),
    ],
)
def test_in_doubt_a_sidekick_is_on_its_own(members: tuple[object, ...]) -> None:
    assert derived_primaries([member_of(member) for member in members]) == {}


@pytest.mark.parametrize("odd", [5, None, [], {"name": 5, "stack_name": [], "sidekicks": [7], "stack_uuid": {}}])
def test_what_is_no_service_says_nothing(odd: object) -> None:
    assert member_of(odd) == Member()
