from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from corral.wire.decode import decode
from corral.wire.fields import Labels, Text, WireModel


class Part(WireModel):
    name: str
    labels: Labels = Field(default_factory=dict)


class Sample(WireModel):
    expendable: ClassVar[tuple[str, ...]] = ("note", "labels", "labels.*", "items.*", "parts.*.labels.*")

    id: str
    note: Text = ""
    labels: Labels = Field(default_factory=dict)
    items: list[str] = Field(default_factory=list)
    parts: tuple[Part, ...] = ()


def test_what_is_as_it_should_be_has_no_faults() -> None:
    assert decode(Sample, {"id": "a", "note": None}) == (Sample(id="a"), "")


@pytest.mark.parametrize(
    ("fields", "read", "faults"),
    [
        ({"note": 5}, {}, "note: 5 given; a string is allowed"),
        ({"labels": {"a.b": [], "c": "d"}}, {"labels": {"c": "d"}}, "labels.a.b: [] given; a string is allowed"),
        ({"labels": "a"}, {}, "labels: 'a' given; a map of label names to strings, or null, is allowed"),
        (
            {"items": [1, "a", 2, "b"]},
            {"items": ["a", "b"]},
            "items.0: 1 given; a string is allowed; items.2: 2 given; a string is allowed",
        ),
        (
            {"parts": [{"name": "a"}, {"name": "b", "labels": {"c": {}, "d": "e"}}]},
            {"parts": [{"name": "a"}, {"name": "b", "labels": {"d": "e"}}]},
            "parts.1.labels.c: {} given; a string is allowed",
        ),
    ],
)
def test_the_smallest_expendable_part_is_given_up(fields: dict[str, Any], read: dict[str, Any], faults: str) -> None:
    raw = {"id": "a", **fields}
    before = repr(raw)
    assert decode(Sample, raw) == (Sample.model_validate({"id": "a", **read}), faults)
    assert repr(raw) == before


def test_what_is_given_up_counts_as_not_mentioned() -> None:
    assert decode(Sample, {"id": "a", "note": 5, "items": []})[0].model_fields_set == {"id", "items"}


@pytest.mark.parametrize(
    "raw",
    [
        {"id": 5},
        {},
        None,
        [],
        {"id": "a", "items": "b"},
        {"id": "a", "parts": [{"name": 5}]},
        {"id": "a", "parts": [{"name": "b", "labels": 5}]},
        {"id": 5, "note": 5},
    ],
)
def test_what_is_not_expendable_is_invalid(raw: object) -> None:
    with pytest.raises(ValidationError):
        decode(Sample, raw)
