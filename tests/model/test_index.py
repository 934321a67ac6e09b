from __future__ import annotations

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
