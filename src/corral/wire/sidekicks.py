"""Which service a sidekick is deployed with, where the metadata does not say so.

Some versions leave out `primary_service_name` (rancher#7880), and some repeat the list of sidekicks on every
member (rancher#8382), so a sidekick may list itself and its siblings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def derived_primaries(raws: Sequence[object]) -> Mapping[int, str]:
    """By index in `raws`, the name of the primary of each service that does not name it itself.

    The primary is the one service of the stack that lists the sidekick and is listed by no other one.
    Where that leaves none or several the sidekick stays on its own, which grants nothing.
    """
    listers: dict[tuple[object, str], set[str]] = {}
    for raw in raws:
        for sidekick in _sidekicks(raw):
            if sidekick != _name(raw):
                listers.setdefault((_stack(raw), sidekick), set()).add(_name(raw))
    primaries = {}
    for index, raw in enumerate(raws):
        roots = _roots(_stack(raw), _name(raw), listers)
        if len(roots) == 1 and not _given(raw):
            (primaries[index],) = roots
    return primaries


def _roots(stack: object, name: str, listers: Mapping[tuple[object, str], set[str]]) -> set[str]:
    """Those that list `name`, without its siblings: they are listed by the same primary as well."""
    return {lister for lister in listers.get((stack, name), ()) if not listers.get((stack, lister))}


def _sidekicks(raw: object) -> Iterable[str]:
    names = raw.get("sidekicks") if isinstance(raw, dict) else None
    return [name.lower() for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _given(raw: object) -> bool:
    return isinstance(raw, dict) and bool(raw.get("primary_service_name"))


def _stack(raw: object) -> object:
    """What tells stacks apart: the name, else the uuid."""
    fields: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    name, uuid = fields.get("stack_name"), fields.get("stack_uuid")
    return name.lower() if isinstance(name, str) and name else (uuid if isinstance(uuid, str) else "")


def _name(raw: object) -> str:
    name = raw.get("name") if isinstance(raw, dict) else None
    return name.lower() if isinstance(name, str) else ""
