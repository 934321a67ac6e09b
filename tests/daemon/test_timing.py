"""From reception to verification: each change is counted once, when it is really so."""

from __future__ import annotations

import pytest

from corral.daemon.timing import COMMIT_BOUNDS, MOST_WAITING, VERIFY_BOUNDS, Distribution, Timing


def number(distribution: Distribution) -> int:
    return sum(distribution.counts)


@pytest.mark.parametrize(
    ("value", "bucket"), [(0.0, 0), (0.0001, 0), (0.00011, 1), (10.0, len(COMMIT_BOUNDS) - 1), (11.0, -1)]
)
def test_a_value_falls_into_the_bucket_whose_bound_it_does_not_exceed(value: float, bucket: int) -> None:
    distribution = Distribution(COMMIT_BOUNDS)
    distribution.add([value])
    assert distribution.counts[bucket] == 1 == number(distribution)
    assert distribution.total == value


def test_bounds_grow_from_a_tenth_of_a_millisecond_to_ten_seconds() -> None:
    assert list(COMMIT_BOUNDS) == sorted(COMMIT_BOUNDS)
    assert (COMMIT_BOUNDS[0], COMMIT_BOUNDS[-1]) == (0.0001, 10.0)
    assert list(VERIFY_BOUNDS) == sorted(VERIFY_BOUNDS)


def test_each_event_counts_from_when_it_came() -> None:
    timing = Timing()
    timing.applied(1.0)
    timing.applied(1.5)
    timing.begin()
    timing.committed(2.0)
    assert timing.commits.total == pytest.approx(1.5)
    assert number(timing.commits) == 2


def test_what_comes_during_a_commit_counts_with_the_next() -> None:
    timing = Timing()
    timing.applied(1.0)
    timing.begin()
    timing.applied(1.5)
    timing.committed(2.0)
    assert number(timing.commits) == 1
    timing.begin()
    timing.committed(3.0)
    assert number(timing.commits) == 2
    assert timing.commits.total == pytest.approx(1.0 + 1.5)


def test_what_a_refused_transaction_held_counts_when_a_later_one_brings_it_in() -> None:
    timing = Timing()
    timing.applied(1.0)
    timing.begin()
    timing.applied(2.0)
    timing.begin()
    timing.committed(3.0)
    assert timing.commits.total == pytest.approx(2.0 + 1.0)


def test_what_made_no_difference_to_the_kernel_does_not_count() -> None:
    timing = Timing()
    timing.applied(1.0)
    timing.begin()
    timing.needless()
    timing.begin()
    timing.committed(9.0)
    assert number(timing.commits) == 0


def test_a_commit_is_verified_once_by_the_next_read_back() -> None:
    timing = Timing()
    timing.committed(1.0)
    timing.committed(2.0)
    timing.verified(5.0, as_committed=True)
    timing.verified(9.0, as_committed=True)
    assert number(timing.verifications) == 2
    assert timing.verifications.total == pytest.approx(4.0 + 3.0)
    assert timing.last_verified == 9.0


def test_what_somebody_else_changed_meanwhile_is_never_verified() -> None:
    timing = Timing()
    timing.committed(1.0)
    timing.verified(5.0, as_committed=False)
    assert timing.last_verified is None
    timing.verified(6.0, as_committed=True)
    assert number(timing.verifications) == 0


def test_a_kernel_that_refuses_for_days_costs_a_bounded_memory() -> None:
    timing = Timing()
    for _ in range(3):
        for _ in range(MOST_WAITING):
            timing.applied(0.0)
        timing.begin()
    timing.committed(1.0)
    assert number(timing.commits) == MOST_WAITING


def test_a_commit_tells_how_long_its_first_event_has_waited() -> None:
    timing = Timing()
    for received in (1.0, 2.0):
        timing.applied(received)
    timing.begin()
    timing.applied(2.5)
    assert timing.committed(3.0) == 2.0
    timing.begin()
    assert timing.committed(4.0) == 1.5
    timing.begin()
    assert timing.committed(5.0) is None
