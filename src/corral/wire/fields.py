"""What the documents' fields may hold, and how a field that holds something else is reported.

Tolerant where Rancher is known to vary (absent, null), strict about the rest: a field that policy depends on
is never guessed. What of an object may be given up, rather than the object, its model says (`expendable`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from corral.types import Address, Problem

SHOWN_CHARACTERS = 80
SHOWN_FAULTS = 5
EACH = "*"
NO_LINKS: frozenset[str] = frozenset()

_OCTETS = {str(number): number for number in range(256)}
_NO_ADDRESS = "an IPv4 address, such as 10.42.0.1, or null is allowed"
DEEPEST = 50

# pydantic's error types, in an operator's words.
_ALLOWED = {
    "string_type": "a string",
    "string_unicode": "text in Unicode",
    "string_too_short": "text that is not empty",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}


class WireModel(BaseModel):
    """A part of a document of which only the named fields are read.

    `expendable` are the fields, by their names on the wire, that count as not mentioned when they are odd;
    `labels.*` are the items of one.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    expendable: ClassVar[tuple[str, ...]] = ()


def _empty_for_null(value: object) -> object:
    return "" if value is None else value


def _false_for_null(value: object) -> object:
    return False if value is None or value == "" else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else _empty_for_null(value)


def ipv4_address(text: str) -> Address:
    """Four numbers with points between them. Raises ValueError for anything else."""
    try:
        first, second, third, fourth = text.split(".")
        return Address(_OCTETS[first] << 24 | _OCTETS[second] << 16 | _OCTETS[third] << 8 | _OCTETS[fourth])
    except KeyError:
        raise ValueError(_NO_ADDRESS) from None


def address_of(value: object) -> Address | None:
    """An IPv4 address; null, empty text and IPv6 addresses are none (endpoints have IPv4 addresses only)."""
    if isinstance(value, str):
        try:
            return ipv4_address(value)
        except ValueError:
            _refuse_all_but_ipv6(value)
            return None
    if value is None or isinstance(value, Address):
        return value
    raise ValueError(_NO_ADDRESS)


def _refuse_all_but_ipv6(text: str) -> None:
    if text:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            raise ValueError(_NO_ADDRESS) from None


def _labels(value: object) -> Mapping[str, object]:
    """Rancher sends strings; other scalars are taken as JSON spells them. A null value is no label."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("a map of label names to strings, or null, is allowed")  # noqa: TRY004 - pydantic's protocol
    if all(type(text) is str for text in value.values()):
        return value
    return {key: _label_value(item) for key, item in value.items() if item is not None}


def _label_value(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


def link_targets(targets: Iterable[str] | None) -> tuple[str, ...]:
    """Targets in lower case, in order, each once."""
    return tuple(sorted({target.lower() for target in targets or () if target}))


def _link_targets(value: object) -> tuple[object, ...]:
    """The keys of a map target -> alias, or a list of targets."""
    if value is None:
        return ()
    if isinstance(value, dict | list):
        return tuple(value)
    raise ValueError("a map of link targets to aliases, a list of targets, or null is allowed")


def linked_uuids(value: object) -> frozenset[str]:
    """The values of a map link name -> container uuid, or a list of uuids."""
    if not value and isinstance(value, dict | list | None):
        return NO_LINKS
    items = value.values() if isinstance(value, dict) else value
    if isinstance(items, frozenset):
        return items
    if isinstance(value, dict | list) and all(item is None or isinstance(item, str) for item in items):  # type: ignore[attr-defined]
        return frozenset(item for item in items if item)  # type: ignore[attr-defined]
    raise ValueError("a map of link names to container uuids, a list of uuids, or null is allowed")


def _comparable(value: object) -> object:
    """Comparing what is nested a thousand deep exhausts the stack; such a policy is replaced by one that is refused."""
    level = [value]
    for _ in range(DEEPEST):
        nested = [each.values() if isinstance(each, dict) else each for each in level if isinstance(each, dict | list)]
        level = [item for items in nested for item in items]
        if not level:
            return value
    return "what is nested too deeply"


Text = Annotated[str, BeforeValidator(_empty_for_null)]
Name = Annotated[str, BeforeValidator(_lower)]
Identity = Annotated[str, Field(min_length=1)]
NamedIdentity = Annotated[str, BeforeValidator(_lower), Field(min_length=1)]
Flag = Annotated[bool, BeforeValidator(_false_for_null)]
OptionalAddress = Annotated[Any, BeforeValidator(address_of)]
Labels = Annotated[dict[str, str], BeforeValidator(_labels)]
LinkTargets = Annotated[tuple[str, ...], BeforeValidator(_link_targets), AfterValidator(link_targets)]
LinkedUuids = Annotated[Any, BeforeValidator(linked_uuids)]
Judged = Annotated[Any, BeforeValidator(_comparable)]  # by the policy room


def shown(value: object) -> str:
    """`value` for a message: shortened, since documents can be large."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"{type(value).__name__} too large to show"
    return _shortened(text)


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def fault(detail: Mapping[str, Any]) -> str:
    """One error of pydantic's as: field, what was given, what is allowed."""
    field = _shortened(".".join(str(part) for part in detail["loc"])) or "object"
    kind = str(detail["type"])
    if kind == "missing":
        return f"{field}: missing; it is required"
    allowed = f"{_ALLOWED[kind]} is allowed" if kind in _ALLOWED else str(detail["msg"]).removeprefix("Value error, ")
    return f"{field}: {shown(detail['input'])} given; {allowed}"


def faults_of(error: ValidationError) -> str:
    """The faults of one object, the first few of very many, as one sentence."""
    details = error.errors(include_url=False)
    more = [f"and {len(details) - SHOWN_FAULTS} more"] if len(details) > SHOWN_FAULTS else []
    return "; ".join([*map(fault, details[:SHOWN_FAULTS]), *more])


def problem_of(where: str, error: ValidationError) -> Problem:
    """All faults of one object as one problem."""
    return Problem(where, faults_of(error))


def named(kind: str, raw: object, index: int | None = None) -> str:
    """What to call an object that could not be decoded: kind, name and uuid as far as it has them."""
    fields = raw if isinstance(raw, dict) else {}
    name, uuid = fields.get("name"), fields.get("uuid")
    parts = [
        kind,
        _shortened(name) if isinstance(name, str) else "",
        f"({_shortened(uuid)})" if isinstance(uuid, str) and uuid else "",
    ]
    if index is not None and not (parts[1] or parts[2]):
        parts[1] = f"[{index}]"
    return " ".join(part for part in parts if part)
