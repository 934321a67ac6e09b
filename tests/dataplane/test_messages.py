"""Framing, attributes and user data."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corral.dataplane.messages import (
    ChainMessage,
    ElementsMessage,
    ObjectMessage,
    RuleMessage,
    SetMessage,
    attribute,
    attributes,
    body,
    decode,
    errno_name,
    frame,
    read_comment,
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
    assert read_comment(data, 6) == read_comment(None, 7) == ""


def test_our_message_classes_keep_packed_parts_packed() -> None:
    packed = bytes(range(16))
    for message, name in (
        (RuleMessage(), "NFTA_RULE_EXPRESSIONS"),
        (RuleMessage(), "NFTA_RULE_USERDATA"),
        (ChainMessage(), "NFTA_CHAIN_USERDATA"),
        (SetMessage(), "NFTA_SET_USERDATA"),
        (ElementsMessage(), "NFTA_SET_ELEM_LIST_ELEMENTS"),
        (ObjectMessage(), "NFTA_OBJ_DATA"),
    ):
        assert decode(type(message), body(message, [(name, packed)])) == {name: packed}


def test_a_hook_survives() -> None:
    place = {"attrs": [["NFTA_HOOK_HOOKNUM", 2], ["NFTA_HOOK_PRIORITY", -10]]}
    hook = decode(ChainMessage, body(ChainMessage(), [("NFTA_CHAIN_HOOK", place)]))["NFTA_CHAIN_HOOK"]
    assert (hook.get_attr("NFTA_HOOK_HOOKNUM"), hook.get_attr("NFTA_HOOK_PRIORITY")) == (2, -10)


def test_errno_names() -> None:
    assert (errno_name(2), errno_name(100_000)) == ("ENOENT", "100000")
