"""Moments as text."""

from __future__ import annotations

import pytest

from corral.daemon.times import rfc3339


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_795_401_315.1234, "2026-11-23T02:35:15.123Z"),
        (1_795_401_315.0, "2026-11-23T02:35:15.000Z"),
    ],
)
def test_moments_are_in_utc_with_milliseconds(seconds: float, text: str) -> None:
    assert rfc3339(seconds) == text
