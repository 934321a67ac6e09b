"""All that nodes of a graph stand for, through any number of nodes and in circles."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from itertools import compress
from typing import Generic, TypeVar

N = TypeVar("N", bound=Hashable)
L = TypeVar("L", bound=Hashable)

# The leaves and the nodes that a node leads to directly.
Parts = tuple[Iterable[L], Iterable[N]]


class Closures(Generic[N, L]):
    """Follows a graph that stays as it is meanwhile, each node and each edge once, however many questions there are.

    A set of leaves is kept as one bit a leaf in an integer, and as the same integer for all nodes of a circle: a
    chain of nodes that each add a leaf has as many sets as nodes, and they would take a hundred times the memory.
    Only what is asked for becomes a set, and equal answers are the same one: what remains is in proportion to the
    different answers.
    """

    def __init__(self, parts: Callable[[N], Parts[L, N]]) -> None:
        self._parts = parts
        self._numbers: dict[L, int] = {}
        self._leaves: list[L] = []
        self._masks: dict[N, int] = {}
        self._sets: dict[int, frozenset[L]] = {}

    def of(self, leaves: Iterable[L], nodes: Iterable[N]) -> frozenset[L]:
        """The `leaves` and all that the `nodes` lead to."""
        nodes = tuple(nodes)
        for node in nodes:
            if node not in self._masks:
                self._follow(node)
        mask = self._mask(set(leaves), {self._masks[node] for node in nodes})
        if mask not in self._sets:
            self._sets[mask] = frozenset(self._leaves_of(mask))
        return self._sets[mask]

    def _follow(self, root: N) -> None:
        """Tarjan's strongly connected components, without recursion: chains are as long as users make them."""
        order: dict[N, int] = {}
        lowest: dict[N, int] = {}
        open_nodes: list[N] = []
        path: list[tuple[N, Iterator[N]]] = []

        def enter(node: N) -> None:
            order[node] = lowest[node] = len(order)
            open_nodes.append(node)
            path.append((node, iter(self._parts(node)[1])))

        enter(root)
        while path:
            node, rest = path[-1]
            following = next((one for one in rest if one not in self._masks), None)
            if following is None:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == order[node]:
                    self._close(node, open_nodes)
            elif following in order:
                lowest[node] = min(lowest[node], order[following])
            else:
                enter(following)

    def _close(self, first: N, open_nodes: list[N]) -> None:
        """The nodes from `first` on lead to each other, and whatever else they lead to is known."""
        circle = [open_nodes.pop()]
        while circle[-1] != first:
            circle.append(open_nodes.pop())
        leaves: set[L] = set()
        masks: set[int] = set()
        for node in circle:
            its_leaves, its_nodes = self._parts(node)
            leaves.update(its_leaves)
            masks.update(self._masks[one] for one in its_nodes if one in self._masks)
        self._masks.update(dict.fromkeys(circle, self._mask(leaves, masks)))

    def _mask(self, leaves: set[L], masks: set[int]) -> int:
        if not leaves and len(masks) == 1:
            return masks.pop()  # the same object, so that chains share it
        numbers = [self._number(leaf) for leaf in leaves]
        octets = bytearray(max(numbers, default=0) // 8 + 1)
        for number in numbers:
            octets[number // 8] |= 1 << number % 8
        mask = int.from_bytes(octets, "little")
        for other in masks:
            mask |= other
        return mask

    def _number(self, leaf: L) -> int:
        number = self._numbers.setdefault(leaf, len(self._leaves))
        if number == len(self._leaves):
            self._leaves.append(leaf)
        return number

    def _leaves_of(self, mask: int) -> Iterator[L]:
        if mask.bit_count() * 32 > mask.bit_length():
            yield from compress(self._leaves, map(int, reversed(f"{mask:b}")))
            return
        while mask:  # few among many: looking at every digit takes longer
            number = mask.bit_length() - 1
            yield self._leaves[number]
            mask ^= 1 << number
