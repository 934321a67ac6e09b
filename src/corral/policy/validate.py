"""From what Rancher's network resource holds to a `Policy`, or to sentences that say what is wrong with it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from corral.errors import PolicyError
from corral.policy.rules import Between, Form, FromTo, GroupBy, Policy, Ports, Rule, Scope, Within
from corral.selector import Selector
from corral.types import Action, Problem, Protocol

MOST_PROBLEMS = 20

_LONGEST_QUOTE = 60
_LONGEST_MESSAGE = 500

_RULE_KEYS = ("within", "between", "from", "to", "ports", "action", "type")
_BETWEEN_KEYS = ("groupBy", "group_by", "selector", "type")
_END_KEYS = ("selector", "type")
_FORMS = 'exactly one of "within", "between", or "from" with "to"'
_ACTIONS = '"allow" or "deny"'
_SCOPES = '"stack", "service" or "linked"'
_PORT_FORMS = '"80" (TCP and UDP), "80/tcp", "53/udp" or "8000-8080/tcp", with ports from 1 to 65535'
_PORT = re.compile(r"([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?(?:/(tcp|udp))?")

_Choice = TypeVar("_Choice", Action, Scope)


def parse_policy(policy: object, default_action: object) -> Policy:
    """Read a network's `policy` and `defaultPolicyAction`, given as decoded JSON.

    Raises PolicyError with every problem found (at most MOST_PROBLEMS): one bad rule rejects the whole policy.
    """
    faults = _Faults()
    rules = _parse_rules(policy, faults)
    unset = default_action is None or default_action == ""
    default = Action.ALLOW if unset else _choose(default_action, Action, _ACTIONS, "defaultPolicyAction", faults)
    if faults.problems or default is None:
        raise PolicyError(faults.problems)
    return Policy(rules, default, default_is_set=not unset)


class _Faults:
    """Collects problems up to the limit."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    @property
    def full(self) -> bool:
        return len(self.problems) >= MOST_PROBLEMS

    def add(self, where: str, message: str) -> None:
        if not self.full:
            self.problems.append(Problem(where, _shorten(message)))


def _parse_rules(policy: object, faults: _Faults) -> tuple[Rule, ...]:
    if policy is None:
        return ()
    if not isinstance(policy, list | tuple):
        faults.add("policy", f"given {_show(policy)}; allowed: a list of rules")
        return ()
    rules: list[Rule] = []
    for index, value in enumerate(policy):
        if faults.full:
            break
        if rule := _parse_rule(value, f"policy[{index}]", faults):
            rules.append(rule)
    return tuple(rules)


def _parse_rule(value: object, where: str, faults: _Faults) -> Rule | None:
    if isinstance(value, str):  # the metadata has been seen to hold rules as JSON texts
        try:
            value = json.loads(value, object_pairs_hook=_without_repeats)
        except (ValueError, RecursionError) as error:
            faults.add(where, f"given {_show(value)}, which is not JSON ({error}); allowed: a rule as an object")
            return None
    fields = _fields(value, _RULE_KEYS, where, faults, "a rule as an object, or its JSON in a string")
    if fields is None:
        return None
    form = _parse_form(fields, where, faults)
    action = _choose(fields.get("action"), Action, _ACTIONS, f"{where}.action", faults)
    return Rule(form, action) if form and action else None


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is given twice")
    return fields


def _fields(
    value: object, known: Sequence[str], where: str, faults: _Faults, allowed: str
) -> Mapping[str, object] | None:
    """The members of an object that are not null; others than the known ones are reported."""
    if not isinstance(value, Mapping):
        faults.add(where, f"given {_show(value)}; allowed: {allowed}")
        return None
    fields = {str(key): member for key, member in value.items() if member is not None}
    for key in fields:
        if faults.full:  # looking for what is near takes a while
            break
        if key not in known:
            here = f"{where}.{key[:_LONGEST_QUOTE]}"
            faults.add(here, f"unknown key {_show(key)}{_near(key, known)}; allowed: {', '.join(known)}")
    return fields


def _shorten(message: str) -> str:
    """Cut what is given in the middle: the end says what is allowed."""
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return f"{message[: _LONGEST_MESSAGE // 2]} … {message[-_LONGEST_MESSAGE // 2 :]}"


def _near(key: str, known: Sequence[str]) -> str:
    """A typo must never widen a rule, so it is an error; this helps to mend it."""
    folded = {name.lower(): name for name in known}
    near = difflib.get_close_matches(key[:_LONGEST_QUOTE].lower(), folded, n=2)
    return f" (did you mean {' or '.join(folded[name] for name in near)}?)" if near else ""


