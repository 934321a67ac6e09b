"""Findings are values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from corral.support.findings import Findings, Unread


def test_findings_stay_as_they_are() -> None:
    findings = Findings(now=1.0)
    with pytest.raises(FrozenInstanceError):
        findings.now = 2.0  # type: ignore[misc]
    assert Unread("x") == Unread("x")
