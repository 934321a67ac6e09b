"""Packed element lists: their bytes, their bounds, and the way back."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.dataplane.elements import (
    RawElement,
    intervals,
    pack_addresses,
    pack_subnets,
    pack_verdicts,
    subnet,
    unpack,
    unpack_addresses,
)
from corral.nft.values import Verb, Verdict
from corral.types import Address, Subnet

ADDRESSES = st.integers(0, 2**32 - 1).map(Address)
SUBNETS = st.builds(lambda first, length: Subnet.parse(f"{Address(first)}/{length}"), ADDRESSES, st.integers(0, 32))
VERDICTS = st.sampled_from([Verdict(Verb.DROP), Verdict(Verb.ACCEPT), Verdict(Verb.RETURN), Verdict(Verb.GOTO, "a/b")])

LONGEST_ATTRIBUTE = 0xFFFF - 4


def raw(packed: Iterable[bytes]) -> list[RawElement]:
    return [element for piece in packed for element in unpack(piece)]


def test_an_address_is_sixteen_bytes() -> None:
    (packed,) = pack_addresses([Address.parse("10.42.0.2")])
    assert packed == struct.pack("=6H", 16, 1, 12, 1, 8, 1) + bytes([10, 42, 0, 2])


def test_a_subnet_is_its_first_address_and_a_marked_end_after_its_last() -> None:
    elements = raw(pack_subnets([Subnet.parse("10.42.0.0/16")]))
    assert elements == [RawElement(0x0A2A0000), RawElement(0x0A2B0000, end=True)]


@pytest.mark.parametrize("text", ["255.255.255.255/32", "255.0.0.0/8", "0.0.0.0/0"])
def test_a_subnet_that_reaches_the_last_address_has_no_end(text: str) -> None:
    reaching = Subnet.parse(text)
    assert raw(pack_subnets([reaching])) == [RawElement(reaching.first)]


@given(st.lists(ADDRESSES, max_size=50))
def test_addresses_survive(addresses: list[Address]) -> None:
    pieces = list(pack_addresses(addresses))
    assert [address for piece in pieces for address in unpack_addresses(piece) or ()] == addresses
    assert raw(pieces) == [RawElement(address) for address in addresses]


@given(st.lists(ADDRESSES, min_size=1, max_size=20), st.data())
def test_a_list_with_anything_else_in_it_is_not_taken_for_plain_addresses(
    addresses: list[Address], data: st.DataObject
) -> None:
    (packed,) = pack_addresses(addresses)
    place = data.draw(st.integers(0, len(packed) - 1).filter(lambda place: place % 16 < 12))
    changed = packed[:place] + bytes([packed[place] ^ data.draw(st.integers(1, 255))]) + packed[place + 1 :]
    assert unpack_addresses(changed) is None


@given(st.dictionaries(ADDRESSES, VERDICTS, max_size=50))
def test_verdicts_survive(verdicts: dict[Address, Verdict]) -> None:
    elements = raw(pack_verdicts(verdicts))
    assert {element.key: element.verdict for element in elements} == verdicts
    assert not any(element.other or element.end for element in elements)


@given(st.sets(SUBNETS, max_size=8))
def test_disjoint_subnets_survive_in_any_order(subnets: set[Subnet]) -> None:
    disjoint = [one for one in subnets if not any(other != one and one.first in other for other in subnets)]
    elements = sorted(raw(pack_subnets(disjoint)), key=lambda element: -element.key)
    assert {subnet(first, last) for first, last in intervals(elements)} == set(disjoint)


def test_the_kernels_end_before_the_first_interval_means_nothing() -> None:
    elements = [RawElement(0, end=True), RawElement(5), RawElement(6, end=True)]
    assert list(intervals(elements)) == [(5, 5)]


def test_ranges_that_are_no_subnets() -> None:
    assert subnet(10, 12) is None
    assert subnet(1, 2) is None
    assert subnet(0, 2**32 - 1) == Subnet.parse("0.0.0.0/0")


def test_long_lists_are_parted_below_the_kernels_limit() -> None:
    keys = [Address(key) for key in range(65_534)]
    verdicts = dict.fromkeys(keys, Verdict(Verb.GOTO, "c" * 63))
    for pieces in (list(pack_addresses(keys)), list(pack_verdicts(verdicts))):
        assert max(map(len, pieces)) <= LONGEST_ATTRIBUTE
        assert len(pieces) > 1
        assert [element.key for element in raw(pieces)] == keys


def test_an_address_list_piece_has_2500_elements() -> None:
    assert [len(piece) // 16 for piece in pack_addresses(range(6000))] == [2500, 2500, 1000]


def test_the_two_ends_of_an_interval_stay_together() -> None:
    subnets = [Subnet(Address(key * 4), 31) for key in range(10_000)]
    for piece in pack_subnets(subnets):
        assert [element.end for element in unpack(piece)] == [False, True] * (len(piece) // 40)


def test_nothing_is_no_list() -> None:
    assert list(pack_addresses([])) == list(pack_subnets([])) == list(pack_verdicts({})) == []


def test_what_corral_does_not_write_is_marked() -> None:
    key = struct.pack("=HHHHI", 12, 1, 8, 1, 0x01020304)
    timeout = struct.pack("=HHQ", 12, 4, 1)
    six_bytes = struct.pack("=HHHH", 16, 1, 12, 1) + bytes(8)
    for body in (key + timeout, six_bytes):
        (element,) = unpack(struct.pack("=HH", 4 + len(body), 1) + body)
        assert element.other
    assert unpack_addresses(struct.pack("=HH", 4 + len(key + timeout), 1) + key + timeout) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_survived(noise: bytes) -> None:
    list(unpack(noise))
    unpack_addresses(noise)
