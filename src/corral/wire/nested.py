"""What tells the metadata's objects apart, and the copies of them that are nested in others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from sys import intern
from typing import Any

from msgspec import MsgspecError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from corral.wire.splitting import Shape, Text

# The lists of objects that an environment has; a stack and a service have one of them, too.
SECTIONS = ("hosts", "networks", "stacks", "services", "containers")
ENVIRONMENT = Shape((*SECTIONS, "environments"), ("self", "region_name"))

# A uuid; of a service, whose sidekicks have the uuid of their primary, the name too. Empty for what has none.
Identity = str | tuple[str, str]


class Identified(Struct, frozen=True, gc=False):
    """Any object, odd ones among them."""

    uuid: Any = None
    name: Any = None


Identify = Callable[[Identified], Identity]
_object = Decoder(Identified)
_texts = Decoder(list[Raw] | None)
_fields = Decoder(dict[str, Raw])
_text = Decoder(str | None)
UNREADABLE = (MsgspecError, UnicodeError, RecursionError)


def by_uuid(found: Identified) -> Identity:
    """Containers: the same text is the same object, for there are three copies of each uuid."""
    return intern(found.uuid) if isinstance(found.uuid, str) else ""


def by_uuid_and_name(found: Identified) -> Identity:
    """Services."""
    if not isinstance(found.name, str) or not found.name:
        return ""
    return (found.uuid if isinstance(found.uuid, str) else "", found.name.lower())


def identity_of(text: Text, identify: Identify) -> Identity:
    """The identity of one object, whatever it is."""
    try:
        return identify(_object.decode(text))
    except UNREADABLE:
        return ""


def identified(found: Iterable[Identified | str] | None, identify: Identify) -> tuple[Identity, ...]:
    """The identities of nested copies, names among them left out."""
    return tuple(filter(None, (identify(each) for each in found or () if not isinstance(each, str))))


def nested_identities(parent: Text, name: str, identify: Identify) -> tuple[Identity, ...]:
    """The identities of what an object has in one of its lists."""
    return tuple(identity for identity, _ in nested_copies(parent, name, identify) if identity)


def nested_copies(parent: Text, name: str, identify: Identify) -> Iterator[tuple[Identity, Text]]:
    """What an object has in one of its lists, each with its identity."""
    texts = field_of(parent, name)
    for text in () if texts is None else _elements(texts):
        yield identity_of(text, identify), text


def text_of(parent: Text, name: str) -> str:
    """A field of an object, empty where it is no text."""
    value = field_of(parent, name)
    return "" if value is None else text_in(value)


def text_in(value: Text) -> str:
    """Text, empty if it is none."""
    try:
        return _text.decode(value) or ""
    except UNREADABLE:
        return ""


def field_of(parent: Text, name: str) -> Raw | None:
    """A field of an object as JSON, or None; any JSON may be asked."""
    try:
        return _fields.decode(parent).get(name)
    except UNREADABLE:
        return None


def _elements(texts: Text) -> list[Raw]:
    try:
        return _texts.decode(texts) or []
    except ValidationError:
        return []
