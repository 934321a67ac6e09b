"""Rancher's event messages: what each one is, and which resource it is about.

Nearly all of them tell of a container, and nearly all of those hold nothing odd. `quick_event` decodes such a one
in a single pass, straight into what is asked of it, and skips the rest. `event_of` takes any decoded JSON; where
both take a message, the translator makes the same of it. JSON that is broken is not taken quickly either, but for
a number out of range in a field that nobody reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from msgspec import MsgspecError, Struct
from msgspec.json import Decoder

from corral.types import Address, Problem
from corral.wire.directory import Reference
from corral.wire.fields import ipv4_address, shown
from corral.wire.resources import COLLECTIONS, NotEmpty, PlainContainer


class Kind(StrEnum):
    """What an event message is."""

    PING = "ping"
    CHANGE = "change"
    HINT = "hint"  # a change that does not say what the resource looks like now
    LOGOUT = "logout"
    IGNORED = "ignored"


class Event(NamedTuple):
    """A message. A change or hint has a reference, and a change the resource, decoded or as JSON."""

    kind: Kind
    reference: Reference | None = None
    time: object = None
    resource: PlainContainer | dict[str, Any] | None = None


def event_of(message: object) -> Event | Problem:
    """The event that a message is, whatever its resource looks like."""
    if not isinstance(message, dict):
        return Problem("event", f"an object is allowed, {shown(message)} given")
    match message.get("name"):
        case "ping":
            return Event(Kind.PING)
        case "logout" | "disconnect":
            return Event(Kind.LOGOUT)
        case "resource.change":
            return _change(message)
        case _:
            return Event(Kind.IGNORED)


def _change(message: Mapping[str, Any]) -> Event:
    data = message.get("data")
    resource = data.get("resource") if isinstance(data, dict) else None
    if not isinstance(resource, dict):
        resource = None
    reference = _reference(message, resource or {})
    if reference is None:
        return Event(Kind.IGNORED)
    if resource is None:
        return Event(Kind.HINT, reference, message.get("time"))
    return Event(Kind.CHANGE, reference, message.get("time"), {"id": reference.id} | resource)


def _reference(message: Mapping[str, Any], resource: Mapping[str, Any]) -> Reference | None:
    """None for a type that does not matter here."""
    resource_type = message.get("resourceType") or resource.get("type")
    resource_id = message.get("resourceId") or resource.get("id")
    if not isinstance(resource_type, str) or not isinstance(resource_id, str) or resource_type not in COLLECTIONS:
        return None
    return Reference(COLLECTIONS[resource_type], resource_id)


class _Data(Struct, frozen=True, gc=False):
    resource: PlainContainer


class _ContainerChange(Struct, frozen=True, gc=False, rename={"id": "resourceId", "type": "resourceType"}):
    name: Literal["resource.change"]
    type: Literal["container", "instance"]
    id: NotEmpty
    data: _Data
    time: Any = None


def _address(_: type, text: Any) -> Address:
    """All but an IPv4 address, null and IPv6 among it, is for the tolerant way."""
    if not isinstance(text, str):
        raise ValueError("no text")  # noqa: TRY004 - msgspec's protocol
    return ipv4_address(text)


_decoder = Decoder(_ContainerChange, dec_hook=_address)


def quick_event(text: bytes) -> Event | None:
    """The change of a container that a message tells of, or None: then decode it and see `event_of`."""
    try:
        if not text.isascii():
            text.decode()  # what is skipped is not checked otherwise
        change = _decoder.decode(text)
    except (MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Event(Kind.CHANGE, Reference("containers", change.id), change.time, change.data.resource)
