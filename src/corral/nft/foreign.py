"""Other people's chains, read only: what of them may drop packets between containers, before or after ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from corral.nft.values import Verb

# How nft calls them. `legacy ip` is ours, for what iptables-legacy keeps beside nftables.
LEGACY = "legacy ip"
# A packet between containers passes these hooks, and of these families: endpoints have IPv4 only.
_ON_THE_WAY: Mapping[str, frozenset[str]] = {
    "ip": frozenset({"prerouting", "forward", "postrouting"}),
    "inet": frozenset({"ingress", "prerouting", "forward", "postrouting"}),
    "bridge": frozenset({"prerouting", "forward", "postrouting"}),
    "netdev": frozenset({"ingress", "egress"}),
    LEGACY: frozenset({"prerouting", "forward", "postrouting"}),
}
_BEFORE, _AFTER = frozenset({"ingress", "prerouting"}), frozenset({"postrouting", "egress"})
_DEEPEST = 16  # the kernel's own limit of jumps, NFT_JUMP_STACK_SIZE
_MOST_VISITS = 20_000


@dataclass(frozen=True, slots=True)
class ForeignVerdict:
    """Where a rule, or an entry of its verdict map, sends a packet."""

    verb: Verb
    chain: str = ""


@dataclass(frozen=True, slots=True)
class ForeignRule:
    """`always`: it has no condition that we know of, so each packet that comes here meets its verdicts."""

    handle: int
    verdicts: tuple[ForeignVerdict, ...] = ()
    always: bool = False


@dataclass(frozen=True, slots=True)
class ForeignChain:
    """A chain; `hook` and `priority` only of a base chain, and `drops` is then its policy."""

    family: str
    table: str
    name: str
    rules: tuple[ForeignRule, ...] = ()
    hook: str | None = None
    priority: int = 0
    drops: bool = False

    @property
    def place(self) -> str:
        """As `nft list chain` takes it, but for chains of iptables-legacy."""
        return f"{self.family} {self.table} {self.name}"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A base chain that may drop packets between containers.

    `places` are the chains with dropping rules that it leads to, `policy` says that it drops what none of its rules
    accepts. `certain`: nothing at all gets through. `before`: it sees a packet before corral's chain; None where that
    depends on which of the two was there first.
    """

    base: ForeignChain
    places: tuple[str, ...]
    policy: bool
    certain: bool
    before: bool | None


def obstacles(
    chains: Sequence[ForeignChain], *, our_priority: int, ignored: frozenset[str] = frozenset()
) -> list[Obstacle]:
    """The base chains on a packet's way that may drop it; those that do for certain first.

    `ignored` are names of chains that are reported elsewhere.
    """
    by_place = {(chain.family, chain.table, chain.name): chain for chain in chains}
    found = [
        _look(base, by_place, our_priority, ignored)
        for base in chains
        if base.hook is not None and base.hook in _ON_THE_WAY.get(base.family, frozenset())
    ]
    return sorted(filter(None, found), key=lambda obstacle: not obstacle.certain)


def _look(
    base: ForeignChain, chains: Mapping[tuple[str, str, str], ForeignChain], our_priority: int, ignored: frozenset[str]
) -> Obstacle | None:
    walk = _Walk(base, chains, ignored)
    certain = walk.follow(base, always=True, depth=0) or (base.drops and not walk.accepts)
    policy = base.drops and not walk.accepts_rest
    if not walk.places and not policy:
        return None
    return Obstacle(base, tuple(sorted(walk.places)), policy, certain, comes_before(base, our_priority))


def comes_before(base: ForeignChain, our_priority: int) -> bool | None:
    """Whether a packet meets the chain before it meets ours, at hook forward of family inet."""
    if base.hook in _BEFORE or base.hook in _AFTER:
        return base.hook in _BEFORE
    if base.family != "bridge" and base.priority == our_priority:
        return None  # of two with one priority the kernel asks the younger one first
    # A bridge hands its frames to the IP hooks from its own forward hook, with priority 0 (NF_BR_PRI_BRNF).
    return base.priority < (0 if base.family == "bridge" else our_priority)


@dataclass(slots=True)
class _Walk:
    """From one base chain, in the order of the rules. `accepts`: some packet may have left by an accepting rule.

    `accepts_rest`: no packet comes to the end of the base chain, for a rule of it accepts all that come there.
    """

    base: ForeignChain
    chains: Mapping[tuple[str, str, str], ForeignChain]
    ignored: frozenset[str]
    places: set[str] = field(default_factory=set)
    accepts: bool = False
    accepts_rest: bool = False
    visits: int = 0

    def follow(self, chain: ForeignChain, *, always: bool, depth: int) -> bool:
        """Whether this drops every packet, for certain."""
        self.visits += 1
        if depth > _DEEPEST or self.visits > _MOST_VISITS or chain.name in self.ignored:
            return False
        for rule in chain.rules:
            if self._meet(chain, rule, always=always and rule.always, depth=depth):
                return True
            if rule.always and any(verdict.verb is not Verb.JUMP for verdict in rule.verdicts):
                self.accepts_rest = depth == 0 and _accepts_rest(chain, rule)
                break  # no packet comes further than this rule
        return False

    def _meet(self, chain: ForeignChain, rule: ForeignRule, *, always: bool, depth: int) -> bool:
        for verdict in rule.verdicts:
            match verdict.verb:
                case Verb.DROP:
                    self.places.add(chain.place)
                    if always and not self.accepts:
                        return True
                case Verb.ACCEPT:
                    self.accepts = True
                case Verb.JUMP | Verb.GOTO:
                    if self._enter(verdict.chain, always=always, depth=depth):
                        return True
                case Verb.RETURN:
                    # Of a base chain this means its policy, of another one that some packets skip what follows.
                    self.accepts = self.accepts or depth > 0 or not self.base.drops
        return False

    def _enter(self, name: str, *, always: bool, depth: int) -> bool:
        target = self.chains.get((self.base.family, self.base.table, name))
        return target is not None and self.follow(target, always=always, depth=depth + 1)


def _accepts_rest(base: ForeignChain, last: ForeignRule) -> bool:
    """Whether the rule accepts all that comes to it, and no packet has left for the chain's policy before."""
    verbs = {verdict.verb for rule in base.rules for verdict in rule.verdicts}
    return last.verdicts == (ForeignVerdict(Verb.ACCEPT),) and verbs.isdisjoint((Verb.RETURN, Verb.GOTO))


def chains_named(chains: Sequence[ForeignChain], name: str) -> Iterator[ForeignChain]:
    """The chains of a name, in whatever table."""
    return (chain for chain in chains if chain.name == name)


def jumps_to(chains: Sequence[ForeignChain], target: ForeignChain) -> Iterator[tuple[ForeignChain, ForeignRule]]:
    """The rules of the same table that send packets to a chain, and nowhere else."""
    for chain in chains:
        if (chain.family, chain.table) != (target.family, target.table):
            continue
        for rule in chain.rules:
            if rule.verdicts and all(verdict.chain == target.name for verdict in rule.verdicts):
                yield chain, rule
