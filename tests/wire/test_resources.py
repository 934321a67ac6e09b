from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.wire.resources import (
    COLLECTIONS,
    ContainerResource,
    PlainContainer,
    Resource,
    ServiceResource,
    without_nulls,
)


@pytest.mark.parametrize(
    ("fields", "gone"),
    [
        ({}, False),
        ({"state": "Removed"}, True),
        ({"state": "purging"}, True),
        ({"state": "removing"}, False),
        ({"state": "active", "removed": "2017-01-01T00:00:00Z"}, True),
    ],
)
def test_gone(fields: dict[str, object], gone: bool) -> None:
    assert Resource.model_validate({"id": "1x1"} | fields).gone is gone


def test_nulls_are_no_mention_unless_they_tell() -> None:
    assert without_nulls({"a": None, "b": None, "c": 0}, keep=["b"]) == {"b": None, "c": 0}
    assert without_nulls([None]) == [None]


def test_what_was_mentioned_is_known() -> None:
    read = ContainerResource.model_validate({"id": "1i1", "uuid": "c1", "primaryIpAddress": None, "extra": 1})
    assert read.model_fields_set == {"id", "uuid", "address"}
    assert "labels" not in ServiceResource.model_validate({"id": "1", "name": "a", "stackId": "2"}).model_fields_set


def test_a_plain_container_has_the_same_fields() -> None:
    names = {name: field.alias or name for name, field in ContainerResource.model_fields.items()}
    assert names == dict(zip(PlainContainer.__struct_fields__, PlainContainer.__struct_encode_fields__, strict=True))


def test_what_was_not_mentioned_stays_so() -> None:
    read = ContainerResource.model_validate({"id": "1i1", "uuid": "c1", "state": "Running"})
    assert PlainContainer.of(read) == PlainContainer(id="1i1", uuid="c1", state="running")


@pytest.mark.parametrize("links", [{"a": 5}, {"a": ""}, "1s1", [None]])
def test_links_are_ids(links: object) -> None:
    with pytest.raises(ValidationError):
        ServiceResource.model_validate({"id": "1s1", "name": "a", "stackId": "1st1", "linkedServices": links})


def test_every_type_has_a_followed_collection() -> None:
    assert set(COLLECTIONS.values()) == {"hosts", "networks", "stacks", "services", "containers"}
