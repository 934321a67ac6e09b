"""What nodes lead to, against a plain search from each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corral.model.closures import Closures

Graph = dict[int, tuple[list[str], list[int]]]

graphs = st.integers(1, 9).flatmap(
    lambda size: st.dictionaries(
        st.integers(0, size - 1),
        st.tuples(st.lists(st.sampled_from("abcdef"), max_size=2), st.lists(st.integers(0, size - 1), max_size=3)),
    )
)


def searched(graph: Graph, leaves: list[str], nodes: list[int]) -> set[str]:
    passed, found, pending = set(), set(leaves), list(nodes)
    while pending:
        node = pending.pop()
        if node not in passed:
            passed.add(node)
            its_leaves, its_nodes = graph.get(node, ([], []))
            found |= set(its_leaves)
            pending += its_nodes
    return found


@given(graphs, st.lists(st.tuples(st.lists(st.sampled_from("abcxyz")), st.lists(st.integers(0, 8), max_size=3))))
def test_closures_are_what_a_search_finds(graph: Graph, questions: list[tuple[list[str], list[int]]]) -> None:
    closures: Closures[int, str] = Closures(lambda node: graph.get(node, ([], [])))
    for leaves, nodes in questions:
        assert closures.of(leaves, nodes) == searched(graph, leaves, nodes)


def test_few_and_many_of_many_leaves() -> None:
    graph: Graph = {number: ([f"leaf{number}"], [number + 1] if number < 999 else []) for number in range(1000)}
    closures: Closures[int, str] = Closures(lambda node: graph[node])
    assert len(closures.of([], [0])) == 1000
    assert closures.of([], [998]) == {"leaf998", "leaf999"}
    assert closures.of(["leaf0"], []) == {"leaf0"}


def test_equal_answers_are_one_object() -> None:
    graph: Graph = {0: (["a", "b"], [1]), 1: ([], [0]), 2: ([], [0])}
    closures: Closures[int, str] = Closures(lambda node: graph[node])
    assert closures.of([], [0]) is closures.of([], [1]) is closures.of(["a"], [2])


def test_each_node_is_looked_at_a_few_times_however_many_questions() -> None:
    looked: list[int] = []

    def parts(node: int) -> tuple[list[str], list[int]]:
        looked.append(node)
        return [f"leaf{node % 10}"], [(node + 1) % 3000]

    closures: Closures[int, str] = Closures(parts)
    for node in range(3000):
        assert len(closures.of([], [node])) == 10
    assert len(looked) == 2 * 3000
