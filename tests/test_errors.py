"""The exception tree, as its own drawing shows it, and what exceptions carry."""

from __future__ import annotations

import re

import pytest

from corral import errors
from corral.errors import CommitError, CorralError, DataplaneError, PolicyError
from corral.types import Problem


def drawn_tree() -> dict[str, str]:
    """Each class of the module docstring's drawing, with the class that it hangs on."""
    branch: list[tuple[int, str]] = [(-1, "")]
    parents = {}
    for indent, name in re.findall(r"^([ │├└─]*)(\w+Error)\b", errors.__doc__ or "", re.MULTILINE):
        branch = [(depth, parent) for depth, parent in branch if depth < len(indent)]
        parents[name] = branch[-1][1]
        branch.append((len(indent), name))
    return parents


def test_drawing_is_the_tree() -> None:
    classes = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and name.endswith("Error")}
    real = {name: kind.__base__.__name__ for name, kind in classes.items() if kind.__base__ and kind is not CorralError}
    assert {name: parent for name, parent in drawn_tree().items() if parent} == real
    assert issubclass(CorralError, Exception)


def test_policy_error_carries_and_says_every_problem() -> None:
    problems = [Problem("policy[0].action", "missing"), Problem("policy[3].ports", "'x' given")]
    error = PolicyError(problems)
    assert error.problems == tuple(problems)
    assert str(error) == "policy[0].action: missing; policy[3].ports: 'x' given"


@pytest.mark.parametrize("kind", [DataplaneError, CommitError])
def test_dataplane_errors_carry_the_errno(kind: type[DataplaneError]) -> None:
    assert kind("refused").errno is None
    assert kind("refused", errno=1).errno == 1
    assert str(kind("refused", errno=1)) == "refused"
