"""Element lists of sets and verdict maps.

An element is a nested attribute with its key: 16 bytes for an IPv4 address. An interval is two elements, its first
address and the one after its last, marked as an end; one that reaches 255.255.255.255 has no end element.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from corral.dataplane.messages import attribute, attributes, number_attribute, text_attribute
from corral.nft.values import Verb, Verdict
from corral.types import Address, Subnet

# A nested attribute holds at most 64 KiB: 2,500 addresses, or half as many of anything longer.
_LIST_BYTES = 40_000

_LIST_ELEMENT = 1  # NFTA_LIST_ELEM
_KEY, _DATA, _FLAGS, _USER_DATA = 1, 2, 3, 6  # NFTA_SET_ELEM_*
_VALUE, _VERDICT = 1, 2  # NFTA_DATA_*
_CODE, _CHAIN = 1, 2  # NFTA_VERDICT_*
_INTERVAL_END = (1).to_bytes(4, "big")
# How nft tells an interval without an end from a lone start.
_KEY_LENGTH = 4
_OPEN_INTERVAL = b"\x01\x04" + (1).to_bytes(4, sys.byteorder)
_END_OF_SPACE = 1 << 32
_ALL_ONES = _END_OF_SPACE - 1

_ADDRESS_HEAD = bytes.fromhex("100001000c00010008000100")
_ADDRESS = struct.Struct(">12sI")
_ADDRESSES_AT_ONCE = _LIST_BYTES // _ADDRESS.size
_WORDS = _ADDRESS.size // 4  # of an element: the last is the address
_PLAIN_ELEMENTS = _ADDRESS.pack(_ADDRESS_HEAD, 0) * _ADDRESSES_AT_ONCE

# From linux/netfilter.h and linux/netfilter/nf_tables.h
_CODES: Mapping[Verb, int] = {Verb.DROP: 0, Verb.ACCEPT: 1, Verb.JUMP: -3, Verb.GOTO: -4, Verb.RETURN: -5}
_VERBS: Mapping[int, Verb] = {code: verb for verb, code in _CODES.items()}


@dataclass(frozen=True, slots=True)
class RawElement:
    """An element as the kernel keeps it; `other` when it carries anything that corral does not write."""

    key: int
    end: bool = False
    verdict: Verdict | None = None
    other: bool = False


def code(verdict: Verdict) -> int:
    """The kernel's number for a verdict."""
    return _CODES[verdict.verb]


def pack_addresses(addresses: Sequence[int]) -> list[bytes]:
    """Lists of single addresses."""
    return [
        _pack_addresses(addresses[start : start + _ADDRESSES_AT_ONCE])
        for start in range(0, len(addresses), _ADDRESSES_AT_ONCE)
    ]


def _pack_addresses(addresses: Sequence[int]) -> bytes:
    """All of them at once, into every fourth word: a loop in Python takes ten times as long."""
    packed = bytearray(_PLAIN_ELEMENTS[: _ADDRESS.size * len(addresses)])
    keys = struct.pack(f">{len(addresses)}I", *addresses)
    memoryview(packed).cast("I")[_WORDS - 1 :: _WORDS] = memoryview(keys).cast("I")
    return bytes(packed)


def pack_subnets(subnets: Iterable[Subnet]) -> Iterator[bytes]:
    """Lists of intervals; the two elements of one are never parted."""
    return _lists(map(_interval, subnets))


def pack_verdicts(verdicts: Mapping[Address, Verdict]) -> Iterable[bytes]:
    """Lists of keys with their verdicts."""
    entries = [_entry(address, verdict) for address, verdict in verdicts.items()]
    packed = b"".join(entries)
    return [packed] if 0 < len(packed) <= _LIST_BYTES else _lists(entries)


def _lists(packed: Iterable[bytes]) -> Iterator[bytes]:
    pieces: list[bytes] = []
    size = 0
    for piece in packed:
        if size + len(piece) > _LIST_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
        pieces.append(piece)
        size += len(piece)
    if pieces:
        yield b"".join(pieces)


