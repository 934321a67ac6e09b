"""The accounting of one batch: which of its messages the kernel took or refused. No I/O.

The kernel takes a batch whole or not at all, but it answers message by message:

* The good messages of a batch that is thrown away are acknowledged with zero all the same.
* Missing privilege, a failed commit and lack of memory are reported against the begin message.
* Errors come unasked; acknowledgements only for messages that ask (for begin and end only since 6.10).

So only the last message asks, and a batch is committed when that acknowledgement has come, nothing was lost, and no
error has come for any sequence number, begin and end included.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_NFTABLES

from corral.dataplane.codec import Message
from corral.dataplane.messages import (
    ACK,
    ACK_TLVS,
    BATCH_BEGIN,
    BATCH_END,
    CAPPED,
    HEADER,
    NLMSG_ERROR,
    PADDING,
    REQUEST,
    Received,
    attributes,
    frame,
    nfgen,
    split,
)

_SEQUENCES = 1 << 32
_BRACKET = nfgen(family=0, resource=int(NFNL_SUBSYS_NFTABLES))
_ERROR = struct.Struct("=i")
_MESSAGE_TEXT, _OFFSET = 1, 2  # NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS


@dataclass(frozen=True, slots=True)
class Refused:
    """An errno, and the message it is about (None: begin or end, that is, the batch as a whole).

    `text` is the kernel's own explanation; `offset` points at the attribute in that message that it objects to.
    """

    errno: int
    message: int | None = None
    text: str = ""
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Neither an error nor the acknowledgement of the last message has come."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The batch is in force."""


Outcome: TypeAlias = Committed | Refused | Unconfirmed


class Batch:
    """Messages between begin and end, numbered from `sequence` on."""

    def __init__(self, messages: Sequence[Message], sequence: int) -> None:
        self._first = sequence
        self._count = len(messages)
        self._refusals: dict[int, Refused] = {}
        self._acknowledged = False
        self._lost = False
        self.data = b"".join(self._frames(messages))

    def _frames(self, messages: Sequence[Message]) -> list[bytes]:
        number = self._first
        last = (number + self._count) % _SEQUENCES
        pieces = [frame(BATCH_BEGIN, REQUEST, number, _BRACKET)]
        for kind, flags, payload, _ in messages:
            number = (number + 1) % _SEQUENCES
            asks = REQUEST | ACK if number == last else REQUEST
            length = len(payload)
            pieces += HEADER.pack(HEADER.size + length, kind, flags | asks, number, 0), payload, PADDING[length & 3]
        pieces.append(frame(BATCH_END, REQUEST, (number + 1) % _SEQUENCES, _BRACKET))
        return pieces

    def receive(self, datagram: bytes | None) -> None:
        """Take in what the kernel sent, None where it was lost; answers to other batches are ignored."""
        if datagram is None:
            self._lost = True
            return
        for received in split(datagram):
            place = (received.sequence - self._first) % _SEQUENCES
            if received.type == NLMSG_ERROR and place < self._count + 2 and len(received.payload) >= _ERROR.size:
                self._account(place, received)

    def _account(self, place: int, received: Received) -> None:
        number = -_ERROR.unpack_from(received.payload)[0]
        if number == 0:
            self._acknowledged = self._acknowledged or place == self._count
        else:
            message = place - 1 if 1 <= place <= self._count else None
            self._refusals.setdefault(place, Refused(number, message, *_explanation(received)))

    def outcome(self) -> Outcome:
        """What has become of the batch, as far as the answers say."""
        if self._refusals:
            # An operation's own error says more than the one against the batch.
            return min(self._refusals.values(), key=lambda refused: (refused.message is None, refused.message or 0))
        # What was lost may have been an error: the kernel could not even allocate it.
        return Committed() if self._acknowledged and not self._lost else Unconfirmed()


def _explanation(received: Received) -> tuple[str, int | None]:
    """The extended acknowledgement that follows the message quoted in an error."""
    if not received.flags & ACK_TLVS or len(received.payload) < _ERROR.size + HEADER.size:
        return "", None
    quoted = HEADER.size if received.flags & CAPPED else HEADER.unpack_from(received.payload, _ERROR.size)[0]
    found = dict(attributes(received.payload[_ERROR.size + -(-quoted // 4) * 4 :]))
    offset = int.from_bytes(found[_OFFSET], sys.byteorder) if _OFFSET in found else None
    return found.get(_MESSAGE_TEXT, b"").rstrip(b"\0").decode(errors="replace"), offset
