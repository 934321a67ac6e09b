from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import DecodeError, Raw, ValidationError

from corral.wire import splitting
from corral.wire.splitting import NEW, Outline, Parts, Section, Shape, digest_of, split

from .documents import Json, sent

SHAPE = Shape("ab", "cd")


def run(steps: Generator[None, None, Parts]) -> tuple[Parts, int]:
    """The parts, and how often the generator paused."""
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value, pauses
        pauses += 1


def parts_of(document: bytes, before: Parts | None = None) -> Parts:
    return run(split(document, SHAPE, outlines(before)))[0]


def outlines(parts: Parts | None) -> Mapping[str, Outline]:
    return {} if parts is None else {name: section.outline for name, section in parts.lists.items()}


def texts(section: Section) -> list[bytes]:
    return [bytes(memoryview(text)) for text in section.texts]


def values(parts: Parts) -> Json:
    """The document that the parts are of."""
    lists = {name: [json.loads(text) for text in texts(section)] for name, section in parts.lists.items()}
    return lists | {name: json.loads(bytes(memoryview(text))) for name, text in parts.texts.items()}


def was_compared(parts: Parts) -> bool:
    """Whether the document before told where objects end: msgspec alone yields texts of its own."""
    return not any(isinstance(text, Raw) for section in parts.lists.values() for text in section.texts)


def test_lists_and_all_else() -> None:
    document = {"a": [{"x": [1]}, 5, None], "b": None, "c": [1], "d": {"a": [2]}}
    parts = parts_of(sent(document))
    assert values(parts) == document | {"b": []}
    assert set(parts.lists) == {"a", "b"}
    assert parts.lists["a"].origins == [NEW] * 3


@pytest.mark.parametrize("odd", [{}, 5, "text", True])
def test_what_is_no_list_is_left_as_it_is(odd: object) -> None:
    before = parts_of(sent({"a": [1]}))
    for parts in (parts_of(sent({"a": odd})), parts_of(sent({"a": odd}), before)):
        assert (parts.lists, values(parts)) == ({}, {"a": odd})


def test_objects_are_found_again() -> None:
    before = parts_of(sent({"a": [{"n": number} for number in range(1000)]}))
    numbers = [5000, *range(200), 5001, *range(250, 600), 7, 5002, *range(900, 600, -1), 999]
    parts = parts_of(sent({"a": [{"n": number} for number in numbers]}), before)
    assert parts.lists["a"].origins == [number if number < 1000 else NEW for number in numbers]
    assert was_compared(parts)


def test_a_list_that_was_not_there_is_new() -> None:
    parts = parts_of(sent({"a": [1], "b": [1]}), parts_of(sent({"a": [1]})))
    assert (parts.lists["a"].origins, parts.lists["b"].origins) == ([0], [NEW])


def test_a_first_document_finds_what_another_left() -> None:
    """Without a comparison, too: the order of the objects does not matter."""
    section = Section(Outline())
    for text in (b"1", b"2"):
        section.add(memoryview(text), 1, digest_of(text))
    steps = splitting._cut(b'{"a":[2,3,1]}', SHAPE, {"a": section.outline})
    assert run(steps)[0].lists["a"].origins == [1, NEW, 0]


@pytest.mark.parametrize("indent", [None, 2])
def test_white_space_is_allowed_anywhere(indent: int | None) -> None:
    document = {"c": {"x": 1}, "a": [{"y": [1, {}]}, 17, "text"], "b": [], "d": None}
    spaced = json.dumps(document, indent=indent, separators=(" ,\r\n", "\t: ")).encode().join([b" \n", b"\t "])
    before = parts_of(spaced)
    again = parts_of(spaced, before)
    assert values(before) == values(again) == document
    assert again.lists["a"].origins == [0, 1, 2]
    assert was_compared(again)
    compact = parts_of(sent(document | {"a": [1, 17]}), before)
    assert compact.lists["a"].origins == [NEW, 1]


def test_a_value_is_not_taken_for_its_beginning() -> None:
    parts = parts_of(b'{"a":[12,34]}', parts_of(b'{"a":[1,3]}'))
    assert texts(parts.lists["a"]) == [b"12", b"34"]
    assert parts.lists["a"].origins == [NEW, NEW]


def test_of_two_of_one_name_the_last_counts() -> None:
    document = b'{"a":[1],"c":1,"a":[2,3],"c":2}'
    for parts in (parts_of(document), parts_of(document, parts_of(b'{"a":[3]}'))):
        assert values(parts) == {"a": [2, 3], "c": 2}
    assert parts_of(document, parts_of(b'{"a":[3]}')).lists["a"].origins == [NEW, 0]


