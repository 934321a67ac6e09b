"""Tests that are there to fail, for `test_machine`: pytest does not find them by itself."""

from __future__ import annotations

import platform
import unittest
from pathlib import Path


def test_that_passes() -> None:
    """It is another kernel than the one outside, with the modules that belong to it."""
    assert Path("/lib/modules", platform.release(), "modules.dep").is_file()


def test_that_fails() -> None:
    """As one of a kernel that differs."""
    assert platform.release() == ""


def test_that_is_skipped() -> None:
    """As one that finds something missing."""
    raise unittest.SkipTest("never run")
