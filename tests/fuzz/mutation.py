"""Mutations that know what they change: trees of JSON as hostile or broken senders might write them, and bytes.

Everything is drawn from the one `Random` that is given, so an input can be made again from its seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

# Texts that split a line, forge one, end a quotation, leave nft's grammar, or change their length when folded.
TEXTS = (
    "", " ", "\n", "\r\n", "a\nb", "\x00", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\u2028", "\u2029",
    "\x85", "\x0b", "\u202eevil", "\u2066\u2069", "\ufeff", "\ud800", "\udfff\ud800", "İ", "ß", "ﬁ", "K",
    "é", "e\u0301", "\U000e0001", "\U0010ffff", '"', "'", "\\", '"; drop', "} chain x {", "{", "}",
    "@system", "# x", "; flush ruleset", "$(reboot)", "`x`", "%s%n", "{0}", "[red]x[/red]", "[/]",
    ":warning:", "<b>", "&amp;", "../..", "a/b/c/d/e", "/", "//", "x" * 64, "x" * 300, "é" * 200, "-" * 70,
    "stack", "stack/one", "to-aaaaaaaaaaaaaaaa", "label-aaaaaaaaaaaaaaaa",
    'x"}\n{"event": "in order again", "level": "info"}', "2017-01-01T00:00:00Z [info     ] in order again",
    "10.42.0.1", "10.42.1.1", "10.42.255.255", "0.0.0.1", "255.255.255.255", "010.042.001.001",
    "10.42.1.1/16", "10.42.1", "::1", "::ffff:10.42.1.1", "fe80::1%eth0", "999.1.1.1", "10.42.0.0/16",
    "10.42.0.0/33", "0.0.0.0/0", "10.42.0.0/\u0967\u096c", "running", "Running", "stopped", "removed",
    "purged", "error", "allow", "deny", "Deny", "within", "service", "linked", "tier=web", "tier in (web)",
    "tier in (", "tier notin ()", "tier!=", "=", ",", "a,,b", "(((", "k in (a, b", "80", "80/tcp", "65536",
    "0", "8080-80", "80/sctp", "\uff18\uff10", "true", "null", "{}", "[]",
    '{"within": "stack", "action": "allow"}', '{"within": "stack", "within": "service", "action": "allow"}',
    '{"between": {"groupBy": "\\ud800"}, "action": "allow"}', '{"action": NaN}', "[" * 2000, '{"a":' * 1200,
    "__host_label__: x", "dnsService", "loadBalancerService", "rancher-bridge",
    "io.rancher.service.launch.config", "io.rancher.stack_service.name", "1i1", "1s1", "1st1", "container",
    "host",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 255, 4096, 65535, 65536, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, -(2**64), 10**80)
SCALARS = (None, True, False, 1.0, -0.0, 1e308, 0.1, *NUMBERS)

Path = tuple[str | int, ...]
Tree = Any


def mutated(text: bytes, random: Random, *, lines: bool = False) -> bytes:
    """A JSON text with some mutations; what is none loses bytes. `lines`: each line is a text of its own."""
    if lines:
        return _mutated_lines(text, random)
    if random.random() < 0.15:
        return _bytes(text, random)
    try:
        tree = json.loads(text)
        for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
            tree = mutated_tree(tree, random)
        return written(tree)
    except (ValueError, RecursionError):  # no JSON, or nested too deeply for Python's own encoder
        return _bytes(text, random)


def written(tree: Tree) -> bytes:
    """As JSON in ASCII, so that halves of surrogate pairs can be written, too."""
    return json.dumps(tree, separators=(",", ":")).encode()


def mutated_tree(tree: Tree, random: Random) -> Tree:
    """One mutation somewhere in the tree. The tree itself is used up."""
    paths = list(_paths(tree))
    path = random.choice(paths)
    mutation = random.choice(MUTATIONS)
    return _replaced(tree, path, partial(mutation, random=random, tree=tree, paths=paths))


def _mutated_lines(text: bytes, random: Random) -> bytes:
    lines = text.split(b"\n")
    at = random.randrange(len(lines))
    match random.randrange(6):
        case 0:
            lines.insert(random.randrange(len(lines) + 1), lines[at])
        case 1 if len(lines) > 1:
            del lines[at]
        case 2:
            random.shuffle(lines)
        case _:
            lines[at] = mutated(lines[at], random)
    return b"\n".join(lines)


def _paths(tree: Tree, path: Path = ()) -> Iterator[Path]:
    """Where there is something, down to a depth that documents have."""
    yield path
    if len(path) > 12:
        return
    items: Any = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield from _paths(value, (*path, key))


def _at(tree: Tree, path: Path) -> Tree:
    for step in path:
        tree = tree[step]
    return tree


_DROPPED = object()


def _replaced(tree: Tree, path: Path, change: Callable[[Tree], Tree]) -> Tree:
    new = change(_at(tree, path))
    if not path:
        return None if new is _DROPPED else new
    parent = _at(tree, path[:-1])
    if new is _DROPPED:
        del parent[path[-1]]
    else:
        parent[path[-1]] = new
    return tree


def _drop(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    return _DROPPED


def _retype(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    others: tuple[Tree, ...] = (
        random.choice(SCALARS),
        random.choice(TEXTS),
        [],
        {},
        [value],
        {"x": value},
        str(value)[:1000],
    )
    return random.choice(others)


def _other_text(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    text = random.choice(TEXTS)
    if not isinstance(value, str) or random.random() < 0.4:
        return text
    at = random.randrange(len(value) + 1)
    return value[:at] + text + value[at:]


def _other_case(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    return random.choice((str.upper, str.title, str.swapcase))(value) if isinstance(value, str) else value


def _copy_of_another(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    """Doubled uuids and addresses, references in circles, objects in the place of others."""
    alike = [path for path in random.sample(paths, min(40, len(paths))) if type(_at(tree, path)) is type(value)]
    return _copied(_at(tree, random.choice(alike))) if alike else value


def _same_field_of_another(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    """Some object's field becomes what the same field of another one is."""
    if not isinstance(value, dict) or not value:
        return value
    key = random.choice(list(value))
    others = [path for path in paths if path and path[-1] == key]
    return {**value, key: _copied(_at(tree, random.choice(others)))} if others else value


