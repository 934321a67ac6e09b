"""The shape of `/v1/connections`: a key too many or too few is seen (tests/daemon has real answers)."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.documents.connections import Connections

from ..cli.test_connections import ANSWER, ENTRY
from .checking import check


def test_an_answer_has_the_shape() -> None:
    check(Connections, ANSWER)


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY | {"verdict": "perhaps"},
        ENTRY | {"port": "53"},
        ENTRY | {"differs": "somehow"},
        ENTRY | {"more": 1},
        {key: value for key, value in ENTRY.items() if key != "state"},
    ],
)
def test_another_has_not(entry: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        check(Connections, ANSWER | {"connections": [entry]})
