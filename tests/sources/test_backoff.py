from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corral.sources.backoff import Backoff


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_delays_grow_to_a_limit() -> None:
    backoff = Backoff(first=1, limit=5, rng=lambda: 1.0)
    assert [backoff.next_delay() for _ in range(5)] == [1, 2, 4, 5, 5]


@given(st.floats(0, 1), st.integers(1, 2000))
def test_the_first_delay_is_anything_and_the_others_are_half_to_all(chance: float, failures: int) -> None:
    backoff = Backoff(first=1, limit=30, rng=lambda: chance)
    first, *delays = [backoff.next_delay() for _ in range(failures)]
    assert first == chance
    assert all(min(2.0**n, 30) / 2 <= delay <= min(2.0**n, 30) for n, delay in enumerate(delays[:10], start=1))
    assert all(15 <= delay <= 30 for delay in delays[10:])


def test_delays_do_not_grow_while_there_is_patience() -> None:
    clock = Clock()
    backoff = Backoff(first=1, limit=60, patience=10, clock=clock, rng=lambda: 1.0)
    delays = []
    for _ in range(18):
        delays.append(backoff.next_delay())
        clock.now += delays[-1]
    assert delays[:10] == [1.0] * 10
    assert delays[10:] == [2, 4, 8, 16, 32, 60, 60, 60]


def test_a_short_success_earns_nothing_back() -> None:
    clock = Clock()
    backoff = Backoff(first=1, limit=30, healthy_after=60, clock=clock, rng=lambda: 1.0)
    delays = []
    for _ in range(5):
        backoff.healthy()
        clock.now += 59
        delays.append(backoff.next_delay())
    assert delays == [1, 2, 4, 8, 16]


def test_a_healthy_stretch_starts_over() -> None:
    clock = Clock()
    backoff = Backoff(first=1, limit=30, healthy_after=60, clock=clock, rng=lambda: 1.0)
    for _ in range(3):
        backoff.next_delay()
    for _ in range(3):
        backoff.healthy()
        clock.now += 20
    assert [backoff.next_delay(), backoff.next_delay()] == [1, 2]


def test_reset() -> None:
    backoff = Backoff(first=1, limit=30, rng=lambda: 1.0)
    backoff.next_delay()
    backoff.reset()
    assert backoff.next_delay() == 1
