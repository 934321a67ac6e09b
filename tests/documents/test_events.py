"""The shapes of events. Real ones are checked where they are made: tests/web/test_eventstream.py."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.documents.events import Events

from .checking import check


def test_each_event_has_its_shape() -> None:
    check(Events, {"state": {"status": "ready", "reasons": []}})
    check(Events, {"lost": {"events": 7}})


@pytest.mark.parametrize("wrong", [{"state": {"status": "fine", "reasons": []}}, {"weather": {}}, {"lost": {}}])
def test_what_is_none(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        check(Events, wrong)
