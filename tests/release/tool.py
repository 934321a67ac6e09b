"""`tools/release.py`, imported by its path: tools is no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def _imported() -> Any:
    specification = importlib.util.spec_from_file_location("release", ROOT / "tools/release.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["release"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


tool = _imported()
