"""Rule expressions on their way to the kernel: what is refused, and the bytes of one rule as nft sends them."""

from __future__ import annotations

import pytest

from corral.dataplane.expressions import PROTOCOLS, STATES, encode_expressions, kernel_run
from corral.nft.values import (
    Dispatch,
    Equals,
    Expression,
    Field,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    State,
    Verb,
    Verdict,
)


def names(*expressions: Expression) -> list[str]:
    return [part.name for expression in expressions for part in kernel_run(expression)]


def test_the_family_is_said_once_before_the_first_match_of_the_ipv4_header() -> None:
    source, destination = InSet(Field.SOURCE, "a"), InSet(Field.DESTINATION, "a")
    one, two = encode_expressions((source,)), encode_expressions((source, destination))
    assert one.count(b"meta\0") == two.count(b"meta\0") == 1
    assert encode_expressions((InSet(Field.CLIENT, "a"), source)).index(b"meta\0") > 0
    assert b"meta\0" not in encode_expressions((InSet(Field.CLIENT, "a"), InSet(Field.SERVER, "a")))


def test_a_port_is_compared_in_network_order_and_a_range_by_both_ends() -> None:
    assert names(InRange(Field.SERVER_PORT, 80, 80)) == ["ct", "cmp"]
    assert names(InRange(Field.SERVER_PORT, 80, 81)) == ["ct", "cmp", "cmp"]
    assert kernel_run(InRange(Field.SERVER_PORT, 80, 80))[-1].attributes["NFTA_CMP_DATA"] == b"\x00\x50"


def test_an_interface_is_compared_with_all_its_padding() -> None:
    run = kernel_run(Equals(Field.INPUT_INTERFACE, "br0"))
    assert run[-1].attributes["NFTA_CMP_DATA"] == b"br0" + bytes(13)


def test_the_protocol_is_the_flows_not_the_packets() -> None:
    loads = [part for part in kernel_run(Equals(Field.PROTOCOL, "tcp")) if part.name == "ct"]
    assert [part.attributes["NFTA_CT_KEY"] for part in loads] == [0x0A]  # NFT_CT_PROTOCOL


@pytest.mark.parametrize("name", STATES)
def test_states_are_bits_of_the_host(name: str) -> None:
    run = kernel_run(State((name,)))
    assert run[1].attributes["NFTA_BITWISE_MASK"] == STATES[name].to_bytes(4, "little")


@pytest.mark.parametrize(
    "expression",
    [
        InRange(Field.SERVER_PORT, 81, 80),
        InRange(Field.SERVER_PORT, 0, 65536),
        InRange(Field.CLIENT, 1, 2),
        InSet(Field.SERVER_PORT, "ports"),
        Dispatch(Field.PROTOCOL, "protocols"),
        Equals(Field.PROTOCOL, "6"),
        Equals(Field.FAMILY, "inet"),
        Equals(Field.CLIENT, "10.42.0"),
        Equals(Field.INPUT_INTERFACE, ""),
        Equals(Field.INPUT_INTERFACE, "a" * 16),
        Equals(Field.INPUT_INTERFACE, "veth*"),
        State(("untracked", "invalid")),
        State(()),
        State(("open",)),
        Limit(0, 1),
        Limit(1, 0),
        Limit(1, 2**32),
        LimitEach(Field.CLIENT, "a", 0, Limit(1, 1)),
        LimitEach(Field.SERVER_PORT, "a", 1, Limit(1, 1)),
        LimitEach(Field.CLIENT, "a", 1, Limit(1, 0)),
        Log("", 1, 1),
        Log('say "no"', 1, 1),
        Log("two\nlines", 1, 1),
        Log("$variable", 1, 1),
        Log("é", 1, 1),
        Log("x" * 128, 1, 1),
        Log("x", 65536, 1),
        Log("x", -1, 1),
        Log("x", 1, 0),
        Verdict(Verb.GOTO),
        Verdict(Verb.DROP, "chain"),
    ],
)
def test_what_nft_could_not_print_and_read_back_is_refused(expression: Expression) -> None:
    with pytest.raises(ValueError, match=r"."):
        encode_expressions((expression,))


@pytest.mark.parametrize("other", [InSet(Field.SOURCE, "a"), InSet(Field.CLIENT, "a"), Equals(Field.PROTOCOL, "icmp")])
def test_the_family_is_refused_beside_a_match_that_implies_it(other: Expression) -> None:
    with pytest.raises(ValueError, match="says IPv4 already"):
        encode_expressions((Equals(Field.FAMILY, "ipv6"), other))


def test_the_protocols_of_a_policy_have_names() -> None:
    assert {"tcp", "udp", "icmp"} <= PROTOCOLS.keys()
