"""What iptables-legacy keeps in the kernel beside nftables: read through the socket option that its own program uses.

Nothing is loaded: a table is asked for only when the kernel already has it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from corral.errors import DataplaneError, UnsupportedError
from corral.nft.foreign import LEGACY, ForeignChain, ForeignRule, ForeignVerdict
from corral.nft.values import Verb

_NAMES = Path("/proc/net/ip_tables_names")  # the tables that this network namespace has; needs CAP_NET_ADMIN
_TABLES = ("raw", "mangle", "filter")  # of those, the ones whose rules may drop

# From linux/netfilter_ipv4/ip_tables.h, the sizes being those of a 64-bit kernel.
_GET_INFO, _GET_ENTRIES = 64, 65  # IPT_SO_GET_*
_INFO = struct.Struct("@32sI5I5III")  # struct ipt_getinfo
_REQUEST = struct.Struct("@32sI4x")  # struct ipt_get_entries, but for the entries
_ENTRY = struct.Struct("@84sIHHIQQ")  # struct ipt_entry
_TARGET = struct.Struct("@H29sB")  # struct xt_entry_target
_VERDICT = struct.Struct("@i")
_FLAGS_AT = 82  # of struct ipt_ip: flags, then inverted flags
_GOTO = 0x02
_ERROR_TARGET = b"ERROR"  # begins a chain, whose name follows; the last one ends the table

_HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
_PRIORITIES = {"raw": -300, "mangle": -150, "filter": 0}
_LIBC = ctypes.CDLL(None, use_errno=True)
_VERBS = {-1: Verb.DROP, -2: Verb.ACCEPT, -5: Verb.RETURN}
_DROPPING = frozenset({b"REJECT", b"DROP"})


def legacy_chains() -> tuple[ForeignChain, ...]:
    """The chains of iptables-legacy for IPv4 in this network namespace. Raises DataplaneError."""
    return tuple(chain for table in _loaded() for chain in parse_table(table, *_table(table)))


def _loaded() -> list[str]:
    try:
        present = _NAMES.read_text().split()
    except FileNotFoundError:
        return []  # a kernel without iptables-legacy
    except PermissionError as error:
        raise UnsupportedError(f"can not read {_NAMES}: it needs the capability CAP_NET_ADMIN") from error
    return [table for table in _TABLES if table in present]


def _table(name: str) -> tuple[bytes, bytes]:
    """The table's description and its entries."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as opened:
            information = _ask(opened, _GET_INFO, _INFO.pack(name.encode(), *bytes(13)))
            size = _INFO.unpack(information)[-1]
            entries = _ask(opened, _GET_ENTRIES, _REQUEST.pack(name.encode(), size) + bytes(size))
    except OSError as error:
        what = f"can not read table {name} of iptables-legacy: {error.strerror}"
        raise DataplaneError(what, errno=error.errno) from error
    return information, entries[_REQUEST.size :]


def _ask(opened: socket.socket, option: int, request: bytes) -> bytes:
    """Python's own getsockopt hands over an empty buffer, but the kernel looks for the table's name in it."""
    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(len(request))
    if _LIBC.getsockopt(opened.fileno(), socket.SOL_IP, option, buffer, ctypes.byref(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return buffer.raw


@dataclass(frozen=True, slots=True)
class _Entry:
    at: int
    following: int
    always: bool
    gotos: bool
    target: bytes
    data: bytes


def parse_table(table: str, information: bytes, packed: bytes) -> list[ForeignChain]:
    """The chains in what the kernel answers; what can not be read ends the table."""
    _, valid, *numbers, _, _ = _INFO.unpack(information)
    entries = list(_entries(packed))
    starts = {numbers[hook]: name for hook, name in enumerate(_HOOKS) if valid & 1 << hook}
    policies = {numbers[hook]: numbers[len(_HOOKS) + hook] for hook in range(len(_HOOKS)) if valid & 1 << hook}
    heads = {entry.following: _text(entry.data) for entry in entries if entry.target == _ERROR_TARGET}
    runs = _runs(entries, starts.keys() | heads.keys())
    chains = [_base(table, starts[at], run, policies[at], heads) for at, run in runs.items() if at in starts]
    chains += [
        ForeignChain(LEGACY, table, heads[at], tuple(_rules(run[:-1], heads)))  # the last one is its return
        for at, run in runs.items()
        if at in heads and at not in starts
    ]
    return chains


def _entries(packed: bytes) -> Iterator[_Entry]:
    at = 0
    while at + _ENTRY.size + _TARGET.size <= len(packed):
        head, _, target_at, following, *_ = _ENTRY.unpack_from(packed, at)
        if not _ENTRY.size <= target_at <= following - _TARGET.size or at + following > len(packed):
            return
        _, target, _ = _TARGET.unpack_from(packed, at + target_at)
        always = target_at == _ENTRY.size and not any(head[:_FLAGS_AT]) and not head[_FLAGS_AT + 1]
        data = packed[at + target_at + _TARGET.size : at + following]
        gotos = bool(head[_FLAGS_AT] & _GOTO)
        yield _Entry(at, at + following, always, gotos, target.partition(b"\0")[0], data)
        at += following


def _runs(entries: list[_Entry], starts: Set[int]) -> dict[int, list[_Entry]]:
    """The entries of each chain, by where it begins."""
    runs: dict[int, list[_Entry]] = {}
    current: list[_Entry] = []
    for entry in entries:
        if entry.at in starts:
            current = runs.setdefault(entry.at, [])
        if entry.target != _ERROR_TARGET:
            current.append(entry)
    return runs


def _base(table: str, hook: str, run: list[_Entry], policy_at: int, heads: Mapping[int, str]) -> ForeignChain:
    policy = [verdict for entry in run if entry.at == policy_at for verdict in _verdicts(entry, heads)]
    return ForeignChain(
        LEGACY,
        table,
        hook.upper(),
        tuple(_rules([entry for entry in run if entry.at != policy_at], heads)),
        hook=hook,
        priority=_PRIORITIES[table],
        drops=ForeignVerdict(Verb.DROP) in policy,
    )


def _rules(run: list[_Entry], heads: Mapping[int, str]) -> Iterator[ForeignRule]:
    """The kernel numbers no rules: a rule's handle is its place in its chain, from 1, as iptables counts."""
    for number, entry in enumerate(run, 1):
        yield ForeignRule(number, tuple(_verdicts(entry, heads)), entry.always)


def _verdicts(entry: _Entry, heads: Mapping[int, str]) -> Iterator[ForeignVerdict]:
    if entry.target in _DROPPING:
        yield ForeignVerdict(Verb.DROP)
    if entry.target or len(entry.data) < _VERDICT.size:
        return
    (verdict,) = _VERDICT.unpack_from(entry.data)
    if verdict in _VERBS:
        yield ForeignVerdict(_VERBS[verdict])
    elif verdict in heads:  # else it goes on with the next rule
        yield ForeignVerdict(Verb.GOTO if entry.gotos else Verb.JUMP, heads[verdict])


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode(errors="replace")
