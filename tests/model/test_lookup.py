"""Endpoints by the names that people use."""

from __future__ import annotations

import difflib
from difflib import get_close_matches
from typing import Any

import pytest

from corral.model.endpoint import Endpoint
from corral.model.entities import Container, ServiceKey, StackKey
from corral.model.lookup import NEIGHBOURS, Directory, describe, find_endpoints, name_of, names_beginning
from corral.types import Address

A, B, C = (Address.parse(f"10.42.0.{number}") for number in (2, 3, 4))
WEB = ServiceKey("", "front", "web")
CONTAINERS = {
    "u-a": Container(uuid="u-a", name="Front-web-1", service=WEB, stack=StackKey("", "front")),
    "u-b": Container(uuid="u-b", name="front-web-2", service=WEB, stack=StackKey("", "front")),
    "u-c": Container(uuid="u-c", name="lonely"),
}
ENDPOINTS = {
    A: Endpoint(A, ("u-a",), services=frozenset({WEB})),
    B: Endpoint(B, ("u-b",), services=frozenset({WEB})),
    C: Endpoint(C, ("u-c",)),
}


def find(name: str) -> tuple[Address, ...]:
    return find_endpoints(name, ENDPOINTS, CONTAINERS).addresses


def test_an_address_stands_for_itself_even_when_unknown() -> None:
    assert find("10.42.9.9") == (Address.parse("10.42.9.9"),)


def test_names_in_any_case() -> None:
    assert find("FRONT-WEB-1") == (A,)
    assert find("u-c") == (C,)
    assert find("Front/Web") == (A, B)


def test_a_typo_gets_suggestions() -> None:
    found = find_endpoints("front/wev", ENDPOINTS, CONTAINERS)
    assert found.addresses == ()
    assert "front/web" in found.suggestions


def crowd(size: int) -> tuple[dict[Address, Endpoint], dict[str, Container]]:
    containers = {f"u-{n}": Container(uuid=f"u-{n}", name=f"front-web-{n}", service=WEB) for n in range(size)}
    endpoints = {Address(int(A) + n): Endpoint(Address(int(A) + n), (f"u-{n}",)) for n in range(size)}
    return endpoints, containers


@pytest.mark.parametrize("typo", ["front-wev-1234", "rfont-web-1234", "front-web-1234x", "xront-web-1234"])
def test_suggestions_among_many_are_near_and_few_names_are_compared(typo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def counting(word: str, names: list[str], **options: Any) -> list[str]:
        compared.append(len(names))
        return get_close_matches(word, names, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counting)
    assert "front-web-1234" in find_endpoints(typo, *crowd(5000)).suggestions
    assert compared[0] <= 4 * NEIGHBOURS


def test_a_service_of_a_linked_environment() -> None:
    key = ServiceKey("east/dev", "front", "web")
    endpoints = {A: Endpoint(A, ("u-a",), services=frozenset({key})), B: Endpoint(B, ("u-b",))}
    containers = {"u-b": Container(uuid="u-b", service=key)}
    assert find_endpoints("East/Dev/Front/web", endpoints, containers).addresses == (A, B)
    assert not find_endpoints("front/web", endpoints, containers).addresses


def test_descriptions_say_as_much_as_is_known() -> None:
    assert describe(A, ENDPOINTS, CONTAINERS) == "front/web/Front-web-1 (10.42.0.2)"
    assert describe(C, ENDPOINTS, CONTAINERS) == "lonely (10.42.0.4)"
    assert describe(A, ENDPOINTS, {}) == "10.42.0.2"
    assert describe(Address.parse("10.42.9.9"), ENDPOINTS, CONTAINERS) == "10.42.9.9 (no known endpoint)"


def test_what_has_the_name_but_no_endpoint_is_told() -> None:
    stopped = Container(uuid="u-d", name="front-web-3", service=WEB, state="stopped")
    containers = {**CONTAINERS, "u-d": stopped}
    found = find_endpoints("front/web", ENDPOINTS, containers)
    assert (found.addresses, found.absent) == ((A, B), (stopped,))
    for name in ("front-web-3", "u-d"):
        found = find_endpoints(name, ENDPOINTS, containers)
        assert (found.addresses, found.absent, found.suggestions) == ((), (stopped,), ())


def test_a_directory_finds_the_same() -> None:
    shared, gone = ServiceKey("East/Dev", "Front", "web"), ServiceKey("", "front", "job")
    containers = {
        **CONTAINERS,
        "u-d": Container(uuid="u-d", name="front-web-3", service=WEB, state="stopped"),
        "u-e": Container(uuid="u-e", name="LONELY", service=shared),
        "u-f": Container(uuid="u-f", name="", service=gone, state="stopped"),
        "U-G": Container(uuid="U-G", name="u-a"),
    }
    third = Address.parse("10.42.0.5")
    endpoints = {**ENDPOINTS, third: Endpoint(third, ("u-e", "U-G", "u-x"), services=frozenset({gone}))}
    directory = Directory(endpoints, containers)
    names = [*containers, *(each.name for each in containers.values()), *map(str, (A, WEB, shared, gone)), "u-x", "u-g"]
    for name in (*names, "front/wev", "front-web-9", "10.42.9.9", "/", "", "front/web/", "U-A"):
        assert directory.find(name) == find_endpoints(name, endpoints, containers), name


def test_names_without_addresses() -> None:
    assert name_of(A, ENDPOINTS, CONTAINERS) == "front/web/Front-web-1"
    assert name_of(C, ENDPOINTS, CONTAINERS) == "lonely"
    assert name_of(Address.parse("10.42.9.9"), ENDPOINTS, CONTAINERS) == "10.42.9.9"


def test_names_that_begin_so_in_order_and_no_uuids() -> None:
    assert names_beginning("FRONT", ENDPOINTS, CONTAINERS, 10) == ["front-web-1", "front-web-2", "front/web"]
    assert names_beginning("front", ENDPOINTS, CONTAINERS, 1) == ["front-web-1"]
    assert names_beginning("u-", ENDPOINTS, CONTAINERS, 10) == []
