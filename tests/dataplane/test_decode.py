"""Tables that others made: what is ours is read, and each other thing is a sentence."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from corral.dataplane.base import Dump
from corral.dataplane.decode import TableDecoder
from corral.dataplane.elements import pack_addresses, pack_verdicts
from corral.dataplane.kernel import KernelDataplane
from corral.dataplane.messages import attribute
from corral.nft.values import NftSet, Ruleset, SetType
from corral.types import Address
from tests.dataplane.pyroute import ChainMessage, SetMessage, body
from tests.dataplane.rulesets import DROP, WORKED_EXAMPLE, creation, subnet
from tests.kernel.namespaces import Namespace


@pytest.fixture
async def kernel() -> AsyncIterator[KernelDataplane]:
    with Namespace() as namespace, namespace.entered():
        async with KernelDataplane() as opened:
            yield opened


def nft(text: str) -> None:
    with Namespace.here() as namespace:
        namespace.run("nft -f -", text=text)


async def dumped(kernel: KernelDataplane) -> Dump:
    dump = await kernel.dump()
    assert dump is not None
    return dump


@pytest.mark.parametrize(
    ("foreign", "names"),
    [
        ("add rule inet corral check counter accept", "check"),
        ("add rule inet corral check limit rate 1/minute accept", "limit"),
        ("add rule inet corral check limit rate over 1/second accept", "limit"),
        ("add rule inet corral check limit rate 1 kbytes/second accept", "limit"),
        ("add rule inet corral check tcp dport 22 accept", "check"),
        ("add rule inet corral check ct mark 1 accept", "check"),
        ("add rule inet corral check ip saddr != 1.2.3.4 accept", "check"),
        ('add rule inet corral check log prefix "x"', "log"),
        ("add rule inet corral check ip version 4 ct protocol gre accept", "check"),
        ("add set inet corral ports { type inet_service; }", "ports"),
        ("add set inet corral aged { type ipv4_addr; timeout 1h; }", "aged"),
        ("add set inet corral learned { type ipv4_addr; flags dynamic; }", "learned"),
        ("add set inet corral learned { type ipv4_addr; size 65535; flags timeout; }", "learned"),
        ("add set inet corral learned { type ipv4_addr; size 9; flags dynamic,timeout; }", "learned"),
        ("add set inet corral learned { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 1h; }", "learned"),
        (
            "add set inet corral learned { type ipv4_addr; size 65535; flags dynamic,timeout; limit rate 1/second; }",
            "learned",
        ),
        ("add rule inet corral check update @denied-clients { ip saddr limit rate 1/second }", "dynset"),
        ("add rule inet corral check add @denied-clients { ip saddr timeout 1m limit rate 1/second }", "dynset"),
        ("add rule inet corral check update @denied-clients { ip saddr timeout 1m counter }", "counter"),
        ("add rule inet corral check update @denied-clients { ip saddr timeout 1m limit rate 1/minute }", "dynset"),
        ('add rule inet corral check log prefix "x" group 1 snaplen 9 queue-threshold 2', "log"),
        ('add rule inet corral check log prefix "x" group 1', "log"),
        ("add rule inet corral check log group 1 snaplen 9", "log"),
        ("add map inet corral marks { type ipv4_addr : mark; }", "marks"),
        ('add element inet corral system { 9.9.9.9 comment "theirs" }', "9.9.9.9"),
        ("add element inet corral subnets { 9.9.9.1-9.9.9.5 }", "9.9.9.1-9.9.9.5"),
        ("add quota inet corral theirs 1 mbytes", "theirs"),
        ("add chain inet corral nat { type nat hook postrouting priority 100; }", "nat"),
        ("add chain inet corral closed { type filter hook forward priority 0; policy drop; }", "closed"),
        ("add table inet corral { flags dormant; }", "dormant"),
    ],
)
async def test_what_a_ruleset_can_not_hold_is_a_sentence(kernel: KernelDataplane, foreign: str, names: str) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    nft(foreign)
    dump = await dumped(kernel)
    assert dump.ruleset == WORKED_EXAMPLE
    assert any(names in sentence for sentence in dump.alien), dump.alien


async def test_an_anonymous_set_is_a_sentence(kernel: KernelDataplane) -> None:
    await kernel.commit(creation(WORKED_EXAMPLE))
    nft("add rule inet corral check ip saddr { 1.2.3.4, 1.2.3.5 } accept")
    (sentence,) = (await dumped(kernel)).alien
    assert "__set0" in sentence


def test_a_chain_with_flags_is_a_sentence() -> None:
    for flags, aliens in ((0, 0), (1, 0), (4, 1)):  # 4 is NFT_CHAIN_BINDING
        reading = decoder()
        reading.chain(body(ChainMessage(), [("NFTA_CHAIN_NAME", "c"), ("NFTA_CHAIN_FLAGS", flags)]))
        assert len(reading.result()[1]) == aliens


def test_a_flowtable_is_a_sentence() -> None:
    reading = decoder()
    reading.flowtable()
    assert reading.result()[1] == ("a flowtable",)


async def test_what_it_can_hold_is_read_whoever_made_it(kernel: KernelDataplane) -> None:
    nft("""
        table inet corral {
          set theirs { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 255.255.255.255 } }
          chain theirs { ip saddr @theirs drop; ct state established accept; }
        }
        table inet other { chain theirs { drop; }; counter theirs { }; set more { type ipv4_addr; }; }
        table ip corral { chain more { accept; }; counter more { }; set more { type ipv4_addr; }; }
    """)
    dump = await dumped(kernel)
    assert dump.alien == ()
    assert dump.ruleset.sets == {"theirs": NftSet("theirs", SetType.SUBNETS)}
    assert dump.ruleset.elements == {"theirs": {subnet("10.0.0.0/8"), subnet("255.255.255.255/32")}}
    assert [len(chain.rules) for chain in dump.ruleset.chains.values()] == [2]
    assert not dump.ruleset.counters


async def test_an_empty_table_is_an_empty_ruleset(kernel: KernelDataplane) -> None:
    nft("add table inet corral")
    dump = await dumped(kernel)
    assert (dump.ruleset, dump.alien) == (Ruleset(), ())


def decoder() -> TableDecoder:
    made = TableDecoder()
    key = [("NFTA_SET_KEY_TYPE", 7), ("NFTA_SET_KEY_LEN", 4)]
    made.set(body(SetMessage(), [("NFTA_SET_NAME", "set"), *key]))
    verdicts = [("NFTA_SET_FLAGS", 8), ("NFTA_SET_DATA_TYPE", 0xFFFFFF00)]
    made.set(body(SetMessage(), [("NFTA_SET_NAME", "map"), *key, *verdicts]))
    return made


def part(packed: bytes) -> bytes:
    return bytes(4) + attribute(3, packed)


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("set", [*pack_addresses([1]), *pack_addresses([2])]),
        ("map", [*pack_verdicts({Address(1): DROP}), *pack_verdicts({Address(2): DROP})]),
    ],
)
def test_an_element_that_comes_twice_means_that_another_may_be_missing(name: str, packed: list[bytes]) -> None:
    reading = decoder()
    for piece in packed:
        reading.elements(name, part(piece))
    assert not reading.torn
    reading.elements(name, part(packed[0]))
    assert reading.torn
