"""Validation that gives up an odd field, or an odd item of one, where the rest still says what policy depends on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from pydantic import ValidationError

from corral.wire.fields import EACH, WireModel, faults_of

Document = TypeVar("Document", bound=WireModel)
Path = tuple[str | int, ...]


def decode(model: type[Document], raw: object) -> tuple[Document, str]:
    """The document, as if what is odd and expendable had not been mentioned, and a sentence on that (or none).

    Raises ValidationError where something else is odd.
    """
    try:
        return model.model_validate(raw), ""
    except ValidationError as error:
        odd = [_expendable_part(model.expendable, detail["loc"]) for detail in error.errors(include_url=False)]
        if not all(odd):
            raise
        return model.model_validate(_without(raw, odd)), faults_of(error)


def _expendable_part(patterns: Iterable[str], place: Path) -> Path:
    """The smallest expendable part that a fault's place lies in; empty if there is none."""
    lengths = (len(parts) for pattern in patterns if _leads_to(parts := pattern.split("."), place))
    return place[: max(lengths, default=0)]


def _leads_to(parts: Sequence[str], place: Path) -> bool:
    return len(parts) <= len(place) and all(part in (EACH, step) for part, step in zip(parts, place, strict=False))


def _without(value: object, paths: Sequence[Path]) -> object:
    """A copy of `value` without what the paths lead to."""
    if not paths or not isinstance(value, dict | list):
        return value
    below: dict[str | int, list[Path]] = {}
    for path in paths:
        below.setdefault(path[0], []).append(path[1:])
    items: Iterable[tuple[str | int, object]] = value.items() if isinstance(value, dict) else enumerate(value)
    kept = {key: _without(item, below.get(key, ())) for key, item in items if () not in below.get(key, ())}
    return kept if isinstance(value, dict) else list(kept.values())
