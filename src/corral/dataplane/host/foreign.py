"""Other people's nftables chains, read from the kernel. What newer versions of nft put into rules is no obstacle.

Of an expression only its name counts, and of some the verdict: nothing here has to know how to decode the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple, TypeVar

from pyroute2.netlink.nfnetlink.nftsocket import (
    NFT_MSG_GETCHAIN,
    NFT_MSG_GETRULE,
    NFT_MSG_GETSETELEM,
    NFT_MSG_GETTABLE,
)

from corral.dataplane.messages import (
    COUNTER_OBJECT,
    FAMILY,
    TABLE,
    attributes,
    errno_name,
    fields,
    nfgen,
    nftables,
    read_number,
    read_text,
    text_attribute,
)
from corral.dataplane.netlink import NETLINK_NETFILTER, InterruptedDumpError, NetlinkSocket
from corral.errors import DataplaneError, UncertainError
from corral.nft.foreign import ForeignChain, ForeignRule, ForeignVerdict
from corral.nft.values import Verb

FAMILIES: Mapping[int, str] = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_HOOKS = ("prerouting", "input", "forward", "output", "postrouting", "ingress")
_OTHER_HOOKS: Mapping[str, tuple[str, ...]] = {
    "arp": ("input", "output", "forward"),
    "netdev": ("ingress", "egress"),
}

# Attributes, from linux/netfilter/nf_tables.h
_TABLE_NAME, _TABLE_FLAGS = 1, 2
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_POLICY = 1, 3, 4, 5
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_HANDLE, _RULE_EXPRESSIONS = 1, 2, 3, 4
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_IMMEDIATE_REGISTER, _IMMEDIATE_DATA = 1, 2
_LOOKUP_SET, _LOOKUP_TARGET = 1, 3
_COMPAT_NAME = 1
_OBJECT_TYPE = 1
_ELEMENTS_TABLE, _ELEMENTS_SET, _ELEMENTS = 1, 2, 3
_ELEMENT_DATA = 2
_DATA_VERDICT = 2
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2

_VERDICT_REGISTER = 0
_DROP_POLICY = 0
_DORMANT = 0x1  # NFT_TABLE_F_DORMANT
_VERBS: Mapping[int, Verb] = {0: Verb.DROP, 1: Verb.ACCEPT, -3: Verb.JUMP, -4: Verb.GOTO, -5: Verb.RETURN}
# Expressions that let every packet go on to the verdict behind them.
_UNCONDITIONAL = frozenset({"immediate", "counter", "log", "notrack", "reject", "target", "last"})
_ATTEMPTS = 10
_PAUSE = 0.02  # seconds

_Place = tuple[int, str]  # family and table
_Found = TypeVar("_Found")


class _Rule(NamedTuple):
    """As read, verdict maps by name."""

    handle: int
    verdicts: tuple[ForeignVerdict, ...]
    maps: tuple[str, ...]
    always: bool


async def foreign_chains() -> tuple[ForeignChain, ...]:
    """Every chain of this network namespace but those of corral's table. Raises DataplaneError.

    Those of a dormant table have no hook: no packet meets them.
    """
    return await _of_one_moment(_chains)


async def foreign_tables() -> tuple[tuple[str, str], ...]:
    """Family and name of every table but corral's. Raises DataplaneError."""
    return await _of_one_moment(_tables)


async def _of_one_moment(read: Callable[[NetlinkSocket], Awaitable[_Found]]) -> _Found:
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as opened:
            for attempt in range(_ATTEMPTS):
                await asyncio.sleep(attempt * _PAUSE)
                try:
                    return await read(opened)
                except (InterruptedDumpError, FileNotFoundError):  # a set may go before its elements are read
                    continue
    except OSError as error:
        raise DataplaneError(f"can not read the ruleset: {errno_name(error.errno or 0)}", errno=error.errno) from error
    raise UncertainError(f"the ruleset changed during each of {_ATTEMPTS} attempts to read it")


async def _tables(opened: NetlinkSocket) -> tuple[tuple[str, str], ...]:
    places = await _dormant_tables(opened)
    return tuple((_family(number), name) for number, name in places if (number, name) != (FAMILY, TABLE))


async def _dormant_tables(opened: NetlinkSocket) -> dict[_Place, bool]:
    """Every table, and whether it is dormant."""
    answers = await opened.dump(nftables(NFT_MSG_GETTABLE), nfgen(family=0))
    found = [(answer.payload[0], fields(answer.payload)) for answer in answers]
    return {
        (number, read_text(parts.get(_TABLE_NAME, b""))): bool(read_number(parts.get(_TABLE_FLAGS, b"")) & _DORMANT)
        for number, parts in found
    }


def _family(number: int) -> str:
    return FAMILIES.get(number, f"family {number}")


