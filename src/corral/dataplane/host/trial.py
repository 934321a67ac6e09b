"""What this kernel can do, found by trying: by version numbers nobody knows what a distribution has put into a kernel.

Each trial is one transaction that ends with something that must fail, so that the kernel looks at all of it and keeps
nothing. Names are random, for the table may be there and in force.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from corral.dataplane.batch import Batch, Refused
from corral.dataplane.codec import encode
from corral.dataplane.messages import errno_name
from corral.dataplane.netlink import NETLINK_NETFILTER, NetlinkSocket
from corral.errors import DataplaneError, UncertainError, UnsupportedError
from corral.nft.transaction import (
    AddChain,
    AddCounter,
    AddElements,
    AddRule,
    AddSet,
    AddTable,
    AddVerdicts,
    DeleteChain,
    Operation,
    Transaction,
)
from corral.nft.values import (
    Chain,
    Count,
    Dispatch,
    Equals,
    Expression,
    Field,
    Hook,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    NftMap,
    NftRule,
    NftSet,
    SetType,
    State,
    Verb,
    Verdict,
)
from corral.types import Address, Subnet

LOG = "logs of denied packets, limited for each client"
Features = Mapping[str, Callable[[], tuple[Operation, ...]]]

_DROP = Verdict(Verb.DROP)
_AN_ADDRESS = Address.parse("192.0.2.1")  # for documentation, RFC 5737
_A_SUBNET = Subnet.parse("192.0.2.0/24")


@dataclass(frozen=True, slots=True)
class Inability:
    """Something that the ruleset needs and this kernel refuses; `optional`: the agent enforces without it."""

    feature: str
    error: str
    optional: bool = False


async def inabilities() -> tuple[Inability, ...]:
    """What of the ruleset this kernel can not do; nothing, where all is well. Raises DataplaneError."""
    results = await _tried(FEATURES)
    return tuple(Inability(feature, error, feature in OPTIONAL) for feature, error in results if error)


async def why_no_log() -> str | None:
    """Why the kernel takes no rules that log denied packets; None where it does. Raises DataplaneError."""
    ((_, error),) = await _tried({LOG: FEATURES[LOG]})
    return error


async def _tried(features: Features) -> list[tuple[str, str | None]]:
    try:
        with NetlinkSocket(NETLINK_NETFILTER) as opened:
            return [(feature, await _try(opened, operations())) for feature, operations in features.items()]
    except OSError as error:
        raise DataplaneError(f"can not try the kernel: {errno_name(error.errno or 0)}", errno=error.errno) from error


async def _try(opened: NetlinkSocket, operations: tuple[Operation, ...]) -> str | None:
    """The kernel's error; None when nothing fails but the last operation."""
    messages = encode(Transaction((AddTable(), *operations, DeleteChain(_name()))))
    batch = Batch(messages, opened.next_sequence(len(messages) + 2))
    await opened.send(batch.data)
    for datagram in opened.drain():
        batch.receive(datagram)
    outcome = batch.outcome()
    if not isinstance(outcome, Refused):
        raise UncertainError("the kernel did not answer to a trial")
    if outcome.errno == errno.EPERM:
        raise UnsupportedError("can not try the kernel: it needs the capability CAP_NET_ADMIN", errno=errno.EPERM)
    if outcome.message == len(messages) - 1 and outcome.errno == errno.ENOENT:
        return None
    return " ".join(filter(None, [errno_name(outcome.errno), outcome.text]))


def _name() -> str:
    return f"trial-{secrets.token_hex(8)}"


def _hook() -> tuple[Operation, ...]:
    return (AddChain(Chain(_name(), (), hook=Hook("forward", -10))),)


def _rule(*expressions: Expression, comment: str = "") -> tuple[Operation, ...]:
    chain = _name()
    return AddChain(Chain(chain, ())), AddRule(chain, NftRule(expressions, comment))


def _counter() -> tuple[Operation, ...]:
    counter = _name()
    return AddCounter(counter), *_rule(Count(counter), _DROP)


def _set() -> tuple[Operation, ...]:
    members = NftSet(_name())
    elements = AddElements(members.name, members, (_AN_ADDRESS,))
    return AddSet(members), elements, *_rule(InSet(Field.CLIENT, members.name), _DROP)


def _subnets() -> tuple[Operation, ...]:
    members = NftSet(_name(), SetType.SUBNETS)
    elements = AddElements(members.name, members, (_A_SUBNET,))
    return AddSet(members), elements, *_rule(InSet(Field.SERVER, members.name, negated=True), _DROP)


def _verdict_map() -> tuple[Operation, ...]:
    verdicts, chain = NftMap(_name()), _name()
    entry = AddVerdicts(verdicts.name, {_AN_ADDRESS: Verdict(Verb.JUMP, chain)})
    return AddSet(verdicts), AddChain(Chain(chain, ())), entry, *_rule(Dispatch(Field.SERVER, verdicts.name))


def _comments() -> tuple[Operation, ...]:
    named = AddSet(NftSet(_name(), comment="a trial")), AddChain(Chain(_name(), (), comment="a trial"))
    return *named, *_rule(_DROP, comment="a trial")


def _limited_log() -> tuple[Operation, ...]:
    clients = NftSet(_name(), SetType.DYNAMIC)
    limit = LimitEach(Field.CLIENT, clients.name, timeout=60, limit=Limit(5, burst=10))
    return AddSet(clients), *_rule(limit, Limit(100, burst=100), Log("trial", group=1, length=128))


FEATURES: Features = {
    "tables of family inet": lambda: (),
    "a chain at hook forward": _hook,
    "named counters": _counter,
    "sets of addresses, and the client of a flow (ct original ip saddr)": _set,
    "sets of subnets": _subnets,
    "verdict maps, and the server of a flow (ct reply ip saddr)": _verdict_map,
    "the server's port (ct reply proto-src)": lambda: _rule(
        Equals(Field.PROTOCOL, "tcp"), InRange(Field.SERVER_PORT, 80, 80), _DROP
    ),
    "connection states": lambda: _rule(State(("invalid", "untracked")), _DROP),
    "comments": _comments,
    LOG: _limited_log,
}
OPTIONAL = frozenset({LOG})
