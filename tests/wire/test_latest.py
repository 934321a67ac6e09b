from __future__ import annotations

import pytest

from corral.wire.directory import Reference
from corral.wire.latest import Latest

ONE, TWO, THREE = (Reference("containers", f"1i{number}") for number in (1, 2, 3))


def test_only_what_is_older_is_refused() -> None:
    latest = Latest()
    assert [latest.admits(ONE, time) for time in (5, 5, 4, 7, 6, 7, 8)] == [True, True, False, True, False, True, True]
    assert latest.admits(TWO, 1)
    assert latest.admits(Reference("services", "1i1"), 1)


@pytest.mark.parametrize("time", [None, "9", 9.0, True, [], {}])
def test_what_is_no_time_is_admitted_and_outdates_nothing(time: object) -> None:
    latest = Latest()
    assert latest.admits(ONE, 5)
    assert latest.admits(ONE, time)
    assert (latest.admits(ONE, 4), latest.admits(ONE, 5)) == (False, True)


def test_what_was_heard_of_last_is_kept() -> None:
    latest = Latest(limit=2)
    for reference, time in ((ONE, 5), (TWO, 5), (ONE, 4), (THREE, 5)):
        latest.admits(reference, time)
    assert (latest.admits(ONE, 4), latest.admits(THREE, 4)) == (False, False)
    assert latest.admits(TWO, 4)
