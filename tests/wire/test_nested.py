from __future__ import annotations

import pytest
from msgspec import Raw

from corral.wire.nested import (
    Identified,
    by_uuid,
    by_uuid_and_name,
    field_of,
    identified,
    identity_of,
    nested_copies,
    nested_identities,
    text_in,
    text_of,
)

from .documents import container, sent, service

ODD: list[object] = [5, None, "text", [], {}, {"uuid": 5, "name": {}}, {"uuid": None}, {"uuid": "", "name": ""}]


def raw(value: object) -> Raw:
    return Raw(sent(value))


def test_what_tells_objects_apart() -> None:
    assert identity_of(raw(container()), by_uuid) == "c1"
    assert identity_of(raw(service("WEB")), by_uuid_and_name) == ("s1", "web")
    assert identity_of(raw({"name": "web", "uuid": 5}), by_uuid_and_name) == ("", "web")


@pytest.mark.parametrize("odd", ODD)
def test_what_has_no_identity(odd: object) -> None:
    assert identity_of(raw(odd), by_uuid) == ""
    assert identity_of(raw(odd), by_uuid_and_name) == ""


def test_text_that_is_no_unicode() -> None:
    assert identity_of(Raw(b'{"uuid":"\xff","name":"web"}'), by_uuid) == ""
    assert identity_of(Raw(b'{"uuid":"c1","other":"\xff"}'), by_uuid) == "c1"
    assert text_in(Raw(b'"\xff"')) == ""


def test_the_same_text_is_the_same_object() -> None:
    one, other = (identity_of(raw(container("a" * 40)), by_uuid) for _ in range(2))
    assert one is other


def test_copies_without_an_identity_and_names_are_left_out() -> None:
    found: list[Identified | str] = [Identified("c1", "one"), "name", Identified(5, "two"), Identified("", "")]
    assert identified(found, by_uuid) == ("c1",)
    assert identified(found, by_uuid_and_name) == (("c1", "one"), ("", "two"))
    assert identified(None, by_uuid) == ()


def test_odd_ones_cost_a_list_nothing_else() -> None:
    listed = [*ODD, container(), service()]
    assert nested_identities(raw({"containers": listed}), "containers", by_uuid) == ("c1", "s1")
    copies = dict(nested_copies(raw({"containers": listed}), "containers", by_uuid))
    assert bytes(memoryview(copies["s1"])) == sent(service())


@pytest.mark.parametrize("parent", [*ODD, {"containers": None}, {"containers": "c1"}, {"containers": {"uuid": "c1"}}])
def test_an_odd_parent_has_nothing_in_it(parent: object) -> None:
    assert nested_identities(raw(parent), "containers", by_uuid) == ()
    assert list(nested_copies(raw(parent), "containers", by_uuid)) == []


def test_fields_as_text() -> None:
    parent = raw({"a": "text", "b": 5, "c": None})
    assert [text_of(parent, name) for name in "abcd"] == ["text", "", "", ""]
    assert field_of(raw(5), "a") is None
