"""The exception tree.

CorralError
 ├─ UsageError             wrong setting, flag or argument            (exit status 2)
 ├─ UnreachableError       the thing asked for can not be reached     (exit status 3)
 │   └─ RefusedError       reached, but it refuses our credentials
 ├─ PolicyError            a policy that can not be accepted; carries every problem found
 └─ DataplaneError         the kernel refused or did not confirm
     ├─ CommitError        a transaction was refused: the table is as it was
     ├─ UncertainError     no answer: compare with the kernel before going on
     └─ UnsupportedError   the kernel or our privileges lack something; carries the remedy
"""

from __future__ import annotations

from collections.abc import Sequence

from corral.types import Problem


class CorralError(Exception):
    """Base of everything that corral raises on purpose; the text is fit for an operator."""


class UsageError(CorralError):
    """A wrong setting, flag or argument."""


class UnreachableError(CorralError):
    """Rancher, the metadata service or the agent does not answer as it should."""


class RefusedError(UnreachableError):
    """The other side answers, but refuses our credentials (401 or 403)."""


class PolicyError(CorralError):
    """A policy that can not be accepted.

    `problems` names, for each fault, the rule and field, what was given and what is allowed.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class DataplaneError(CorralError):
    """The kernel refused, or did not confirm."""

    def __init__(self, message: str, *, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class CommitError(DataplaneError):
    """The kernel refused a transaction; the table is as it was before."""


class UncertainError(DataplaneError):
    """A transaction was sent but not confirmed: dump and compare."""


class UnsupportedError(DataplaneError):
    """The kernel, or our privileges, lack something; the message names the remedy."""
