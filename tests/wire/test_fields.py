from __future__ import annotations

import pytest
from pydantic import Field, ValidationError

from corral.types import Address
from corral.wire.fields import SHOWN_CHARACTERS, Flag, Labels, OptionalAddress, WireModel, named, problem_of, shown


class Sample(WireModel):
    flag: Flag = False
    address: OptionalAddress = None
    labels: Labels = Field(default_factory=dict)
    number: int


@pytest.mark.parametrize(("given", "read"), [(None, False), ("", False), ("true", True), (1, True), (False, False)])
def test_flags(given: object, read: bool) -> None:
    assert Sample.model_validate({"flag": given, "number": 1}).flag is read


@pytest.mark.parametrize("text", ["10.42.0.1", "255.255.255.255", "1.0.0.0"])
def test_addresses(text: str) -> None:
    assert Sample.model_validate({"address": text, "number": 1}).address == Address.parse(text)


@pytest.mark.parametrize("text", ["10.42.0", "10.42.0.01", "10.42.0.1/16", "ten", " 10.42.0.1", 169, True, []])
def test_what_is_no_address(text: object) -> None:
    with pytest.raises(ValidationError, match="an IPv4 address"):
        Sample.model_validate({"address": text, "number": 1})


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, {}),
        ({"a": "x", "b": None}, {"a": "x"}),
        ({"a": 1, "b": True, "c": False, "d": 0.5}, {"a": "1", "b": "true", "c": "false", "d": "0.5"}),
    ],
)
def test_labels(given: object, read: object) -> None:
    assert Sample.model_validate({"labels": given, "number": 1}).labels == read


def test_an_odd_label_is_named_by_its_key() -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"labels": {"a.b": "x", "c.d": ["y"], "e": 1}, "number": 1})
    assert problem_of("sample", caught.value).message == "labels.c.d: ['y'] given; a string is allowed"


def test_all_faults_of_an_object_are_one_problem() -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"flag": "maybe", "labels": 5})
    problem = problem_of("sample", caught.value)
    assert problem.where == "sample"
    assert problem.message == (
        "flag: 'maybe' given; true or false is allowed; "
        "labels: 5 given; a map of label names to strings, or null, is allowed; "
        "number: missing; it is required"
    )


def test_an_error_type_without_words_of_ours_keeps_its_own() -> None:
    with pytest.raises(ValidationError) as caught:
        Sample.model_validate({"number": "many"})
    assert problem_of("sample", caught.value).message.startswith("number: 'many' given; Input should be a valid int")


def test_long_values_are_shortened() -> None:
    assert shown("short") == "'short'"
    assert len(shown("x" * 1000)) == SHOWN_CHARACTERS + 1
    assert shown(10**5000) == "int too large to show"


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ({"name": "web", "uuid": "c1"}, "container web (c1)"),
        ({"uuid": "c1"}, "container (c1)"),
        ({"name": 5, "uuid": ""}, "container [7]"),
        ("text", "container [7]"),
    ],
)
def test_what_an_undecodable_object_is_called(raw: object, name: str) -> None:
    assert named("container", raw, 7) == name
