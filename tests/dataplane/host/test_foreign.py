"""Other people's chains, from nft and from iptables-nft, out of a real kernel."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from corral.dataplane.host.foreign import foreign_chains, foreign_tables
from corral.nft.foreign import ForeignChain, ForeignRule, ForeignVerdict
from corral.nft.values import Verb
from tests.dataplane.places import leave_rancher, load
from tests.kernel.namespaces import Namespace

DROP, ACCEPT = ForeignVerdict(Verb.DROP), ForeignVerdict(Verb.ACCEPT)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        yield created


async def chains_of(table: str) -> dict[str, ForeignChain]:
    return {chain.name: chain for chain in await foreign_chains() if chain.table == table}


def verdicts(chain: ForeignChain) -> list[tuple[ForeignVerdict, ...]]:
    return [rule.verdicts for rule in chain.rules]


@pytest.mark.usefixtures("namespace")
async def test_an_empty_namespace() -> None:
    assert await foreign_chains() == ()
    assert await foreign_tables() == ()


async def test_base_chains_of_all_families(namespace: Namespace) -> None:
    load(
        namespace,
        """
        table ip a {
            chain f { type filter hook forward priority -20; policy drop; }
            chain p { type nat hook postrouting priority 100; }
        }
        table inet b { chain r { type filter hook prerouting priority raw; } }
        table bridge c { chain f { type filter hook forward priority 5; policy drop; } }
        table netdev d { chain i { type filter hook ingress device "lo" priority 0; } }
        table arp e { chain i { type filter hook input priority 0; } }
        table ip6 g { chain o { type filter hook output priority 0; } }
        """,
    )
    found = {(chain.place, chain.hook, chain.priority, chain.drops) for chain in await foreign_chains()}
    assert found == {
        ("ip a f", "forward", -20, True),
        ("ip a p", "postrouting", 100, False),
        ("inet b r", "prerouting", -300, False),
        ("bridge c f", "forward", 5, True),
        ("netdev d i", "ingress", 0, False),
        ("arp e i", "input", 0, False),
        ("ip6 g o", "output", 0, False),
    }
    assert ("bridge", "c") in await foreign_tables()


async def test_verdicts_of_rules_and_maps(namespace: Namespace) -> None:
    load(
        namespace,
        """
        table inet a {
            map m { type ipv4_addr : verdict; elements = { 192.0.2.1 : drop, 192.0.2.2 : goto there }; }
            chain there { reject; }
            chain f {
                counter drop
                tcp dport { 80, 443 } accept
                ip saddr vmap @m
                ct state vmap { established : accept, invalid : drop }
                log prefix "x" jump there
                tcp dport 22 counter
            }
        }
        """,
    )
    chains = await chains_of("a")
    assert verdicts(chains["there"]) == [(DROP,)]
    first, *others = chains["f"].rules
    assert (first.verdicts, first.always) == ((DROP,), True)
    assert [rule.always for rule in others] == [False, False, False, True, False]
    assert verdicts(chains["f"])[1] == (ACCEPT,)
    assert set(verdicts(chains["f"])[2]) == {DROP, ForeignVerdict(Verb.GOTO, "there")}
    assert set(verdicts(chains["f"])[3]) == {DROP, ACCEPT}
    assert verdicts(chains["f"])[4:] == [(ForeignVerdict(Verb.JUMP, "there"),), ()]


STRANGE: dict[str, tuple[ForeignVerdict, ...]] = {
    "meta mark set numgen random mod 8": (),
    "meta mark set jhash ip saddr . ip daddr mod 4": (),
    "fib saddr . iif oif missing drop": (DROP,),
    "quota over 100 mbytes drop": (DROP,),
    "tcp option maxseg size set rt mtu": (),
    "rt nexthop 192.0.2.1 return": (ForeignVerdict(Verb.RETURN),),
    "ct count over 5 drop": (DROP,),
    'osf name "Linux" accept': (ACCEPT,),
    "ip saddr . ip daddr { 192.0.2.1 . 192.0.2.2 } drop": (DROP,),
    "dup to 192.0.2.1": (),
    'meta hour "20:00" drop': (DROP,),
    "ip dscp set cs1": (),
    "sctp chunk data exists drop": (DROP,),
    "@th,16,16 0x50 drop": (DROP,),
}


async def test_expressions_that_nobody_here_knows_are_no_obstacle(namespace: Namespace) -> None:
    load(namespace, "table ip a { chain f { type filter hook forward priority 0; }; }")
    taken = [rule for rule in STRANGE if takes(namespace, f"add rule ip a f {rule}")]
    assert len(taken) >= len(STRANGE) - 1  # kernels before 5.14 know no chunks of SCTP
    chain = (await chains_of("a"))["f"]
    assert verdicts(chain) == [STRANGE[rule] for rule in taken]
    assert not any(rule.always for rule in chain.rules)


def takes(namespace: Namespace, command: str) -> bool:
    """Whether nft and the kernel do."""
    with namespace.entered():
        done = subprocess.run(["nft", "-f", "-"], input=command, capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 0 or "Could not process rule" in done.stderr
    return done.returncode == 0


async def test_a_counter_is_no_condition_and_a_quota_is_one(namespace: Namespace) -> None:
    load(
        namespace,
        """
        table ip a {
            counter seen { }
            quota much { over 1 mbytes }
            chain f {
                counter name "seen" drop
                quota name "much" drop
            }
        }
        """,
    )
    assert [rule.always for rule in (await chains_of("a"))["f"].rules] == [True, False]


async def test_a_dormant_table_is_on_nobodys_way(namespace: Namespace) -> None:
    load(namespace, "table ip a { flags dormant; chain f { type filter hook forward priority 0; policy drop; }; }")
    (chain,) = await foreign_chains()
    assert (chain.name, chain.hook) == ("f", None)


async def test_what_iptables_nft_leaves(namespace: Namespace) -> None:
    leave_rancher(namespace, "iptables-nft")
    namespace.run("iptables-nft -A FORWARD -i eth9 -j REJECT", "iptables-nft -P FORWARD DROP")
    chains = await chains_of("filter")
    assert verdicts(chains["CATTLE_NETWORK_POLICY"]) == [(DROP,)]
    assert verdicts(chains["FORWARD"]) == [(ForeignVerdict(Verb.JUMP, "CATTLE_NETWORK_POLICY"),), (DROP,)]
    assert chains["FORWARD"].drops


async def test_corrals_own_table_is_none_of_them(namespace: Namespace) -> None:
    load(namespace, "table inet corral { chain forward { drop; }; }\ntable ip corral { chain x { }; }")
    assert await foreign_chains() == (ForeignChain("ip", "corral", "x"),)
    assert await foreign_tables() == (("ip", "corral"),)


async def test_more_rules_than_one_answer_holds(namespace: Namespace) -> None:
    rules = "\n".join(f"ip saddr 192.0.{number // 250}.{number % 250} drop" for number in range(3000))
    load(namespace, f"table ip a {{\n chain f {{\n {rules}\n }}\n}}\n")
    chain = (await chains_of("a"))["f"]
    assert len(chain.rules) == 3000
    assert {rule.verdicts for rule in chain.rules} == {(DROP,)}
    assert isinstance(chain.rules[0], ForeignRule)
