"""`corral schema`, and the shapes behind it."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError
from typing_extensions import TypedDict

from corral.cli.schema import DOCUMENTS, adapter

from .test_app import corral


class Inner(TypedDict):
    """A part."""

    number: int
    """Its number."""


class Outer(TypedDict):
    """A whole."""

    parts: list[Inner] | None
    """Its parts."""


def test_a_key_that_is_not_named_is_an_error_at_any_depth() -> None:
    adapter(Outer).validate_json('{"parts": [{"number": 1}]}', strict=True)
    with pytest.raises(ValidationError, match=r"parts.0.other"):
        adapter(Outer).validate_json('{"parts": [{"number": 1, "other": 2}]}', strict=True)


def test_words_of_the_source_are_in_the_schema() -> None:
    schema = adapter(Outer).json_schema()
    assert schema["properties"]["parts"]["description"] == "Its parts."
    assert schema["$defs"]["Inner"]["properties"]["number"]["description"] == "Its number."


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_key_of_every_document_is_described(name: str) -> None:
    schema = adapter(DOCUMENTS[name]).json_schema()
    shapes = {name: schema, **schema.get("$defs", {})}
    silent = [
        f"{shape}.{key}"
        for shape, found in shapes.items()
        for key, value in found.get("properties", {}).items()
        if not value.get("description") and "$ref" not in value  # the shape that it refers to has the same words
    ]
    assert silent == []


def test_the_command() -> None:
    assert corral("schema").stdout.split() == list(DOCUMENTS)
    assert json.loads(corral("schema", "health").stdout)["title"] == "Health"
    wrong = corral("schema", "helth")
    assert (wrong.returncode, "health" in wrong.stderr) == (2, True)
