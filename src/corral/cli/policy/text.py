"""Plans as text for people: first what changes, then whom it concerns, then what is not known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from corral.cli.output import say

if TYPE_CHECKING:
    from corral.documents.denied import FlowEnd
    from corral.documents.matrix import PolicyWarning
    from corral.documents.plan import (
        CutConnection,
        PlanDocument,
        PlannedGroup,
        PlannedPair,
        PlannedReason,
        PlannedSide,
    )

MOST_LINES, MOST_REASONS, MOST_GROUPS = 20, 10, 5


def show_plan(plan: PlanDocument) -> None:
    """Print a plan; long lists are cut, and `--json` has all of them."""
    _show_edit(plan)
    _show_side("opens", "green", plan["opened"])
    _show_side("closes", "red", plan["closed"])
    if not (plan["opened"]["pairs"] or plan["closed"]["pairs"]):
        say("nothing opens, nothing closes")
    _show_traffic(plan)
    show_warnings(plan["warnings"])
    for sentence in plan["not_known"]:
        say(f"not known: {sentence}", "dim")


def show_warnings(warnings: Iterable[PolicyWarning]) -> None:
    """Each in a line, with what to do about it."""
    for warning in warnings:
        where = "policy" if warning["rule"] is None else f"policy[{warning['rule']}]"
        say(f"warning: {where}: {warning['sentence']}; {warning['remedy']}", "yellow")


def _show_edit(plan: PlanDocument) -> None:
    network = plan["network"] or "the managed network"
    say(f"policy of {network}: {plan['before']} (from {plan['before_from']}) to {plan['after']}", "bold")
    if plan["default_before"] != plan["default_after"]:
        say(f"  default: {plan['default_before']} to {plan['default_after']}")
    for rule in plan["rules_removed"]:
        say(f"  - policy[{rule['index']}] {rule['text']}", "red")
    for rule in plan["rules_added"]:
        say(f"  + policy[{rule['index']}] {rule['text']}", "green")


def _show_side(verb: str, style: str, side: PlannedSide) -> None:
    if not side["pairs"]:
        return
    endpoints = counted(side["endpoint_pairs"], "pair")
    say(f"{verb} {counted(side['pairs'], 'service pair')} ({endpoints} of endpoints)", style)
    few = not side["examples_left_out"] and len(side["examples"]) <= MOST_LINES
    for reason in side["reasons"][:MOST_REASONS]:
        pairs = counted(reason["pairs"], "pair")
        say(f"  {pairs}, {reason['ports']}: {reason['after']['text']} (now {reason['before']['text']})")
        if few:
            for pair in filter(_for(reason), side["examples"]):
                say(f"    {pair['client']} -> {pair['server']}")
        else:
            _show_groups([group for group in side["groups"] if _for(reason)(group)], reason["pairs"])
    _say_more(len(side["reasons"]) - MOST_REASONS, "reasons")


def _for(reason: PlannedReason) -> Callable[[PlannedPair | PlannedGroup], bool]:
    """Whether something changes for that reason."""
    return lambda one: all(one[key] == reason[key] for key in ("ports", "before", "after"))


def _show_groups(groups: Sequence[PlannedGroup], pairs: int) -> None:
    for group in groups[:MOST_GROUPS]:
        client, server = (f"{name}/*" if name else "(no stack)" for name in (group["client"], group["server"]))
        say(f"    {client} -> {server}: {counted(group['pairs'], 'pair')}")
    _say_more(pairs - sum(group["pairs"] for group in groups[:MOST_GROUPS]), "pairs", indent="    ")


def _show_traffic(plan: PlanDocument) -> None:
    if carried := plan["carried"]:
        say(f"of what closes, this carried traffic of late: {counted(len(carried), 'pair')}", "yellow")
        lines = (
            f"{one['client']} -> {one['server']}  {_port(one['protocol'], one['port'])}: "
            f"{counted(one['flows'], 'flow')}, {one['open']} open"
            for one in carried
        )
        _say_some(lines, len(carried))
    for rule in plan["rules_hit"]:
        title = "the default action" if rule["rule"] is None else f"policy[{rule['rule']}]"
        last = f", the last at {rule['last_hit']}" if rule["last_hit"] else ""
        passing = f"  {title} ({rule['text']}) lets pass what closes: {counted(rule['packets'], 'packet')}{last}"
        say(f"{passing}, on {rule['host']}, of all that it decides")
    if cut := plan["cut"]:
        total = len(cut) + plan["cut_left_out"]
        say(f"cuts {counted(total, 'open connection')}", "red")
        _say_some(map(_cut, cut), total)
    elif plan["asked"] and plan["closed"]["pairs"]:
        hosts = ", ".join(one["host"] for one in plan["asked"] if one["entries"] is not None)
        if hosts:
            say(f"cuts no open connection on {hosts}")


def _cut(one: CutConnection) -> str:
    client, server = _end(one["client"], one["client_port"]), _end(one["server"], one["port"])
    return f"{client} -> {server}  {one['protocol']} {one['state']}, on {one['host']}"


def _end(end: FlowEnd, port: int | None) -> str:
    address = end["address"] if port is None else f"{end['address']}:{port}"
    return f"{end['name']} ({address})" if end["name"] else address


def _port(protocol: str, port: int | None) -> str:
    return protocol if port is None else f"{protocol} {port}"


def _say_some(lines: Iterator[str], total: int) -> None:
    for line in islice(lines, MOST_LINES):
        say(f"  {line}")
    _say_more(total - MOST_LINES, "of them")


def _say_more(number: int, noun: str, indent: str = "  ") -> None:
    if number > 0:
        say(f"{indent}and {number:,} more {noun}: see --json")


def counted(number: int, noun: str) -> str:
    """A number and what it counts."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
