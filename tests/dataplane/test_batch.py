"""Answers made by hand: what a batch's outcome is, and what it is about."""

from __future__ import annotations

import errno
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.dataplane.batch import Batch, Committed, Refused, Unconfirmed
from corral.dataplane.codec import Message

FIRST = 1000
BEGIN, LAST_MESSAGE, END = 0, 3, 4
MESSAGES = [Message(0xA00 + place, 0x400, bytes([1, 0, 0, 0]) + bytes(place), place) for place in range(3)]

NLM_F_ACK, NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x4, 0x100, 0x200


def batch(first: int = FIRST) -> Batch:
    return Batch(MESSAGES, first)


def answer(
    place: int, number: int = 0, *, first: int = FIRST, kind: int = 2, flags: int = 0, rest: bytes = b""
) -> bytes:
    quoted = struct.pack("=IHHII", 20, 0xA00, 1, (first + place) % 2**32, 77)
    payload = struct.pack("=i", -number) + quoted + rest
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, (first + place) % 2**32, 77) + payload


def explained(place: int, number: int, text: str, offset: int, quoted_rest: bytes = b"") -> bytes:
    message = text.encode() + b"\0"
    tlvs = struct.pack("=HH", 4 + len(message), 1) + message + bytes(-len(message) % 4)
    tlvs += struct.pack("=HHI", 8, 2, offset)
    if not quoted_rest:
        return answer(place, number, flags=NLM_F_CAPPED | NLM_F_ACK_TLVS, rest=tlvs)
    whole = bytearray(answer(place, number, flags=NLM_F_ACK_TLVS, rest=quoted_rest + tlvs))
    whole[20:24] = struct.pack("=I", 16 + len(quoted_rest))
    return bytes(whole)


def outcome(*datagrams: bytes | None, of: Batch | None = None) -> object:
    accounted = of or batch()
    for datagram in datagrams:
        accounted.receive(datagram)
    return accounted.outcome()


