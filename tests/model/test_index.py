from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corral.model.index import Index


def test_values_come_and_go() -> None:
    index: Index[str, int] = Index()
    assert not index
    index.add("a", 1)
    index.add("a", 2)
    index.add("a", 2)
    assert index.of("a") == {1, 2}
    assert "a" in index
    index.discard("a", 1)
    index.discard("a", 9)
    index.discard("b", 9)
    assert index.of("a") == {2}
    index.discard("a", 2)
    assert "a" not in index
    assert not index
    assert index.of("a") == set()


def test_move() -> None:
    index: Index[str, int] = Index()
    index.move(1, None, "a")
    index.move(1, "a", "a")
    assert list(index) == ["a"]
    index.move(1, "a", "b")
    assert list(index) == ["b"]
    index.move(1, "b", None)
    assert list(index) == []


_steps = st.tuples(st.booleans(), st.sampled_from("ab"), st.sampled_from([(1, 2), (3,), ()]))


@given(st.lists(_steps))
def test_values_may_be_tuples_and_each_counts_once(steps: list[tuple[bool, str, tuple[int, ...]]]) -> None:
    index: Index[str, tuple[int, ...]] = Index()
    expected: set[tuple[str, tuple[int, ...]]] = set()
    for put, key, value in steps:
        (index.add if put else index.discard)(key, value)
        (expected.add if put else expected.discard)((key, value))
        assert {(key, value) for key in index for value in index.of(key)} == expected
        assert all(index.of(key) for key in index)
