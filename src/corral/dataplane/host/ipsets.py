"""The ipsets of this network namespace: their names, and their removal."""

from __future__ import annotations

import errno

from corral.dataplane.messages import (
    attribute,
    errno_name,
    fields,
    nfgen,
    read_text,
    text_attribute,
)
from corral.dataplane.netlink import NETLINK_NETFILTER, InterruptedDumpError, NetlinkSocket
from corral.errors import DataplaneError, UncertainError

# From linux/netfilter/nfnetlink.h and linux/netfilter/ipset/ip_set.h
_SUBSYSTEM, _DESTROY, _LIST = 6, 3, 7
_PROTOCOL, _NAME, _FLAGS = 1, 2, 6
_VERSION = 6
_LIST_NAMES = 0x2  # IPSET_FLAG_LIST_SETNAME
_NET_ORDER = 0x4000  # NLA_F_NET_BYTEORDER
_IPV4 = 2
_BUSY = 4100  # IPSET_ERR_BUSY


async def ipset_names() -> tuple[str, ...]:
    """The names of all sets; none where the kernel has no ipset (or has not loaded it). Raises DataplaneError."""
    request = nfgen(_version() + attribute(_FLAGS | _NET_ORDER, _LIST_NAMES.to_bytes(4, "big")), family=_IPV4)
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as opened:
            answers = await opened.dump(_SUBSYSTEM << 8 | _LIST, request)
    except OSError as error:
        if error.errno == errno.EINVAL:  # what the kernel answers for a subsystem that it does not have
            return ()
        raise DataplaneError(f"can not read the ipsets: {errno_name(error.errno or 0)}", errno=error.errno) from error
    except InterruptedDumpError as error:
        raise UncertainError("can not read the ipsets: an answer was lost, ask again") from error
    return tuple(read_text(fields(answer.payload)[_NAME]) for answer in answers if _NAME in fields(answer.payload))


async def destroy_ipset(name: str) -> bool:
    """Remove a set; False while rules still refer to it. None to remove is fine. Raises DataplaneError."""
    request = nfgen(_version() + text_attribute(_NAME, name), family=_IPV4)
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as opened:
            await opened.request(_SUBSYSTEM << 8 | _DESTROY, request)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno == _BUSY:
            return False
        raise DataplaneError(
            f"can not remove ipset {name}: {errno_name(error.errno or 0)}", errno=error.errno
        ) from error
    return True


def _version() -> bytes:
    return attribute(_PROTOCOL, bytes([_VERSION]))
