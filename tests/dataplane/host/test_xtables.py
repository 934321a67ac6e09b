"""What iptables-legacy keeps, read back from a real kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.dataplane.host.xtables import _ENTRY, _INFO, _TARGET, legacy_chains, parse_table
from corral.nft.foreign import ForeignVerdict
from corral.nft.values import Verb
from tests.dataplane.places import leave_rancher
from tests.kernel.namespaces import Namespace

DROP = ForeignVerdict(Verb.DROP)
THERE = "CATTLE_NETWORK_POLICY"


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        yield created


def test_nothing_is_loaded_by_looking(namespace: Namespace) -> None:
    assert legacy_chains() == ()
    assert namespace.run("cat /proc/net/ip_tables_names") == ""


def test_a_kernel_without_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("corral.dataplane.host.xtables._NAMES", tmp_path / "absent")
    assert legacy_chains() == ()


def test_chains_rules_and_policies(namespace: Namespace) -> None:
    leave_rancher(namespace, "iptables-legacy")
    namespace.run(
        f"iptables-legacy -A FORWARD -g {THERE}",
        "iptables-legacy -A FORWARD -i eth9 -j REJECT",
        "iptables-legacy -A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT",
        "iptables-legacy -A FORWARD -s 192.0.2.1",
        "iptables-legacy -A FORWARD -j DROP",
        "iptables-legacy -P FORWARD DROP",
        "iptables-legacy -N EMPTY",
        "iptables-legacy -t raw -A PREROUTING -s 192.0.2.1 -j DROP",
    )
    chains = {(chain.table, chain.name): chain for chain in legacy_chains()}
    forward = chains["filter", "FORWARD"]
    assert (forward.hook, forward.priority, forward.drops) == ("forward", 0, True)
    assert [rule.verdicts for rule in forward.rules] == [
        (ForeignVerdict(Verb.JUMP, THERE),),
        (ForeignVerdict(Verb.GOTO, THERE),),
        (DROP,),
        (ForeignVerdict(Verb.ACCEPT),),
        (),
        (DROP,),
    ]
    assert [rule.always for rule in forward.rules] == [False, True, False, False, False, True]
    assert [rule.verdicts for rule in chains["filter", THERE].rules] == [(DROP,)]
    assert (chains["filter", THERE].hook, chains["filter", "EMPTY"].rules) == (None, ())
    assert (chains["filter", "INPUT"].drops, chains["filter", "INPUT"].rules) == (False, ())
    assert (chains["raw", "PREROUTING"].priority, len(chains["raw", "PREROUTING"].rules)) == (-300, 1)


@given(st.binary(max_size=600))
def test_anything_can_be_read(packed: bytes) -> None:
    parse_table("filter", _INFO.pack(b"filter", 14, *range(10), 4, len(packed)), packed)


entries = st.builds(
    lambda target_at, size, chain: (
        _ENTRY.pack(b"", 0, target_at, size, 0, 0, 0) + _TARGET.pack(40, b"ERROR" if chain else b"", 0) + b"a chain\0"
    ),
    st.integers(0, 400),
    st.integers(0, 400),
    st.booleans(),
)


@given(st.integers(0, 31), st.lists(st.integers(0, 600), min_size=10, max_size=10), st.lists(entries, max_size=5))
def test_entries_that_point_anywhere_can_be_read(hooks: int, places: list[int], packed: list[bytes]) -> None:
    parse_table("filter", _INFO.pack(b"filter", hooks, *places, 1, 2), b"".join(packed))
