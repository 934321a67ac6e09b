"""What goes wrong while everything changes: in the kernel, in the event stream, in the metadata service."""

from __future__ import annotations

import errno
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from corral.dataplane.base import refusal
from corral.dataplane.kernel import KernelDataplane
from corral.errors import CommitError, UncertainError
from corral.nft.transaction import (
    AddChain,
    AddTable,
    AddVerdicts,
    DeleteElements,
    DeleteTable,
    DeleteVerdicts,
    FlushChain,
    Operation,
    Transaction,
)
from corral.nft.values import Chain, NftSet, Verb, Verdict
from corral.sandbox.environment import ResourceChange
from corral.sandbox.metadata_server import MetadataServer
from corral.sandbox.rancher_server import RancherServer, deliver_at_once

REFUSALS = (errno.ENOMEM, errno.EBUSY, errno.ENOENT, errno.EEXIST, errno.EINTR)


class FaultyDataplane(KernelDataplane):
    """The kernel; now and then it refuses, or its answer is lost before or after the commit."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.faults = 0
        self._rng = rng

    async def commit(self, transaction: Transaction) -> None:
        if not self.faults:
            return await super().commit(transaction)
        self.faults -= 1
        kind = self._rng.choice(("refused", "applied", "lost"))
        if kind == "refused":
            raise refusal(None, self._rng.choice(REFUSALS))
        if kind == "applied":
            await super().commit(transaction)
        raise UncertainError("the acknowledgement was lost, as asked")


class Faults:
    """One fault at a time: `strike` begins one, and ends the one before."""

    def __init__(
        self,
        rng: random.Random,
        kernel: FaultyDataplane,
        stranger: KernelDataplane,
        rancher: RancherServer,
        metadata: MetadataServer,
    ) -> None:
        self.struck: Counter[str] = Counter()
        self._rng = rng
        self._kernel = kernel
        self._stranger = stranger
        self._rancher = rancher
        self._metadata = metadata
        self._kinds: Sequence[Callable[[], Awaitable[None]]] = (
            self._refuse,
            self._refuse,
            self._interfere,
            self._interfere,
            self._lose_events,
            self._repeat_events,
            self._shuffle_events,
            self._cut_stream,
            self._stop_rancher,
            self._garble_metadata,
            self._forget_metadata,
            self._hold_metadata,
            self._stop_metadata,
        )

    async def strike(self) -> None:
        """End the present fault and begin another."""
        await self.heal()
        kind = self._rng.choice(self._kinds)
        self.struck[kind.__name__.removeprefix("_").replace("_", " ")] += 1
        await kind()

    async def heal(self) -> None:
        """Everything works."""
        self._kernel.faults = 0
        self._rancher.deliver = deliver_at_once
        self._metadata.garbled = None
        self._metadata.hold(holding=False)
        await self._rancher.start()
        await self._metadata.start()
        self._metadata.publish()

    async def _refuse(self) -> None:
        self._kernel.faults = self._rng.randint(1, 3)

    async def _interfere(self) -> None:
        """Somebody else writes into the table; what he names may not be there at this moment."""
        with suppress(CommitError):
            await self._stranger.commit(Transaction(self._rng.choice(await self._misdeeds())))

    async def _misdeeds(self) -> list[tuple[Operation, ...]]:
        dump = await self._stranger.dump()
        misdeeds: list[tuple[Operation, ...]] = [
            (AddTable(), DeleteTable()),
            (AddTable(), AddChain(Chain(f"mine{self._rng.randrange(9)}", ()))),
        ]
        if dump is None:
            return misdeeds
        misdeeds += [(FlushChain(name),) for name in dump.ruleset.chains]
        misdeeds += [
            (DeleteElements(name, NftSet(name), tuple(sorted(elements))[:3]),)
            for name, elements in dump.ruleset.elements.items()
            if elements and name != "subnets"
        ]
        dispatched = dict(dump.ruleset.verdicts.get("dispatch", {}))
        if dispatched:
            misdeeds += [
                (DeleteVerdicts("dispatch", dispatched),),
                (
                    DeleteVerdicts("dispatch", dispatched),
                    AddVerdicts("dispatch", dict.fromkeys(dispatched, Verdict(Verb.ACCEPT))),
                ),
            ]
        return misdeeds

    async def _lose_events(self) -> None:
        self._rancher.deliver = lambda _: () if self._rng.random() < 0.5 else (0.0,)

    async def _repeat_events(self) -> None:
        self._rancher.deliver = lambda _: (0.0,) * self._rng.randint(1, 3)

    async def _shuffle_events(self) -> None:
        def deliver(_: ResourceChange) -> Sequence[float]:
            return (self._rng.random() * 0.05,)

        self._rancher.deliver = deliver

    async def _cut_stream(self) -> None:
        self._rancher.drop_connections()

    async def _stop_rancher(self) -> None:
        await self._rancher.stop()

    async def _garble_metadata(self) -> None:
        self._metadata.garbled = self._rng.choice((b'{"containers": [', b"<html>", b"[]", b"null"))

    async def _forget_metadata(self) -> None:
        self._metadata.forget()

    async def _hold_metadata(self) -> None:
        self._metadata.hold()

    async def _stop_metadata(self) -> None:
        await self._metadata.stop()
