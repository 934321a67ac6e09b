"""Which of the messages about one resource is out of date: they may arrive out of order."""

from __future__ import annotations

from collections import OrderedDict

from corral.wire.directory import Reference


class Latest:
    """The highest time heard of each resource, for the `limit` resources heard of last.

    What is gone is kept as well: its end outdates messages that are still under way.
    """

    def __init__(self, limit: int = 20_000) -> None:
        self._limit = limit
        self._times: OrderedDict[Reference, int] = OrderedDict()

    def admits(self, reference: Reference, time: object) -> bool:
        """Whether nothing later was heard of the resource. `time` is in milliseconds; anything else is admitted."""
        if type(time) is not int:
            return True
        latest = self._times.get(reference, time)
        self._times[reference] = max(latest, time)
        self._times.move_to_end(reference)
        if len(self._times) > self._limit:
            self._times.popitem(last=False)
        return time >= latest
