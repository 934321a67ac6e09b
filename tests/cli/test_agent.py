"""`corral agent`: each option is a setting. What it does is tested end to end."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from corral.cli.agent import agent
from corral.config import Settings


def test_options_are_settings() -> None:
    options = set(inspect.signature(agent).parameters)
    assert options < set(Settings.model_fields)
    assert not {name for name in options if "key" in name}


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_before_the_loop_listens_is_heeded(name: str) -> None:
    code = (
        "import signal; from corral.cli.agent import _stop_until_the_loop_listens as stop; "
        f"stop(); signal.raise_signal(signal.{name}); raise SystemExit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0  # noqa: S603
