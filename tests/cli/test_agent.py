"""`corral agent`: each option is a setting. What it does is tested end to end."""

from __future__ import annotations

import inspect

from corral.cli.agent import agent
from corral.config import Settings


def test_options_are_settings() -> None:
    options = set(inspect.signature(agent).parameters)
    assert options < set(Settings.model_fields)
    assert not {name for name in options if "key" in name}
