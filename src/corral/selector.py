"""Label selectors, as Rancher writes them in policies and in load balancers' port rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

ALLOWED = (
    "clauses joined by commas, each `key`, `key=value`, `key==value`, `key!=value`, "
    "`key in (a, b)` or `key notin (a, b)`; keys of letters, digits and any of `._-/:@+`, "
    "values without any of `,()=!<>`"
)

_KEY = r"[A-Za-z0-9_./:@+-]+"
_VALUE = r"[^\s,()=!<>](?:[^,()=!<>]*[^\s,()=!<>])?"
_BARE = re.compile(_KEY)
_COMPARISON = re.compile(rf"({_KEY})\s*(==?|!=)\s*({_VALUE})")
_MEMBERSHIP = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)", re.IGNORECASE)
_SINGLE_VALUE = re.compile(_VALUE)


class Operator(StrEnum):
    """What a clause asks of a label; `=` is `in` with one value, `!=` is `notin` with one."""

    PRESENT = "present"
    IN = "in"
    NOT_IN = "notin"


@dataclass(frozen=True, slots=True, order=True)
class Clause:
    """One condition. `key` and `values` are folded to lower case; values are sorted, each once."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Sequence[Mapping[str, str]]) -> bool:
        """Judge the labels of one endpoint: one map for each of its containers."""
        found = False
        for mapping in labels:  # plain loops: this runs for every endpoint and rule
            for name in _spellings(self.key, tuple(mapping)):
                found = True
                if self.operator is not Operator.PRESENT and mapping[name].casefold() in self.values:
                    return self.operator is Operator.IN
        return found and self.operator is not Operator.IN

    def __str__(self) -> str:
        if self.operator is Operator.PRESENT:
            return self.key
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator is Operator.IN else '!='}{self.values[0]}"
        return f"{self.key} {self.operator} ({', '.join(self.values)})"


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of clauses, sorted and each once: selectors that are written alike but for order are equal."""

    clauses: tuple[Clause, ...]

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Read a selector. Raises ValueError with what was given and what is allowed."""

        def fail(reason: str) -> ValueError:
            return ValueError(f"selector {text!r}: {reason}; allowed: {ALLOWED}")

        clauses = [_parse_clause(part.strip(), fail) for part in _split(text, fail)]
        return cls(tuple(sorted(set(clauses))))

    def matches(self, labels: Sequence[Mapping[str, str]]) -> bool:
        """Whether every clause holds for an endpoint whose containers carry these labels, one map a container.

        `=`, `in` and a bare key hold when any container's value qualifies; `!=` and `notin` when the label is
        there and no container's value is excluded.
        """
        for clause in self.clauses:  # a plain loop: this runs for every endpoint and rule  # noqa: SIM110
            if not clause.holds(labels):
                return False
        return True

    def __str__(self) -> str:
        return ", ".join(map(str, self.clauses))


@lru_cache(maxsize=4096)
def _spellings(key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the `names` that fold to `key`. All containers of a service have labels of the same names."""
    return tuple(name for name in names if name.casefold() == key)


def _split(text: str, fail: Callable[[str], ValueError]) -> Iterator[str]:
    """Cut at the commas that are outside brackets."""
    depth = start = 0
    for position, character in enumerate(text):
        if character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:position]
            start = position + 1
        if depth not in (0, 1):
            raise fail("brackets do not match")
    if depth:
        raise fail("brackets do not match")
    yield text[start:]


def _parse_clause(text: str, fail: Callable[[str], ValueError]) -> Clause:
    if not text:
        raise fail("a clause is empty")
    if _BARE.fullmatch(text):
        return Clause(text.casefold(), Operator.PRESENT)
    if match := _COMPARISON.fullmatch(text):
        operator = Operator.NOT_IN if match[2] == "!=" else Operator.IN
        return Clause(match[1].casefold(), operator, (match[3].casefold(),))
    if match := _MEMBERSHIP.fullmatch(text):
        values = [value.strip() for value in match[3].split(",")]
        if all(_SINGLE_VALUE.fullmatch(value) for value in values):
            return Clause(match[1].casefold(), Operator(match[2].lower()), _fold(values))
    raise fail(f"the clause {text!r} is not understood")


def _fold(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({value.casefold() for value in values}))
