"""Who may talk to whom, for all parties at once; and what in the policy is probably not meant."""

from __future__ import annotations

import asyncio
import difflib
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from corral.daemon.answers.cells import matrix_document
from corral.daemon.desk import Desk
from corral.documents.matrix import MatrixDocument, WarningsDocument
from corral.errors import UnreachableError, UsageError
from corral.model.endpoint import Endpoint
from corral.model.entities import Container
from corral.policy.digest import policy_digest
from corral.policy.lint import PolicyWarning, WarningKind, lint_matrix
from corral.policy.matrix import Matrix, matrix_of
from corral.policy.profiles import Population, profiles_of
from corral.policy.rules import Policy
from corral.types import Address

# A cell takes two or three bytes of an answer, and nobody looks at more than these.
MOST_PARTIES = 1500
# For the metrics it is worked out anew after so many times as long as it took.
REST = 50


class MatrixReport:
    """Implements `corral.web.matrix.MatrixView`.

    It is worked out in a thread, from copies, once for each change of endpoints or policy and only when asked. The
    matrix itself, of some 30 MB in the largest environments, is kept only once somebody has asked for it.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._asking = asyncio.Lock()
        self._rested_at = 0.0
        self._known: _Known | None = None

    async def matrix(self, stacks: Sequence[str]) -> bytes:
        """The JSON of a MatrixDocument; of the parties in these stacks, if there are any (`""`: in no stack).

        Raises UnreachableError while nothing is known yet; UsageError for an unknown stack, or too many parties.
        """
        async with self._asking:
            known = await self._present(whole=True)
            if stacks:
                return await asyncio.to_thread(_of_stacks, known, stacks)
            if known.answer is None:
                known.answer = await asyncio.to_thread(_written, known, None)
            return known.answer

    async def warnings(self) -> WarningsDocument:
        """About the policy in force. Raises UnreachableError while nothing is known yet."""
        async with self._asking:
            known = await self._present()
        return {
            "policy": policy_digest(known.policy),
            "warnings": [
                {"kind": one.kind.value, "rule": one.rule, "sentence": one.sentence, "remedy": one.remedy}
                for one in known.warnings
            ],
        }

    async def warning_counts(self) -> Mapping[str, int]:
        """How many warnings there are of each kind; nothing while nothing is known yet.

        After changes of endpoints they may be old: whoever asks all the time shall not keep a processor busy.
        """
        async with self._asking:
            scene, known = self._desk.scene(), self._known
            if scene is None:
                return {}
            if known is None or known.policy != scene.policy or time.monotonic() >= self._rested_at:
                known = await self._present()
        counts = Counter(one.kind for one in known.warnings)
        return {kind.value: counts[kind] for kind in WarningKind}

    async def _present(self, *, whole: bool = False) -> _Known:
        """What is known of the present; with the matrix, if `whole`."""
        version, scene = self._desk.version, self._desk.scene()
        if scene is None:
            raise UnreachableError(
                "nothing is known yet: the agent waits for the metadata service or a first good policy"
            )
        known = self._known
        if known is None or version != known.version or (whole and known.kept is None):
            self._known = None  # two of them at a time would be a waste
            endpoints, containers = dict(scene.endpoints), dict(self._desk.inventory.containers)
            started = time.monotonic()
            known = await asyncio.to_thread(_worked_out, version, scene.policy, endpoints, containers)
            ended = time.monotonic()
            self._rested_at = ended + REST * (ended - started)
            if not whole:
                known.kept = None
            self._known = known
        return known


@dataclass(slots=True)
class _Known:
    """What was worked out; `answer` is the one for all parties, once somebody has asked."""

    version: int
    policy: Policy
    warnings: tuple[PolicyWarning, ...]
    kept: _Picture | None
    answer: bytes | None = None

    @property
    def picture(self) -> _Picture:
        """The matrix, which is kept."""
        if self.kept is None:
            raise RuntimeError("the matrix was not kept")
        return self.kept


class _Picture(NamedTuple):
    matrix: Matrix
    endpoints: Mapping[Address, Endpoint]


def _worked_out(
    version: int, policy: Policy, endpoints: Mapping[Address, Endpoint], containers: Mapping[str, Container]
) -> _Known:
    matrix = matrix_of(policy, profiles_of(endpoints, containers, [policy]))
    return _Known(version, policy, lint_matrix(matrix, endpoints), _Picture(matrix, endpoints))


def _of_stacks(known: _Known, stacks: Sequence[str]) -> bytes:
    return _written(known, _in_stacks(known.picture.matrix.population, stacks))


def _in_stacks(population: Population, stacks: Sequence[str]) -> list[int]:
    """The parties of these stacks. Letter case does not matter."""
    wanted = {stack.lower() for stack in stacks}
    known = {(party.stack_name or "").lower() for party in population.parties}
    for stack in sorted(wanted - known - {""}):
        near = difflib.get_close_matches(stack, sorted(known - {""}), n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise UsageError(f"stack: {stack!r} given, which is no stack with endpoints{hint}")
    return [index for index, party in enumerate(population.parties) if (party.stack_name or "").lower() in wanted]


def _written(known: _Known, chosen: Sequence[int] | None) -> bytes:
    matrix, endpoints = known.picture
    number = len(matrix.population.parties) if chosen is None else len(chosen)
    if number > MOST_PARTIES:
        raise UsageError(f"{number} services and containers are too many for one matrix: ask by ?stack=NAME")
    return _encoded(matrix_document(matrix, endpoints, chosen))


def _encoded(document: MatrixDocument) -> bytes:
    """Row by row: the event loop has its turns between rows, and none while json writes."""
    frame = json.dumps({key: value for key, value in document.items() if key != "cells"})
    rows = ",".join([json.dumps(row, separators=(",", ":")) for row in document["cells"]])
    return f'{frame[:-1]}, "cells": [{rows}]}}'.encode()
