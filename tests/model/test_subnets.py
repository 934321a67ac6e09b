from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.model.subnets import Ranges, host_label, names_part_of, overlapped, read_subnets, tidy
from corral.types import Address, Subnet
from tests.model.builders import host, network

LABEL = "io.rancher.network.per_host_subnet.subnet"


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("10.42.0.0/16", "10.42.0.0/16"),
        ("10.42.0.1/16", "10.42.0.0/16"),
        ("10.255.48.1/22", "10.255.48.0/22"),
        (" 10.42.0.0/16 ", "10.42.0.0/16"),
    ],
)
def test_a_plain_subnet(given_text: str, expected: str) -> None:
    reading = read_subnets(network(subnet=given_text), [])
    assert list(map(str, reading.subnets)) == [expected]
    assert not reading.problems


@pytest.mark.parametrize("text", ["10.42.0.0/33", "10.42.0.0", "fd00::/64", "docker0", "10.42/16"])
def test_an_unreadable_subnet(text: str) -> None:
    reading = read_subnets(network(subnet=text), [])
    assert not reading.subnets
    (problem,) = reading.problems
    assert problem.where == "network ipsec (net-managed)"
    assert repr(text) in problem.message


def test_a_host_label_stands_for_the_parts_of_all_hosts() -> None:
    hosts = [
        host("one", labels={LABEL: "10.42.2.1/24"}),
        host("two", labels={LABEL: "10.42.1.0/24"}),
        host("three", labels={LABEL: "nonsense"}),
        host("four"),
    ]
    reading = read_subnets(network(subnet=f"__host_label__: {LABEL}"), hosts)
    assert list(map(str, reading.subnets)) == ["10.42.1.0/24", "10.42.2.0/24"]
    (problem,) = reading.problems
    assert problem.where == "host three (three)"
    assert LABEL in problem.message


def test_a_host_label_that_no_host_carries() -> None:
    reading = read_subnets(network(subnet=f"__host_label__:{LABEL}"), [host("one")])
    assert not reading.subnets
    assert LABEL in reading.problems[0].message


@pytest.mark.parametrize(
    ("labels", "expected"),
    [({LABEL: "10.42.1.1/24"}, True), ({LABEL: "10.42.1.1"}, False), ({LABEL: ""}, False), ({}, False)],
)
def test_whether_a_host_names_its_part(labels: dict[str, str], expected: bool) -> None:
    assert names_part_of(host("one", labels=labels), network(subnet=f"__host_label__: {LABEL}")) is expected
    assert names_part_of(host("one", labels=labels), network())


def test_an_unknown_host_names_no_part() -> None:
    assert not names_part_of(None, network(subnet=f"__host_label__: {LABEL}"))
    assert names_part_of(None, network())


def test_host_labels() -> None:
    assert host_label("__host_label__: a.b") == "a.b"
    assert host_label("docker0") is None


def test_tidy_merges_what_is_contained() -> None:
    texts = ["10.42.4.0/24", "10.42.0.0/16", "10.41.0.0/16", "10.42.0.0/24", "10.42.0.0/16", "10.43.0.0/24"]
    assert list(map(str, tidy(map(Subnet.parse, texts)))) == ["10.41.0.0/16", "10.42.0.0/16", "10.43.0.0/24"]


_subnets = st.builds(
    lambda number, length: Subnet(Address(number >> 32 - length << 32 - length), length),
    st.integers(0, 63).map(lambda low: 0x0A2A0000 + low),
    st.integers(26, 32),
)


@given(st.lists(_subnets), st.integers(-1, 65).map(lambda low: 0x0A2A0000 + low))
def test_tidy_subnets_cover_the_same_addresses_once(subnets: list[Subnet], number: int) -> None:
    tidied = tidy(subnets)
    covering = [subnet for subnet in tidied if number in subnet]
    assert len(covering) == int(any(number in subnet for subnet in subnets))
    assert (number in Ranges(tidied)) is bool(covering)
    assert list(tidied) == sorted(tidied)


@given(st.lists(_subnets), _subnets)
def test_an_overlap_is_found_where_an_address_is_in_both(subnets: list[Subnet], subnet: Subnet) -> None:
    addresses = range(subnet.first, subnet.last + 1)
    other = overlapped(tidy(subnets), subnet)
    assert (other is not None) is any(address in one for one in subnets for address in addresses)
    assert other is None or (other in subnets and any(address in other for address in addresses))
