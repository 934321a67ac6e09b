"""Addresses and subnets against the standard library; how values print."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.types import Address, Problem, Subnet

NUMBERS = st.integers(0, 2**32 - 1)
LENGTHS = st.integers(0, 32)


@given(NUMBERS)
def test_address_prints_and_reads_like_the_standard_library(number: int) -> None:
    text = str(ipaddress.IPv4Address(number))
    assert str(Address(number)) == text
    assert repr(Address(number)) == f"Address('{text}')"
    assert Address.parse(text) == number


@pytest.mark.parametrize("text", ["", "10.42.0", "10.42.0.256", "10.42.0.0/16", "::1", "name"])
def test_address_refuses_what_is_none(text: str) -> None:
    with pytest.raises(ipaddress.AddressValueError):
        Address.parse(text)


@given(NUMBERS, LENGTHS, NUMBERS)
def test_subnet_contains_what_the_standard_library_says(number: int, length: int, other: int) -> None:
    network = ipaddress.IPv4Network((number, length), strict=False)
    subnet = Subnet.parse(f"{Address(number)}/{length}")
    assert str(subnet) == str(network)
    assert (subnet.first, subnet.last) == (int(network.network_address), int(network.broadcast_address))
    assert (Address(other) in subnet) == (ipaddress.IPv4Address(other) in network)
    assert subnet.first in subnet
    assert subnet.last in subnet


@pytest.mark.parametrize(
    "text", ["", "10.42.0.0", "10.42.0.0/", "10.42.0.0/33", "10.42.0.0/x", "10.42.0.0/255.255.0.0", "::/64"]
)
def test_subnet_refuses_what_is_none(text: str) -> None:
    with pytest.raises((ipaddress.AddressValueError, ipaddress.NetmaskValueError)):
        Subnet.parse(text)


def test_subnets_sort_by_address_then_length() -> None:
    wide, narrow, far = (Subnet.parse(text) for text in ("10.0.0.0/8", "10.0.0.0/16", "10.42.0.0/16"))
    assert sorted([far, narrow, wide]) == [wide, narrow, far]


def test_problem_says_where_first() -> None:
    assert str(Problem("policy[2].action", "'maybe' given")) == "policy[2].action: 'maybe' given"
