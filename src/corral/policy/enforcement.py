"""What becomes of a packet that is denied: the kernel tells of it, and drops it; in audit mode it lets it pass.

Each counter of denied packets has a chain of its own, which says so. All the rest of the table is the same however
the agent enforces: turning audit on or off changes these few chains, whatever the size of the environment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from corral.nft.names import comment
from corral.nft.values import (
    Chain,
    Count,
    Expression,
    Field,
    Limit,
    LimitEach,
    Log,
    NftRule,
    NftSet,
    SetType,
    Verb,
    Verdict,
)

LOG_GROUP = 8799  # of nfnetlink_log
DENIED_CLIENTS = NftSet("denied-clients", SetType.DYNAMIC, "whose denied packets were logged of late")

_LOGGED_BYTES = 128  # all headers; no need for the rest
# A client that tries and tries must not hide the others, and all of them together not keep the reader busy.
_EACH_CLIENT, _ALL_CLIENTS = Limit(5, burst=10), Limit(100, burst=100)
_FORGET_CLIENT = 60  # seconds


@dataclass(frozen=True, slots=True)
class Enforcement:
    """How the kernel enforces.

    `audit`: what is denied is counted and logged, and passes. `log`: the kernel tells of denied packets; one that
    has no nfnetlink_log refuses every rule that asks for it.
    """

    audit: bool = False
    log: bool = True


ENFORCE = Enforcement()


def deny(counter: str) -> tuple[Expression, ...]:
    """How a rule ends that denies, however that is enforced."""
    return Count(counter), Verdict(Verb.GOTO, _chain_name(counter))


def denied_chain(counter: str, about: str, client: Field | None, enforcement: Enforcement) -> Chain:
    """What becomes of what `counter` has counted; `client` is the field that says who sent it, if any does."""
    return Chain(_chain_name(counter), tuple(_fate(counter, client, enforcement)), comment=comment(about))


def log_prefix(counter: str, *, audit: bool) -> str:
    """What the kernel's log says of a packet that `counter` has counted."""
    return f"corral {'audit' if audit else 'deny'} {counter}"


def _fate(counter: str, client: Field | None, enforcement: Enforcement) -> Iterator[NftRule]:
    if enforcement.log:
        each = (LimitEach(client, DENIED_CLIENTS.name, _FORGET_CLIENT, _EACH_CLIENT),) if client else ()
        log = Log(log_prefix(counter, audit=enforcement.audit), LOG_GROUP, _LOGGED_BYTES)
        yield NftRule((*each, _ALL_CLIENTS, log))
    if enforcement.audit:
        yield NftRule((Verdict(Verb.ACCEPT),), "audit: nothing is dropped")
    else:
        yield NftRule((Verdict(Verb.DROP),))


def _chain_name(counter: str) -> str:
    return f"denied/{counter}"