def _parse_form(fields: Mapping[str, object], where: str, faults: _Faults) -> Form | None:
    given = [form for form in ("within", "between") if form in fields]
    ends = [end for end in ("from", "to") if end in fields]
    if len(given) + bool(ends) != 1:
        names = " and ".join(f'"{name}"' for name in (*given, *ends)) or "no form"
        faults.add(where, f"given {names}; allowed: {_FORMS}")
        return None
    if ends:
        return _parse_from_to(fields, where, faults)
    if fields.get("ports", []) != []:
        faults.add(f"{where}.ports", f'given with "{given[0]}"; allowed: only with "from" and "to"')
    if given == ["within"]:
        scope = _choose(fields["within"], Scope, _SCOPES, f"{where}.within", faults)
        return Within(scope) if scope else None
    return _parse_between(fields["between"], f"{where}.between", faults)


def _parse_between(value: object, where: str, faults: _Faults) -> GroupBy | Between | None:
    allowed = 'either {"groupBy": "<label>"} or {"selector": "<selector>"}'
    fields = _fields(value, _BETWEEN_KEYS, where, faults, allowed)
    if fields is None:
        return None
    given = [key for key in ("groupBy", "group_by", "selector") if key in fields]
    if len(given) != 1:
        faults.add(where, f"given {' and '.join(given) or 'neither groupBy nor selector'}; allowed: {allowed}")
        return None
    if given == ["selector"]:
        selector = _parse_selector(fields["selector"], f"{where}.selector", faults)
        return Between(selector) if selector else None
    label = fields[given[0]]
    if isinstance(label, str) and label:
        return GroupBy(label)
    faults.add(f"{where}.{given[0]}", f"given {_show(label)}; allowed: the name of a label")
    return None


def _parse_from_to(fields: Mapping[str, object], where: str, faults: _Faults) -> FromTo | None:
    client = _parse_end(fields, "from", where, faults)
    server = _parse_end(fields, "to", where, faults)
    ports = _parse_ports(fields.get("ports", []), f"{where}.ports", faults)
    if client is None or server is None or ports is None:
        return None
    return FromTo(client, server, ports)


def _parse_end(fields: Mapping[str, object], end: str, where: str, faults: _Faults) -> Selector | None:
    here, allowed = f"{where}.{end}", '{"selector": "<selector>"}'
    if end not in fields:
        faults.add(here, f'missing; allowed: "from" and "to" together, each {allowed}')
        return None
    members = _fields(fields[end], _END_KEYS, here, faults, allowed)
    if members is None:
        return None
    if "selector" not in members:
        faults.add(here, f"the selector is missing; allowed: {allowed}")
        return None
    return _parse_selector(members["selector"], f"{here}.selector", faults)


def _parse_selector(value: object, where: str, faults: _Faults) -> Selector | None:
    if not isinstance(value, str):
        faults.add(where, f"given {_show(value)}; allowed: a selector in a string")
        return None
    try:
        return Selector.parse(value)
    except ValueError as error:
        faults.add(where, str(error))
        return None


def _parse_ports(value: object, where: str, faults: _Faults) -> tuple[Ports, ...] | None:
    if not isinstance(value, list | tuple):
        faults.add(where, f"given {_show(value)}; allowed: a list of {_PORT_FORMS}")
        return None
    ports: list[Ports] = []
    for index, text in enumerate(value):
        if faults.full:
            break
        parsed = _parse_port(text)
        if parsed is None:
            faults.add(f"{where}[{index}]", f"given {_show(text)}; allowed: {_PORT_FORMS}, in a string")
        else:
            ports.append(parsed)
    return tuple(ports) if len(ports) == len(value) else None


def _parse_port(text: object) -> Ports | None:
    match = _PORT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        return None
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last <= 65535:
        return None
    return Ports(first, last, Protocol(match[3]) if match[3] else None)


def _choose(value: object, choices: type[_Choice], allowed: str, where: str, faults: _Faults) -> _Choice | None:
    for choice in choices:
        if value == choice.value:
            return choice
    faults.add(where, f"{'missing' if value is None else f'given {_show(value)}'}; allowed: {allowed}")
    return None


def _show(value: object) -> str:
    """What was given, short and in JSON's words."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return json.dumps(
                value if len(value) <= _LONGEST_QUOTE else value[:_LONGEST_QUOTE] + "…", ensure_ascii=False
            )
        case int() if abs(value) > 10**_LONGEST_QUOTE:
            return "a huge number"
        case int() | float():
            return f"the number {value}"
        case Mapping():
            return "an object" if value else "an empty object"
        case _:
            return "a list" if value else "an empty list"
