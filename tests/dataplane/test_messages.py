"""Framing, attributes and user data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corral.dataplane.messages import (
    attribute,
    attributes,
    errno_name,
    fields,
    frame,
    in_table,
    number_attribute,
    read_comment,
    read_number,
    read_text,
    read_user_data,
    split,
    text_user_data,
    user_data,
)


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_framed_messages_are_split_again(payloads: list[bytes]) -> None:
    datagram = b"".join(frame(0xA00 + number, 1, number, payload) for number, payload in enumerate(payloads))
    found = list(split(datagram))
    assert [received.payload for received in found] == payloads
    assert [(received.type, received.sequence) for received in found] == [(0xA00 + n, n) for n in range(len(payloads))]


@given(st.binary(max_size=100))
def test_any_datagram_is_survived(noise: bytes) -> None:
    list(split(noise))
    list(attributes(noise))
    read_user_data(noise)
    read_comment(noise, 0)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=20)), max_size=5))
def test_attributes_survive(wanted: list[tuple[int, bytes]]) -> None:
    assert list(attributes(b"".join(attribute(kind, value) for kind, value in wanted))) == wanted


def test_the_nested_bit_is_no_part_of_an_attributes_type() -> None:
    assert list(attributes(attribute(0x8003, b""))) == [(3, b"")]


def test_comments_are_found_among_other_user_data() -> None:
    data = user_data(0, b"\2\0\0\0") + text_user_data(7, "é")
    assert read_comment(data, 7) == "é"
    assert read_comment(data, 6) == read_comment(b"", 7) == ""


def test_a_messages_attributes_follow_its_family() -> None:
    payload = in_table(3, "é/x") + number_attribute(4, 0x0A2A0001)
    assert payload[:4] == bytes([1, 0, 0, 0])
    parts = fields(payload)
    assert (read_text(parts[1]), read_text(parts[3]), read_number(parts[4])) == ("corral", "é/x", 0x0A2A0001)
    assert list(parts) == [1, 3, 4]


def test_errno_names() -> None:
    assert (errno_name(2), errno_name(100_000)) == ("ENOENT", "100000")
