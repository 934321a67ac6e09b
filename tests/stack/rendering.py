"""The stack's files as Rancher and docker-compose read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
COMPOSE, RANCHER = ROOT / "docker-compose.yml", ROOT / "rancher-compose.yml"
SIDEKICK = ROOT / "docker" / "sidekick" / "docker-compose.yml"
ENTRY = ROOT / "docker" / "catalog" / "infra-templates" / "corral"
VERSIONS = sorted(path for path in ENTRY.iterdir() if path.is_dir())

_REFERENCE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\}|)", re.ASCII)

Json = dict[str, Any]


def load(path: Path, **filled_in: str) -> Json:
    """A file; `IMAGE` and `VERSION` as a release fills them in."""
    text = path.read_text()
    for name, value in filled_in.items():
        text = text.replace(f"@{name}@", value)
    loaded: Json = yaml.safe_load(text)
    return loaded


def interpolated(value: Any, answers: Mapping[str, str]) -> Any:
    """With the answers in place of `$NAME` and `${NAME}`; what has none is empty.

    That is all that Rancher knows: docker-compose's `${NAME:-default}` is an error there. Raises ValueError then.
    """
    if isinstance(value, dict):
        return {key: interpolated(part, answers) for key, part in value.items()}
    if isinstance(value, list):
        return [interpolated(part, answers) for part in value]
    return _REFERENCE.sub(lambda found: _replaced(found, answers), value) if isinstance(value, str) else value


def _replaced(found: re.Match[str], answers: Mapping[str, str]) -> str:
    dollar, plain, braced = found.groups()
    if not found[0][1:]:
        raise ValueError(f"Rancher can not interpolate {found.string!r}")
    return dollar or answers.get(plain or braced, "")


def references(value: Any) -> set[str]:
    """The names that are referred to."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return {name for part in value for name in references(part)}
    if not isinstance(value, str):
        return set()
    return {plain or braced for _, plain, braced in _REFERENCE.findall(value)} - {""}
