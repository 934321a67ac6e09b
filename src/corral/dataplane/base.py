"""What the rest of corral sees of a dataplane; the kernel and the in-memory fake both are one."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol

from corral.errors import CommitError
from corral.nft.text import summary
from corral.nft.transaction import Operation, Transaction
from corral.nft.values import Ruleset


@dataclass(frozen=True, slots=True)
class Dump:
    """The table as it was at one moment.

    `alien` has a sentence for each thing in it that `ruleset` can not hold, and that corral therefore never wrote.
    `generation` counts the commits to the whole ruleset of the network namespace.
    """

    ruleset: Ruleset
    alien: tuple[str, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class ForeignChange:
    """Someone else changed our table. When `lost`, notifications were lost: anyone may have changed anything.

    `pid` and `process` are the other's, in the kernel's view (not this container's).
    """

    generation: int = 0
    pid: int = 0
    process: str = ""
    lost: bool = False


class Dataplane(Protocol):
    """Table `inet corral`. Every method raises UnsupportedError when the kernel or our privileges lack something."""

    async def dump(self) -> Dump | None:
        """The table, or None when there is none. Raises DataplaneError when it can not be read."""

    async def commit(self, transaction: Transaction) -> None:
        """Bring the whole transaction into force, or nothing of it.

        Raises CommitError when it was refused: the table is as it was. Raises UncertainError when nobody knows.
        Raises ValueError for values that nft could not print and read back.
        """

    async def counters(self) -> Mapping[str, tuple[int, int]]:
        """Packets and bytes by name of counter; empty when there is no table."""

    async def delete_table(self) -> None:
        """Remove the table, if there is one."""

    def changes(self) -> AsyncGenerator[ForeignChange, None]:
        """Changes to our table by others, from the first `anext` on, without end."""


def refusal(operation: Operation | None, number: int, explanation: str = "") -> CommitError:
    """The error for a refused operation, or transaction; `explanation` is the kernel's own, if it gave any."""
    about = "the transaction" if operation is None else f"`{summary(operation)}`"
    reason = f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
    details = f": {explanation}" if explanation else ""
    return CommitError(f"the kernel refused {about}: {reason}{details}; the table is as it was", errno=number)