@pytest.mark.parametrize(
    ("document", "last"),
    [
        (b'{"a":[1],"a":5}', {"a": 5}),
        (b'{"a":5,"a":[1]}', {"a": [1]}),
        (b'{"a":5,"a":null}', {"a": []}),
        (b'{"a":null,"a":{}}', {"a": {}}),
    ],
)
def test_the_last_of_a_name_counts_whatever_it_is(document: bytes, last: Json) -> None:
    for before in (None, parts_of(b'{"a":[1]}')):
        parts = parts_of(document, before)
        assert values(parts) == last
        assert len(parts.lists) + len(parts.texts) == 1


def test_names_may_be_escaped() -> None:
    document = rb'{"\u0061":[1],"\u0063":{}}'
    assert values(parts_of(document, parts_of(b'{"a":[1]}'))) == {"a": [1], "c": {}}


def test_what_nobody_asks_for_is_left_out() -> None:
    document = b'{"x":[1],"a":[1],"y":null,"\xff":5}'
    for parts in (parts_of(document), parts_of(document, parts_of(b'{"a":[1]}')), parts_of(document[:-1] + b',"b":5}')):
        assert values(parts).keys() <= {"a", "b"}


@pytest.mark.parametrize("document", [b"[]", b"5", b"null", b'"{}"'])
def test_what_is_no_object_is_told_from_what_is_no_json(document: bytes) -> None:
    for before in (None, parts_of(b'{"a":[1]}')):
        with pytest.raises(ValidationError):
            parts_of(document, before)


def test_nesting_that_exhausts_the_stack() -> None:
    deep = b'{"a":[1,' + b"[" * 5000 + b"]" * 5000 + b"]}"
    for before in (None, parts_of(b'{"a":[1]}')):
        with pytest.raises(RecursionError):
            parts_of(deep, before)


def test_others_have_their_turns() -> None:
    """However few and large the objects are."""
    many = sent({"a": [{"n": "x" * 1000} for number in range(3000)]})
    large = sent({"a": ["x" * splitting.STRIDE] * 12})
    for document in (many, large):
        before, _ = run(split(document, SHAPE))
        assert run(split(document, SHAPE, outlines(before)))[1] >= 3_000_000 // splitting.STRIDE


ITEMS = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text('a"\\{}[],: é', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), st.lists(ITEMS, max_size=6) | ITEMS, max_size=4)


@given(st.lists(DOCUMENTS, min_size=1, max_size=4))
def test_any_history_of_documents(documents: list[dict[str, Any]]) -> None:
    before: Parts | None = None
    for document in documents:
        parts = parts_of(sent(document), before)
        expected = {name: [] if value is None and name in SHAPE.lists else value for name, value in document.items()}
        assert values(parts) == expected
        for name, section in parts.lists.items():
            known = texts(before.lists[name]) if before and name in before.lists else []
            for text, origin in zip(texts(section), section.origins, strict=True):
                assert known[origin] == text if origin != NEW else text not in known
        before = parts


DAMAGE = st.tuples(st.integers(0, 10_000), st.integers(0, 2), st.sampled_from([*(b'"\\{}[],: 0ax\n\x00\xff'), None]))


@given(DOCUMENTS, DOCUMENTS, st.lists(DAMAGE, min_size=1, max_size=3))
@example({"a": [1]}, {"a": [1]}, [(7, 0, ord(","))])
@example({"a": [1]}, {"a": [1]}, [(9, 0, ord("x"))])
@example({"a": []}, {"a": []}, [(2, 0, 0xFF)])
@example({"a": [1, 2]}, {"a": [1, 2]}, [(7, 1, ord(":"))])
def test_damage_is_seen_by_the_comparison_as_by_msgspec(
    old: dict[str, Any], new: dict[str, Any], damage: list[tuple[int, int, int | None]]
) -> None:
    """Bytes removed, replaced or put in: the comparison takes no more and no less, and makes the same of it."""
    document = bytearray(sent(new))
    for place, removed, byte in damage:
        start = place % (len(document) + 1)
        document[start : start + removed] = b"" if byte is None else bytes([byte])
    assert _outcome(bytes(document), parts_of(sent(old))) == _outcome(bytes(document), None)


def _outcome(document: bytes, before: Parts | None) -> object:
    try:
        parts = parts_of(document, before)
    except (DecodeError, UnicodeDecodeError) as error:
        return type(error)
    lists = {name: texts(section) for name, section in parts.lists.items()}
    return lists, {name: bytes(memoryview(text)) for name, text in parts.texts.items()}