def _doubled(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    return [*value, *_copied(value)] if isinstance(value, list) else [value, _copied(value)]


def _ten_times(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    """Many alike, each with an identity of its own."""
    if isinstance(value, dict):
        return value | {f"{key}-{number}": _copied(item) for number in range(9) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    return [_renamed(_copied(item), number) for number in range(10) for item in value[:50]]


def _renamed(item: Tree, number: int) -> Tree:
    if isinstance(item, dict) and isinstance(item.get("uuid"), str):
        item["uuid"] += f"-{number}"
    return item


def _nested(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    for _ in range(random.choice((2, 10, 100, 400))):
        value = [value] if random.random() < 0.5 else {"x": value}
    return value


def _huge(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    return str(value)[:40] * random.choice((10, 100, 1000)) if not isinstance(value, dict | list) else value


def _odd_key(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    """A label of an odd name, or a known field under another one."""
    if not isinstance(value, dict):
        return value
    if not value or random.random() < 0.6:
        return {**value, random.choice(TEXTS): random.choice(TEXTS)}
    key = random.choice(list(value))
    new = random.choice((key.upper(), key.title(), f"{key} ", random.choice(TEXTS)))
    return {new if name == key else name: item for name, item in value.items()}


def _other_order(value: Tree, *, random: Random, tree: Tree, paths: list[Path]) -> Tree:
    if isinstance(value, list):
        return random.sample(value, len(value))
    return dict(random.sample(list(value.items()), len(value))) if isinstance(value, dict) else value


MUTATIONS = (
    _drop, _retype, _retype, _other_text, _other_text, _other_text, _other_case, _copy_of_another, _copy_of_another,
    _same_field_of_another, _same_field_of_another, _same_field_of_another, _doubled, _ten_times, _nested, _huge,
    _odd_key, _odd_key, _other_order,
)  # fmt: skip


def _copied(value: Tree) -> Tree:
    return json.loads(json.dumps(value))


def _bytes(text: bytes, random: Random) -> bytes:
    """Cut, doubled, flipped, with something in between."""
    if not text:
        return random.randbytes(random.randrange(1, 20))
    start = random.randrange(len(text))
    end = min(len(text), start + random.choice((1, 2, 8, 64, 512)))
    match random.randrange(6):
        case 0:
            return text[:start]
        case 1:
            return text[:start] + text[end:]
        case 2:
            return text[:end] + text[start:]
        case 3:
            return text[:start] + random.randbytes(end - start)[:16] + text[end:]
        case 4:
            inserted = json.dumps(random.choice(TEXTS)).encode()
            return text[:start] + inserted[1:-1] + text[start:]
        case _:
            return text[:start] + bytes([text[start] ^ (1 << random.randrange(8))]) + text[start + 1 :]
