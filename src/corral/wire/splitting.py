"""A large JSON document, cut into the objects of its lists without decoding them.

msgspec cuts 31 MB in one call of 20 ms, while which nothing else of the process gets a turn. So that is for a first
document. After it, the objects of the document before tell where those of the next one end: what has the length and
the digest of the object before is that object, and msgspec is asked only about what changed.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from msgspec import DecodeError, Raw, ValidationError, defstruct
from msgspec.json import Decoder

NEW = -1
# Bytes, and objects, that are looked at between two turns of others: well under a millisecond.
STRIDE, RUN = 1 << 18, 256

Text = Raw | memoryview

# Python's hash of bytes is SipHash: 64 bits, with a key that only this process knows. So nobody can make two objects
# meet, and by chance one of 10^14 changed objects meets one of 65,534. It takes 19 ms for all objects of 31 MB; of
# hashlib's, blake2b takes 45 ms, and sha256 26 ms on a processor that has instructions for it.
digest_of = hash


@dataclass(frozen=True, slots=True)
class Outline:
    """What is kept of a list: the length and the digest of each object."""

    lengths: array[int] = field(default_factory=lambda: array("Q"))
    digests: array[int] = field(default_factory=lambda: array("q"))


class Section:
    """The objects of a list as JSON, and the index that each had in the list before, or NEW."""

    def __init__(self, before: Outline) -> None:
        self.texts: list[Text] = []
        self.origins: list[int] = []
        self.outline = Outline()
        self.expected = 0
        self._before = before

    def add(self, text: Text, length: int, digest: int) -> None:
        """Take the next object, wherever it was in the list before."""
        origin = self._indices.get(digest, NEW)
        if origin != NEW and self._before.lengths[origin] != length:
            origin = NEW
        self.expected = (self.expected if origin == NEW else origin) + 1
        self.texts.append(text)
        self.origins.append(origin)
        self.outline.lengths.append(length)
        self.outline.digests.append(digest)

    def take_run(self, texts: Sequence[Text]) -> None:
        """Take objects that are the next `expected` ones."""
        first, last = self.expected, self.expected + len(texts)
        self.expected = last
        self.texts.extend(texts)
        self.origins.extend(range(first, last))
        self.outline.lengths.extend(self._before.lengths[first:last])
        self.outline.digests.extend(self._before.digests[first:last])

    @cached_property
    def _indices(self) -> dict[int, int]:
        return dict(zip(self._before.digests, range(len(self._before.digests)), strict=True))


@dataclass(frozen=True, slots=True)
class Parts:
    """What is asked of a document. A list that is null is empty, and what should be a list and is none is a text."""

    lists: dict[str, Section] = field(default_factory=dict)
    texts: dict[str, Text] = field(default_factory=dict)

    def put_list(self, name: str, section: Section) -> None:
        """Of two fields of one name the last counts, whatever the first was."""
        self.texts.pop(name, None)
        self.lists[name] = section

    def put_text(self, name: str, text: Text) -> None:
        """As `put_list`."""
        self.lists.pop(name, None)
        self.texts[name] = text


class Shape:
    """Which fields are asked for: `lists` of objects, and others as JSON."""

    def __init__(self, lists: Iterable[str], texts: Iterable[str]) -> None:
        self.lists = frozenset(lists)
        self.texts = frozenset(texts)
        self.decoder = self._decoder(list[Raw] | None)
        self.tolerant_decoder = self._decoder(Raw)

    def _decoder(self, of_lists: Any) -> Decoder[Any]:
        fields = [*((name, of_lists) for name in self.lists), *((name, Raw) for name in self.texts)]
        return Decoder(defstruct("Fields", [(name, of, _ABSENT) for name, of in fields]))

    def asks(self, name: str) -> bool:
        return name in self.lists or name in self.texts


Outlines = Mapping[str, Outline]
NOTHING: Outlines = {}
_EMPTY = Outline()
_ABSENT = Raw()
_raw = Decoder(Raw)
_list = Decoder(list[Raw] | None)


def split(document: bytes, shape: Shape, before: Outlines = NOTHING) -> Generator[None, None, Parts]:
    """What is asked of a JSON object, with pauses where others may have a turn.

    Raises DecodeError (ValidationError: no object), UnicodeError or RecursionError for what is none.
    """
    parts = None
    if before:
        parts = yield from _Comparison(document, shape, before).parts()
    return parts or (yield from _cut(document, shape, before))


def _cut(document: bytes, shape: Shape, before: Outlines) -> Generator[None, None, Parts]:
    """By msgspec: all of the object at once, with its lists."""
    parts = Parts()
    for name, value in _fields(document, shape):
        yield
        if isinstance(value, list):
            parts.put_list(name, (yield from _section(value, before.get(name, _EMPTY))))
        else:
            parts.put_text(name, value)
    return parts


def _fields(document: bytes, shape: Shape) -> Iterator[tuple[str, list[Raw] | Raw]]:
    """What is asked for and there."""
    try:
        fields = shape.decoder.decode(document)
    except ValidationError:  # it is no object, or something is no list
        fields = shape.tolerant_decoder.decode(document)
    for name in fields.__struct_fields__:
        value = getattr(fields, name)
        if value is not _ABSENT:
            yield name, _listed(value) if name in shape.lists else value


def _listed(value: list[Raw] | Raw | None) -> list[Raw] | Raw:
    """A list, null being an empty one, or whatever it is."""
    if not isinstance(value, Raw):
        return value or []
    try:
        return _list.decode(value) or []
    except ValidationError:
        return value


def _section(texts: list[Raw], before: Outline) -> Generator[None, None, Section]:
    section, looked_at = Section(before), 0
    for text in texts:
        content = bytes(memoryview(text))
        section.add(text, len(content), digest_of(content))
        looked_at += len(content)
        if looked_at > STRIDE:
            looked_at = 0
            yield
    return section


class _LostError(Exception):
    """The document is spelled unlike what was expected: only msgspec can tell what it is."""


_SPACE = b" \t\r\n"
_COMMA, _COLON, _OPEN_LIST, _CLOSE_LIST, _OPEN, _CLOSE = b",:[]{}"
_spaces = re.compile(rb"[ \t\r\n]*")
_key = re.compile(rb'"([ !#-[\]-~]*)"')
_trailing = re.compile(r"trailing characters \(byte (\d+)\)$")


class _Comparison:
    """Reads the object from its first byte to its last, by what the one before was like."""

    def __init__(self, document: bytes, shape: Shape, before: Outlines) -> None:
        self._document = document
        self._view = memoryview(document)
        self._shape = shape
        self._before = before
        self._at = 0

    def parts(self) -> Generator[None, None, Parts | None]:
        """None if the document is spelled in another way, or is no JSON object."""
        parts = Parts()
        try:
            self._expect(_OPEN)
            while self._next() != _CLOSE:
                name = self._name()
                if name in self._shape.lists and self._next() == _OPEN_LIST:
                    parts.put_list(name, (yield from self._section(self._before.get(name, _EMPTY))))
                else:
                    yield
                    self._other(name, parts)
                self._separator(_CLOSE)
            self._expect(_CLOSE)
            if _spaces.fullmatch(self._document, self._at) is None:
                return None
        except (_LostError, IndexError):  # the document may end anywhere
            return None
        return parts

    def _next(self) -> int:
        """The byte that is next after white space."""
        if self._document[self._at] in _SPACE:
            self._at = _spaces.match(self._document, self._at).end()  # type: ignore[union-attr]  # it always matches
        return self._document[self._at]

    def _expect(self, byte: int) -> None:
        if self._next() != byte:
            raise _LostError
        self._at += 1

    def _separator(self, closing: int) -> None:
        """Past a comma, behind which something has to come."""
        if self._next() == closing:
            return
        self._expect(_COMMA)
        if self._next() == closing:
            raise _LostError

    def _name(self) -> str:
        key = _key.match(self._document, self._at)
        if key is None:
            raise _LostError
        self._at = key.end()
        self._expect(_COLON)
        self._next()
        return key[1].decode()

    def _other(self, name: str, parts: Parts) -> None:
        text = self._value()
        if name in self._shape.lists and text.tobytes() == b"null":
            parts.put_list(name, Section(_EMPTY))
        elif self._shape.asks(name):
            parts.put_text(name, text)

    def _section(self, before: Outline) -> Generator[None, None, Section]:
        """The list that begins here."""
        self._expect(_OPEN_LIST)
        section = Section(before)
        while self._next() != _CLOSE_LIST:
            if not self._take_run(section, before):
                text = self._value()
                section.add(text, len(text), digest_of(text.tobytes()))
            self._separator(_CLOSE_LIST)
            yield
        self._at += 1
        return section

    def _take_run(self, section: Section, before: Outline) -> bool:
        """Take the objects that begin here as long as they are the expected ones; whether there were any.

        Nearly all objects of a document are found here, so this is written for speed.
        """
        document, view, first = self._document, self._view, section.expected
        start, limit = self._at, self._at + STRIDE
        texts: list[Text] = []
        last = first + RUN
        for length, digest in zip(before.lengths[first:last], before.digests[first:last], strict=True):
            end = start + length
            # The hash of a view takes that of all bytes that it is a view of: a copy is cheaper.
            if digest_of(document[start:end]) != digest:
                break
            texts.append(view[start:end])
            self._at = end
            if document[end] != _COMMA or end > limit:
                break
            start = end + 1
        section.take_run(texts)
        return bool(texts)

    def _value(self) -> memoryview:
        """The JSON value that begins here."""
        start = self._at
        try:
            _raw.decode(self._view[start:])
        except DecodeError as error:
            trailing = _trailing.search(str(error))
        else:
            raise _LostError
        if trailing is None:
            raise _LostError
        # Where msgspec says that the value has ended is only believed if it is one value up to there.
        self._at = start + int(trailing[1]) - 1
        while self._document[self._at - 1] in _SPACE:
            self._at -= 1
        text = self._view[start : self._at]
        try:
            _raw.decode(text)
        except DecodeError as error:
            raise _LostError from error
        return text