def headers(data: bytes) -> list[tuple[int, int, int, int]]:
    found, at = [], 0
    while at < len(data):
        length, kind, flags, sequence, _ = struct.unpack_from("=IHHII", data, at)
        found.append((length, kind, flags, sequence))
        at += -(-length // 4) * 4
    assert at == len(data)
    return found


def test_the_bytes_are_begin_messages_end_in_sequence() -> None:
    assert headers(batch().data) == [
        (20, 0x10, 0x1, 1000),
        (20, 0xA00, 0x401, 1001),
        (21, 0xA01, 0x401, 1002),
        (22, 0xA02, 0x405, 1003),
        (20, 0x11, 0x1, 1004),
    ]
    assert batch().data[16:20] == bytes([0, 0]) + (10).to_bytes(2, "big")  # begin names the subsystem


def test_only_the_last_message_asks_for_an_acknowledgement() -> None:
    assert [bool(flags & NLM_F_ACK) for _, _, flags, _ in headers(batch().data)] == [False, False, False, True, False]


def test_committed_when_the_last_message_is_acknowledged() -> None:
    assert outcome(answer(LAST_MESSAGE)) == Committed()


def test_nothing_received_is_unconfirmed() -> None:
    assert outcome() == Unconfirmed()


def test_an_acknowledgement_beside_something_lost_does_not_confirm() -> None:
    assert outcome(None, answer(LAST_MESSAGE)) == Unconfirmed()
    assert outcome(answer(LAST_MESSAGE), None) == Unconfirmed()
    assert outcome(None, answer(1, errno.ENOENT)) == Refused(errno.ENOENT, 0)


@pytest.mark.parametrize("place", [BEGIN, 1, 2, END])
def test_other_acknowledgements_do_not_confirm(place: int) -> None:
    assert outcome(answer(place)) == Unconfirmed()


def test_an_error_on_begin_is_about_the_whole_batch() -> None:
    assert outcome(answer(BEGIN, errno.EPERM)) == Refused(errno.EPERM, None)


def test_a_failing_commit_is_a_failure_although_every_message_was_acknowledged() -> None:
    acknowledgements = b"".join(answer(place) for place in (1, 2, 3))
    assert outcome(acknowledgements, answer(BEGIN, errno.ENOMEM)) == Refused(errno.ENOMEM, None)
    assert outcome(answer(BEGIN, errno.ENOMEM), acknowledgements) == Refused(errno.ENOMEM, None)


def test_an_error_on_end_is_about_the_whole_batch() -> None:
    assert outcome(answer(LAST_MESSAGE), answer(END, errno.EINVAL)) == Refused(errno.EINVAL, None)


def test_a_late_acknowledgement_does_not_undo_an_error() -> None:
    assert outcome(answer(1, errno.ENOENT), answer(LAST_MESSAGE)) == Refused(errno.ENOENT, 0)


def test_the_first_refused_message_counts_and_more_than_the_batch() -> None:
    answers = (answer(BEGIN, errno.EINVAL), answer(LAST_MESSAGE, errno.EBUSY), answer(2, errno.EEXIST))
    assert outcome(*answers) == Refused(errno.EEXIST, 1)


def test_answers_to_other_batches_are_ignored() -> None:
    stale = answer(LAST_MESSAGE, first=FIRST - 10) + answer(BEGIN, errno.EPERM, first=FIRST - 10)
    later = answer(BEGIN, errno.EPERM, first=FIRST + 5)
    assert outcome(stale, later) == Unconfirmed()
    assert outcome(stale, later, answer(LAST_MESSAGE)) == Committed()


def test_other_kinds_of_messages_are_ignored() -> None:
    assert outcome(answer(LAST_MESSAGE, kind=0xA0F), answer(LAST_MESSAGE, kind=3)) == Unconfirmed()


def test_the_kernels_explanation_is_kept() -> None:
    expected = Refused(errno.EINVAL, 1, "no such thing", 36)
    assert outcome(explained(2, errno.EINVAL, "no such thing", 36)) == expected
    assert outcome(explained(2, errno.EINVAL, "no such thing", 36, quoted_rest=bytes(12))) == expected


def test_the_offset_is_in_host_order() -> None:
    assert sys.byteorder in ("little", "big")
    refused = outcome(explained(1, errno.EINVAL, "", 260))
    assert isinstance(refused, Refused)
    assert refused.offset == 260


@pytest.mark.parametrize("first", [2**32 - 1, 2**32 - 2, 2**32 - 4])
def test_sequence_numbers_wrap(first: int) -> None:
    assert outcome(answer(LAST_MESSAGE, first=first), of=batch(first)) == Committed()
    assert outcome(answer(2, errno.ENOENT, first=first), of=batch(first)) == Refused(errno.ENOENT, 1)


@given(
    st.permutations(range(5)),
    st.sets(st.integers(0, END)),
    st.dictionaries(st.integers(0, END), st.sampled_from(sorted(errno.errorcode))),
    st.booleans(),
)
def test_no_selection_and_order_of_answers_turns_a_failure_into_success_or_back(
    order: list[int], acknowledged: set[int], refused: dict[int, int], lost: bool
) -> None:
    answers: list[bytes | None] = [None] if lost else []
    answers += [answer(place, refused[place]) for place in order if place in refused]
    answers += [answer(place) for place in order if place in acknowledged - refused.keys()]
    found = outcome(*(answers if order[0] % 2 else answers[::-1]))
    if refused:
        assert isinstance(found, Refused)
        assert found.errno in refused.values()
    else:
        assert isinstance(found, Committed if LAST_MESSAGE in acknowledged and not lost else Unconfirmed)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(noise: bytes) -> None:
    assert isinstance(outcome(noise, answer(1, errno.EIO)), Refused)


@given(st.integers(0, 60))
def test_a_cut_answer_never_confirms(length: int) -> None:
    whole = answer(LAST_MESSAGE)
    if length < len(whole):
        assert outcome(whole[:length]) == Unconfirmed()
