"""Which service a sidekick is deployed with, where the metadata does not say so.

Some versions leave out `primary_service_name` (rancher#7880), and some repeat the list of sidekicks on every
member (rancher#8382), so a sidekick may list itself and its siblings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Member(NamedTuple):
    """What a service says of its deployment. `stack` is what tells stacks apart; `named`: it names its primary."""

    stack: str = ""
    name: str = ""
    sidekicks: tuple[str, ...] = ()
    named: bool = False


def member_of(raw: object) -> Member:
    """What any JSON says, as far as it is a service."""
    if not isinstance(raw, dict):
        return Member()
    stack, name, sidekicks = raw.get("stack_name"), raw.get("name"), raw.get("sidekicks")
    if not isinstance(stack, str) or not stack:
        stack = raw.get("stack_uuid")
    names = [each for each in sidekicks if isinstance(each, str)] if isinstance(sidekicks, list) else []
    return member(
        stack if isinstance(stack, str) else "",
        name if isinstance(name, str) else "",
        names,
        named=bool(raw.get("primary_service_name")),
    )


def member(stack: str, name: str, sidekicks: Sequence[str], *, named: bool) -> Member:
    """Names count in lower case, and so do the uuids that stand for a stack without a name."""
    return Member(stack.lower(), name.lower(), tuple(map(str.lower, sidekicks)), named)


def derived_primaries(members: Sequence[Member]) -> Mapping[int, str]:
    """By index in `members`, the name of the primary of each service that does not name it itself.

    The primary is the one service of the stack that lists the sidekick and is listed by no other one.
    Where that leaves none or several the sidekick stays on its own, which grants nothing.
    """
    listers: dict[tuple[str, str], set[str]] = {}
    for each in members:
        for sidekick in each.sidekicks:
            if sidekick != each.name:
                listers.setdefault((each.stack, sidekick), set()).add(each.name)
    if not listers:
        return {}
    primaries = {}
    for index, each in enumerate(members):
        roots = _roots(each, listers)
        if len(roots) == 1 and not each.named:
            (primaries[index],) = roots
    return primaries


def _roots(member: Member, listers: Mapping[tuple[str, str], set[str]]) -> set[str]:
    """Those that list a service, without its siblings: they are listed by the same primary as well."""
    stack = member.stack
    return {lister for lister in listers.get((stack, member.name), ()) if not listers.get((stack, lister))}
