from __future__ import annotations

import pytest

from corral.model.entities import OWN_ENVIRONMENT, Environment
from corral.model.environments import Environments

ENVIRONMENTS = Environments(
    Environment(name="Main", region="West"),
    {
        "west/dev": Environment(name="dev", region="west"),
        "east/dev": Environment(name="Dev", region="east"),
        "east/qa": Environment(name="qa", region="east"),
        "north/ci": Environment(name="ci", region="north"),
        "south/ci": Environment(name="ci", region="south"),
    },
)


@pytest.mark.parametrize(
    ("name", "region", "home", "expected"),
    [
        ("main", "", OWN_ENVIRONMENT, OWN_ENVIRONMENT),
        ("MAIN", "west", OWN_ENVIRONMENT, OWN_ENVIRONMENT),
        ("main", "east", OWN_ENVIRONMENT, None),
        ("main", "", "east/dev", OWN_ENVIRONMENT),
        ("dev", "", OWN_ENVIRONMENT, "west/dev"),
        ("dev", "", "east/qa", "east/dev"),
        ("dev", "EAST", OWN_ENVIRONMENT, "east/dev"),
        ("qa", "", OWN_ENVIRONMENT, "east/qa"),
        ("ci", "", OWN_ENVIRONMENT, None),
        ("ci", "south", OWN_ENVIRONMENT, "south/ci"),
        ("unknown", "", OWN_ENVIRONMENT, None),
        ("", "", OWN_ENVIRONMENT, None),
        ("dev", "", "unknown", None),
    ],
)
def test_find(name: str, region: str, home: str, expected: str | None) -> None:
    assert ENVIRONMENTS.find(name, region, home) == expected


def test_a_nameless_environment_is_never_found() -> None:
    assert Environments(Environment(name=""), {}).find("", "", OWN_ENVIRONMENT) is None


def test_without_regions() -> None:
    environments = Environments(Environment(name="main"), {"dev": Environment(name="dev")})
    assert environments.find("dev", "", OWN_ENVIRONMENT) == "dev"
    assert environments.find("dev", "west", OWN_ENVIRONMENT) is None


def test_names_for_messages() -> None:
    assert ENVIRONMENTS.names == "West/Main, east/Dev, east/qa, north/ci, south/ci, west/dev"
    assert Environments(Environment(name=""), {}).names == "none"


def test_of_many_names_the_first_are_listed() -> None:
    many = {f"e{number:02}": Environment(name=f"e{number:02}") for number in range(12)}
    assert Environments(Environment(name=""), many).names.endswith("e08, e09, 2 more")