async def _chains(opened: NetlinkSocket) -> tuple[ForeignChain, ...]:
    dormant = await _dormant_tables(opened)
    rules: dict[tuple[_Place, str], list[_Rule]] = {}
    for answer in await opened.dump(nftables(NFT_MSG_GETRULE), nfgen(family=0)):
        found = fields(answer.payload)
        place = (answer.payload[0], read_text(found.get(_RULE_TABLE, b"")))
        rules.setdefault((place, read_text(found.get(_RULE_CHAIN, b""))), []).append(_rule(found))
    chains = []
    for answer in await opened.dump(nftables(NFT_MSG_GETCHAIN), nfgen(family=0)):
        found = fields(answer.payload)
        place = (answer.payload[0], read_text(found.get(_CHAIN_TABLE, b"")))
        if place != (FAMILY, TABLE):
            name = read_text(found.get(_CHAIN_NAME, b""))
            resolved = [await _resolved(opened, place, rule) for rule in rules.get((place, name), [])]
            if dormant.get(place):
                found.pop(_CHAIN_HOOK, None)
            chains.append(_chain(place, name, found, tuple(resolved)))
    return tuple(chains)


def _chain(place: _Place, name: str, found: Mapping[int, bytes], rules: tuple[ForeignRule, ...]) -> ForeignChain:
    family = _family(place[0])
    if _CHAIN_HOOK not in found:
        return ForeignChain(family, place[1], name, rules)
    hook = dict(attributes(found[_CHAIN_HOOK]))
    number, priority = read_number(hook.get(_HOOK_NUMBER, b"")), hook.get(_HOOK_PRIORITY, b"")
    names = _OTHER_HOOKS.get(family, _HOOKS)
    return ForeignChain(
        family,
        place[1],
        name,
        rules,
        hook=names[number] if number < len(names) else f"hook {number}",
        priority=int.from_bytes(priority, "big", signed=True),
        drops=_CHAIN_POLICY in found and read_number(found[_CHAIN_POLICY]) == _DROP_POLICY,
    )


def _rule(found: Mapping[int, bytes]) -> _Rule:
    verdicts: list[ForeignVerdict] = []
    maps: list[str] = []
    always = True
    for _, packed in attributes(found.get(_RULE_EXPRESSIONS, b"")):
        expression = dict(attributes(packed))
        name = read_text(expression.get(_EXPRESSION_NAME, b""))
        data = dict(attributes(expression.get(_EXPRESSION_DATA, b"")))
        always = always and (name in _UNCONDITIONAL or (name == "objref" and _is_counter(data)))
        verdicts += _verdicts(name, data)
        if name == "lookup" and _LOOKUP_TARGET in data and read_number(data[_LOOKUP_TARGET]) == _VERDICT_REGISTER:
            maps.append(read_text(data.get(_LOOKUP_SET, b"")))
    return _Rule(read_number(found.get(_RULE_HANDLE, b"")), tuple(verdicts), tuple(maps), always)


def _is_counter(reference: Mapping[int, bytes]) -> bool:
    """Others, such as quotas and limits, are conditions."""
    return read_number(reference.get(_OBJECT_TYPE, b"")) == COUNTER_OBJECT


def _verdicts(name: str, data: Mapping[int, bytes]) -> Iterator[ForeignVerdict]:
    if name == "reject":
        yield ForeignVerdict(Verb.DROP)
    elif name == "target" and read_text(data.get(_COMPAT_NAME, b"")) in {"REJECT", "DROP"}:
        yield ForeignVerdict(Verb.DROP)  # iptables-nft keeps what nftables has no expression for
    elif name == "immediate" and read_number(data.get(_IMMEDIATE_REGISTER, b"\1")) == _VERDICT_REGISTER:
        yield from _verdict(data.get(_IMMEDIATE_DATA, b""))


def _verdict(data: bytes) -> Iterator[ForeignVerdict]:
    """The verdict in a register's data, if it is one that we know."""
    verdict = dict(attributes(dict(attributes(data)).get(_DATA_VERDICT, b"")))
    code = int.from_bytes(verdict.get(_VERDICT_CODE, b""), "big", signed=True)
    if _VERDICT_CODE in verdict and code in _VERBS:
        yield ForeignVerdict(_VERBS[code], read_text(verdict.get(_VERDICT_CHAIN, b"")))


async def _resolved(opened: NetlinkSocket, place: _Place, rule: _Rule) -> ForeignRule:
    verdicts = list(rule.verdicts)
    for name in rule.maps:
        verdicts += [verdict async for verdict in _map(opened, place, name)]
    return ForeignRule(rule.handle, tuple(dict.fromkeys(verdicts)), rule.always)


async def _map(opened: NetlinkSocket, place: _Place, name: str) -> AsyncIterator[ForeignVerdict]:
    family, table = place
    where = text_attribute(_ELEMENTS_TABLE, table) + text_attribute(_ELEMENTS_SET, name)
    for answer in await opened.dump(nftables(NFT_MSG_GETSETELEM), nfgen(where, family=family)):
        for _, packed in attributes(fields(answer.payload).get(_ELEMENTS, b"")):
            for verdict in _verdict(dict(attributes(packed)).get(_ELEMENT_DATA, b"")):
                yield verdict
