"""The set whose elements packets make: theirs is no difference, no notification, and no reason to repair anything."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest

from corral.dataplane.kernel import KernelDataplane
from corral.dataplane.messages import IN_TABLE, fields, nftables
from corral.nft.tracker import Tracker, difference
from corral.nft.transaction import AddCounter, Transaction
from corral.nft.values import (
    DYNAMIC_SIZE,
    Chain,
    Count,
    Field,
    Hook,
    Limit,
    LimitEach,
    Log,
    NftRule,
    NftSet,
    Ruleset,
    SetType,
    Verb,
    Verdict,
)
from tests.daemon.running import until
from tests.dataplane.rulesets import DROP, WORKED_EXAMPLE, creation
from tests.kernel.namespaces import Namespace
from tests.kernel.test_changes import generation, watching

LIST = "nft list table inet corral"
CLIENTS = NftSet("denied-clients", SetType.DYNAMIC)
OFTEN = Limit(5, 10)
IP_PKTINFO = 8  # linux/in.h
GET_RULE = 7  # NFT_MSG_GETRULE


def denying(field: Field = Field.SOURCE, timeout: int = 60, each: Limit = OFTEN) -> Ruleset:
    """What leaves over the loopback is logged, for each client as often as `each` says, and dropped."""
    logged = (LimitEach(field, CLIENTS.name, timeout, each), Count("logged"), Log("corral deny sent", 8799, 128))
    deny = NftRule((Count("sent"), Verdict(Verb.GOTO, "denied/sent")))
    return Ruleset(
        counters=frozenset({"logged", "sent"}),
        sets={CLIENTS.name: CLIENTS},
        elements={CLIENTS.name: frozenset()},
        chains={
            "denied/sent": Chain("denied/sent", (NftRule(logged), NftRule((DROP,)))),
            "output": Chain("output", (deny,), Hook("output", 0)),
        },
    )


def send(sources: range, times: int = 1) -> None:
    """Datagrams from addresses of the loopback network; that they are dropped is an error to the sender."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        for number in sources:
            source = (0x7F00_0001 + number).to_bytes(4, "big")
            information = [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=I4s4s", 0, source, bytes(4)))]
            for _ in range(times):
                with pytest.raises(PermissionError):
                    made.sendmsg([b"x"], information, 0, ("127.0.0.1", 9))


async def counts(kernel: KernelDataplane) -> tuple[int, int]:
    """How many packets were sent, and how many of them logged."""
    counters = await kernel.counters()
    return counters["sent"][0], counters["logged"][0]


@pytest.mark.parametrize("field", [Field.SOURCE, Field.CLIENT])
async def test_what_packets_make_is_no_difference_and_nobody_is_told(
    kernel: KernelDataplane, namespace: Namespace, field: Field
) -> None:
    desired = denying(field)
    await kernel.commit(creation(desired))
    before = await generation(kernel)
    async with watching(kernel) as following:
        send(range(500), times=2)
        dump = await kernel.dump()
        assert dump is not None
        assert (dump.ruleset, dump.alien, dump.generation) == (desired, (), before)
        assert not difference(desired, dump.ruleset)
        assert namespace.run(LIST).count("expires") == 500
        namespace.run("nft add counter inet corral theirs")
        assert (await following()).generation == before + 1


async def test_what_expires_is_no_difference_either(kernel: KernelDataplane, namespace: Namespace) -> None:
    desired = denying(timeout=1)
    await kernel.commit(creation(desired))
    before = await generation(kernel)
    async with watching(kernel) as following:
        send(range(20))
        await until(lambda: "expires" not in namespace.run(LIST))
        dump = await kernel.dump()
        assert dump is not None
        assert (dump.ruleset, dump.alien, dump.generation) == (desired, (), before)
        namespace.run("nft add counter inet corral theirs")
        assert (await following()).generation == before + 1


async def test_a_table_with_such_elements_is_adopted_as_it_is(kernel: KernelDataplane, namespace: Namespace) -> None:
    desired = denying()
    await kernel.commit(creation(desired))
    send(range(20))
    dump = await kernel.dump()
    assert dump is not None
    tracker = Tracker(desired)
    tracker.adopt(dump.ruleset)
    assert not tracker.pending()
    assert not tracker.garbage()


async def test_its_listing_loads_again(kernel: KernelDataplane, namespace: Namespace) -> None:
    desired = denying()
    await kernel.commit(creation(desired))
    send(range(20))
    listing = namespace.run(LIST)
    await kernel.delete_table()
    namespace.run("nft -f -", text=listing)
    assert namespace.run(LIST).count("expires") == 20
    dump = await kernel.dump()
    assert dump is not None
    assert (dump.ruleset, dump.alien) == (desired, ())


async def test_one_client_does_not_hide_the_others(kernel: KernelDataplane) -> None:
    await kernel.commit(creation(denying(each=Limit(1, 10))))
    send(range(1), times=1000)
    sent, logged = await counts(kernel)
    assert sent == 1000
    assert 10 <= logged < 20
    send(range(1, 5), times=3)
    assert await counts(kernel) == (1012, logged + 12)


async def test_a_full_set_logs_no_more_clients_and_drops_all_the_same(kernel: KernelDataplane) -> None:
    await kernel.commit(creation(denying()))
    send(range(DYNAMIC_SIZE + 100))
    sent, logged = await counts(kernel)
    assert sent == DYNAMIC_SIZE + 100
    assert logged == DYNAMIC_SIZE


async def test_a_set_with_elements_goes_once_no_rule_asks_for_it(kernel: KernelDataplane) -> None:
    desired = denying()
    await kernel.commit(creation(desired))
    send(range(20))
    silent = {**desired.chains, "denied/sent": Chain("denied/sent", (NftRule((DROP,)),))}
    wanted = Ruleset(desired.counters, chains=silent)
    tracker = Tracker(wanted)
    tracker.adopt(desired)
    while transaction := tracker.pending() or tracker.garbage():
        await kernel.commit(transaction)
        tracker.committed(transaction)
    dump = await kernel.dump()
    assert dump is not None
    assert dump.ruleset == wanted


async def test_commits_meet_such_packets(kernel: KernelDataplane) -> None:
    """Elements come and expire while the set is in use and a transaction changes the table."""
    desired = denying(timeout=1)
    await kernel.commit(creation(desired))
    loop = asyncio.get_running_loop()
    sending = loop.run_in_executor(None, send, range(3000), 3)
    commits = 0
    while not sending.done():
        await kernel.commit(Transaction((AddCounter(f"more-{commits}"),)))
        commits += 1
        await asyncio.sleep(0)
    await sending
    dump = await kernel.dump()
    assert dump is not None
    assert len(dump.ruleset.counters) == commits + 2
    assert dump.alien == ()
    assert (await counts(kernel))[0] == 9000


async def test_the_kernel_keeps_the_same_bytes_of_ours_as_of_nfts(
    kernel: KernelDataplane, namespace: Namespace
) -> None:
    chain = WORKED_EXAMPLE.chains["denied/default-deny"]
    await kernel.commit(creation(WORKED_EXAMPLE))
    ours = await packed_rules(kernel, chain.name)
    listing = namespace.run(LIST)
    await kernel.delete_table()
    namespace.run("nft -f -", text=listing)
    assert await packed_rules(kernel, chain.name) == ours
    assert len(ours) == len(chain.rules)


async def packed_rules(kernel: KernelDataplane, chain: str) -> list[bytes]:
    """The expressions of a chain's rules as the kernel sends them."""
    answers = await kernel._queries.dump(nftables(GET_RULE), IN_TABLE)
    parts = [fields(answer.payload) for answer in answers]
    return [part[4] for part in parts if part[2].rstrip(b"\0") == chain.encode()]
