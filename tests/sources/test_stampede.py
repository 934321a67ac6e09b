"""A thousand agents lose their Rancher in one moment and wait for it: how they come back, on a virtual clock."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import pytest

from corral.sources.backoff import Backoff, refused_backoff, server_backoff
from corral.sources.resync import Resync

AGENTS = 1000
SEED = 1
MINUTE, HOUR = 60.0, 3600.0


def attempts(backoff: Backoff, now: list[float], outage: float) -> list[float]:
    """When one agent tries, from the moment it is dropped (0) until the first attempt that the server is there for."""
    times: list[float] = []
    now[0] = 0.0
    while not times or times[-1] < outage:
        now[0] += backoff.next_delay()
        times.append(now[0])
    return times


def crowd(make: Callable[[], Backoff], outage: float) -> list[list[float]]:
    """The attempts of every agent, each with the delays that the agent really uses."""
    dice = random.Random(SEED)  # noqa: S311
    crowd = []
    for _ in range(AGENTS):
        now = [0.0]
        backoff = make()
        backoff._rng, backoff._clock = dice.random, lambda now=now: now[0]  # type: ignore[misc]
        crowd.append(attempts(backoff, now, outage))
    return crowd


def largest_share(times: list[float], window: float) -> float:
    """The largest part of the agents that arrives within so many seconds."""
    ordered = sorted(times)
    return max(bisect_right(ordered, start + window) - index for index, start in enumerate(ordered)) / AGENTS


def rate(crowd: list[list[float]], start: float, end: float) -> float:
    """Attempts a second of all agents."""
    times = sorted(time for times in crowd for time in times)
    return (bisect_left(times, end) - bisect_left(times, start)) / (end - start)


@pytest.mark.parametrize("outage", [0.0, 1.0, 10.0, 10 * MINUTE])
def test_a_server_that_comes_back_meets_a_stream_of_connections_not_a_wall(outage: float) -> None:
    agents = crowd(server_backoff, outage)
    arrivals = [times[-1] - outage for times in agents]
    assert max(arrivals) < 2.0
    assert largest_share(arrivals, 0.1) < 0.15
    assert all(rate(agents, at, at + 1) < 1.1 * AGENTS for at in range(int(min(outage, 30))))


def test_refused_keys_are_tried_ever_more_seldom() -> None:
    """A server that starts refuses good keys for a moment, and is found at once. Revoked keys cost it little."""
    soon = [times[-1] - 30.0 for times in crowd(refused_backoff, 30.0)]
    assert max(soon) < 2.0
    assert largest_share(soon, 0.1) < 0.15
    late = crowd(refused_backoff, HOUR)
    arrivals = [times[-1] - HOUR for times in late]
    assert max(arrivals) <= MINUTE
    assert largest_share(arrivals, 0.1) < 0.02
    assert largest_share(arrivals, 1.0) < 0.05
    assert rate(late, 10 * MINUTE, HOUR) < AGENTS / 40


@pytest.mark.parametrize("outage", [1.0, 10 * MINUTE])
async def test_what_each_reads_of_the_api_is_spread_over_a_minute(outage: float) -> None:
    """The heavy part: all collections. It is not waited for: what an event refers to is asked for by itself."""
    dice = random.Random(SEED)  # noqa: S311
    starts = [times[-1] - outage + await returning(dice) for times in crowd(server_backoff, outage)]
    assert largest_share(starts, 0.1) < 0.012
    assert largest_share(starts, 1.0) < 0.04
    assert max(starts) < 62.0


async def returning(dice: random.Random) -> float:
    """What an agent waits that had read everything before it lost its server."""

    async def nothing() -> None: ...

    resync = Resync(nothing, nothing, rng=dice.random)
    await resync._attempt()
    return resync.first_delay()


async def test_the_first_time_it_is_read_at_once() -> None:
    async def nothing() -> None: ...

    assert Resync(nothing, nothing).first_delay() == 0.0