def _interval(subnet: Subnet) -> bytes:
    after = subnet.last + 1
    if after == _END_OF_SPACE:
        return attribute(_LIST_ELEMENT, _key(subnet.first) + attribute(_USER_DATA, _OPEN_INTERVAL))
    end = attribute(_LIST_ELEMENT, _key(after) + attribute(_FLAGS, _INTERVAL_END))
    return attribute(_LIST_ELEMENT, _key(subnet.first)) + end


def _key(address: int) -> bytes:
    return attribute(_KEY, number_attribute(_VALUE, address))


def _entry(address: int, verdict: Verdict) -> bytes:
    before, after = _around_key(verdict.verb, verdict.chain)
    return before + address.to_bytes(_KEY_LENGTH, "big") + after


@lru_cache(maxsize=4096)
def _around_key(verb: Verb, chain: str) -> tuple[bytes, bytes]:
    """An entry of a map, but for its address."""
    data = pack_verdict(_DATA, _CODES[verb], chain)
    entry = attribute(_LIST_ELEMENT, _key(0) + data)
    return entry[: -_KEY_LENGTH - len(data)], data


def pack_verdict(kind: int, number: int, chain: str) -> bytes:
    """An attribute that holds a verdict."""
    target = text_attribute(_CHAIN, chain) if chain else b""
    return attribute(kind, attribute(_VERDICT, number_attribute(_CODE, number & _ALL_ONES) + target))


def unpack_addresses(packed: bytes) -> list[Address] | None:
    """The keys of a packed list of nothing but plain addresses; None when there is anything else in it."""
    count, rest = divmod(len(packed), _ADDRESS.size)
    if rest:
        return None
    keys = struct.unpack(f">{count}I", memoryview(packed).cast("I")[_WORDS - 1 :: _WORDS].tobytes())
    return list(map(Address, keys)) if b"".join(pack_addresses(keys)) == packed else None


def unpack(packed: bytes) -> Iterator[RawElement]:
    """The elements of a packed list."""
    return (_raw_element(dict(attributes(element))) for _, element in attributes(packed))


def _raw_element(parts: Mapping[int, bytes]) -> RawElement:
    key = dict(attributes(parts.get(_KEY, b""))).get(_VALUE, b"")
    verdict = _read_verdict(parts[_DATA]) if _DATA in parts else None
    flags = parts.get(_FLAGS, bytes(4))
    other = (
        len(key) != 4
        or bool(parts.keys() - {_KEY, _DATA, _FLAGS, _USER_DATA})
        or flags not in (bytes(4), _INTERVAL_END)
        or (_DATA in parts and verdict is None)
        or parts.get(_USER_DATA, b"")[:1] not in (b"", _OPEN_INTERVAL[:1])
    )
    return RawElement(int.from_bytes(key, "big"), flags == _INTERVAL_END, verdict, other)


def _read_verdict(data: bytes) -> Verdict | None:
    verdict = dict(attributes(dict(attributes(data)).get(_VERDICT, b"")))
    verb = _VERBS.get(int.from_bytes(verdict.get(_CODE, b"\x7f"), "big", signed=True))
    return None if verb is None else Verdict(verb, verdict.get(_CHAIN, b"").rstrip(b"\0").decode(errors="replace"))


def intervals(elements: Iterable[RawElement]) -> Iterator[tuple[int, int]]:
    """First and last address of each interval, from starts and ends in any order."""
    start: int | None = None
    for element in sorted(elements, key=lambda element: (element.key, not element.end)):
        if start is not None:
            yield start, element.key - 1
        start = None if element.end else element.key  # nft marks the unused space before the first start with an end
    if start is not None:
        yield start, _END_OF_SPACE - 1


def subnet(first: int, last: int) -> Subnet | None:
    """The subnet with these ends, or None where there is none."""
    size = last - first + 1
    if size & (size - 1) or first % size:
        return None
    return Subnet(Address(first), 33 - size.bit_length())
