"""Answers against the shapes that the documentation shows."""

from __future__ import annotations

import json
from functools import cache

from corral.cli.schema import adapter

_adapter = cache(adapter)


def check(document: type, answer: object) -> None:
    """Raise ValidationError unless the answer, as it goes over the wire, has exactly this shape."""
    _adapter(document).validate_json(json.dumps(answer), strict=True)
