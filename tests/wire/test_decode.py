from __future__ import annotations

from typing import Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from corral.wire.decode import _without, decode
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


def test_many_odd_items_cost_as_much_as_they_are() -> None:
    """Each item was once compared with each fault: 60,000 labels of a wrong type took a minute."""
    number, compared = 2000, 0

    class Counting(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return super().__eq__(other)

        __hash__ = str.__hash__

    odd: dict[str, list[object]] = {Counting(f"k{index}"): [] for index in range(number)}
    assert _without({"labels": odd}, [("labels", str(key)) for key in odd]) == {"labels": {}}
    assert compared <= 10 * number


def test_of_many_faults_the_first_few_are_told() -> None:
    _, faults = decode(Sample, {"id": "a", "labels": {f"k{index}": [] for index in range(1000)}})
    assert faults.startswith("labels.k0: [] given; a string is allowed; labels.k1")
    assert faults.endswith("; and 995 more")


def test_a_long_name_is_told_short() -> None:
    _, faults = decode(Sample, {"id": "a", "labels": {"k" * 100_000: []}})
    assert len(faults) < 200
