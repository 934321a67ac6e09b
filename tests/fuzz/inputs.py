"""Inputs for hypothesis: seeds that mutations pile up on, so that few and early ones are found to be enough."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

from hypothesis import strategies as st

from .mutation import TEXTS, mutated
from .targets import TARGETS
from .world import root


class Input(bytes):
    """Shown short: hypothesis shows what fails, and documents are long."""

    def __repr__(self) -> str:
        return super().__repr__() if len(self) <= 300 else f"<{len(self)} bytes: {bytes(self[:200])!r}…>"


TEXT = st.sampled_from(TEXTS) | st.text(max_size=100)
KEYS = ("within", "between", "from", "to", "ports", "action", "type", "groupBy", "group_by", "selector")
NAMES = ("shop", "blog", "web", "db", "tier", "zone", "com.rancher.department", "qa", "docker0", "ipsec", "Other")


@cache
def _seeds(target: str) -> tuple[bytes, ...]:
    return tuple(TARGETS[target].seeds())


@st.composite
def mutations(draw: st.DrawFn, target: str) -> Input:
    """A seed of the target, mutated some times."""
    text = draw(st.sampled_from(_seeds(target)))
    for seed in draw(st.lists(st.integers(0, 2**32 - 1), max_size=5)):
        text = mutated(text, Random(seed), lines=TARGETS[target].lines)  # noqa: S311 - to be repeated
    return Input(text)


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.sampled_from(("allow", "deny", "stack"))
_values: st.SearchStrategy[Any] = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | TEXT, inner, max_size=3),
    max_leaves=8,
)
_ends = st.fixed_dictionaries({"selector": TEXT | _values})
_rules = st.fixed_dictionaries(
    {"action": st.sampled_from(("allow", "deny")) | _values},
    optional={
        "within": st.sampled_from(("stack", "service", "linked")) | _values,
        "between": st.fixed_dictionaries({}, optional={"groupBy": TEXT, "selector": TEXT}) | _values,
        "from": _ends,
        "to": _ends,
        "ports": st.lists(TEXT | st.sampled_from(("80", "53/udp", "1-2/tcp")), max_size=3),
    },
)
texts = TEXT.map(lambda text: Input(text.encode(errors="replace"))) | st.binary(max_size=200).map(Input)

policies = st.builds(
    lambda rules, default: Input(json.dumps({"policy": rules, "defaultPolicyAction": default}).encode()),
    st.lists(_rules | _rules.map(json.dumps) | _values, max_size=3) | _values,
    st.sampled_from(("allow", "deny", None, "")) | _values,
)

# What people choose: names of stacks, services, labels, bridges; and the very same odd names in selectors.
_namings = st.dictionaries(st.sampled_from(NAMES), TEXT, min_size=1, max_size=4)
named_documents = _namings.map(lambda naming: Input(json.dumps(_renamed(root(), naming)).encode()))


def _renamed(tree: Any, naming: Mapping[str, str]) -> Any:
    if isinstance(tree, dict):
        return {_name(key, naming): _renamed(value, naming) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_renamed(item, naming) for item in tree]
    return _name(tree, naming) if isinstance(tree, str) else tree


def _name(text: str, naming: Mapping[str, str]) -> str:
    """Also as the parts of a path."""
    return "/".join(naming.get(part, part) for part in text.split("/"))
