from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from corral.daemon.collector import spare_the_start, spare_what_is_loaded


@pytest.fixture(autouse=True)
def collector() -> Iterator[tuple[int, int, int]]:
    usual = gc.get_threshold()
    yield usual
    gc.unfreeze()
    gc.set_threshold(*usual)


def test_what_the_first_document_made_is_searched_no_more(collector: tuple[int, int, int]) -> None:
    spare_the_start()
    assert gc.get_threshold()[0] > 100 * collector[0]
    loaded = [[number] for number in range(1000)]
    spare_what_is_loaded()
    frozen = gc.get_freeze_count()
    assert frozen >= len(loaded)
    assert gc.get_threshold() == collector
    later = [[number] for number in range(1000)]
    spare_what_is_loaded()
    assert gc.get_freeze_count() <= frozen
    assert len(later) == len(loaded)


def test_a_collector_without_a_third_generation(collector: tuple[int, int, int]) -> None:
    """Python 3.14's: it says zero, whatever was set."""
    spare_the_start()
    gc.set_threshold(*gc.get_threshold()[:2], 0)
    spare_what_is_loaded()
    assert gc.get_threshold() == collector


def test_an_agent_that_nobody_spared_is_left_alone() -> None:
    before = gc.get_freeze_count()
    spare_what_is_loaded()
    assert gc.get_freeze_count() == before
