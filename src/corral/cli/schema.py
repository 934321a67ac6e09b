"""The shapes of JSON answers as pydantic sees them: for `corral schema`, the documentation and the tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter
from typing_extensions import is_typeddict

# What each answer is called, here and in the documentation.
DOCUMENTS: dict[str, type] = {}

_CONFIG = ConfigDict(extra="forbid", use_attribute_docstrings=True)


def adapter(document: type) -> TypeAdapter[Any]:
    """Validates one kind of document, and knows its JSON schema. Keys that the document does not name are errors."""
    for part in _typed_dicts(document):
        part.__pydantic_config__ = _CONFIG  # pydantic takes a configuration from the class only, each from its own
    return TypeAdapter(document)


def _typed_dicts(annotation: Any) -> Iterator[Any]:
    if is_typeddict(annotation):
        yield annotation
        for part in get_type_hints(annotation).values():
            yield from _typed_dicts(part)
    for part in get_args(annotation):
        yield from _typed_dicts(part)
