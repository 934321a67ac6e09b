"""The catalog's entry: in the layout that catalogs read, with questions that agree with the settings."""

from __future__ import annotations

import re
from itertools import product
from typing import Any, get_args
from xml.etree import ElementTree

import pytest

from corral.config import Mode, Settings, load_settings, variable_of

from .rendering import COMPOSE, ENTRY, RANCHER, VERSIONS, Json, interpolated, load, references

FILLED_IN = {"IMAGE": "registry.example/ops/corral:1.2.3", "VERSION": "1.2.3"}


def compose() -> Json:
    return load(VERSIONS[-1] / "docker-compose.yml", **FILLED_IN)


def rancher() -> Json:
    return load(VERSIONS[-1] / "rancher-compose.yml", **FILLED_IN)


def questions() -> dict[str, Json]:
    return {question["variable"]: question for question in rancher()[".catalog"]["questions"]}


def answers() -> dict[str, str]:
    return {name: question["default"] for name, question in questions().items()}


def allowed_of(variable: str) -> list[str] | None:
    """All the values of a setting, if they can be counted."""
    kind: Any = Settings.model_fields[variable.removeprefix("CORRAL_").lower()].annotation
    if kind is Mode:
        return [str(value) for value in Mode]
    return list(get_args(kind)) or None


def test_a_catalog_finds_all_that_it_shows() -> None:
    assert VERSIONS
    assert all(path.name.isdecimal() for path in VERSIONS)
    config = load(ENTRY / "config.yml", **FILLED_IN)
    assert config["version"] == rancher()[".catalog"]["version"] == "1.2.3"  # by which the version on offer is found
    assert config["name"] == rancher()[".catalog"]["name"] == "corral"
    assert config["description"] == rancher()[".catalog"]["description"]
    assert config["license"] == "Apache-2.0"
    assert config["labels"] == {"io.rancher.orchestration.supported": "cattle"}
    (icon,) = ENTRY.glob("catalogIcon-corral.*")
    assert ElementTree.fromstring(icon.read_text()).tag.endswith("svg")  # noqa: S314 - our own


def test_nothing_is_left_to_fill_in() -> None:
    for path in ENTRY.rglob("*.yml"):
        assert set(re.findall(r"@(\w+)@", path.read_text())) <= set(FILLED_IN)


def test_the_service_is_the_stacks() -> None:
    here, there = compose(), load(COMPOSE)
    assert here["services"]["corral"].pop("image") == FILLED_IN["IMAGE"]
    assert there["services"]["corral"].pop("image") == "${CORRAL_IMAGE}"
    assert here == there


def test_what_rancher_does_with_it_is_the_stacks() -> None:
    here = rancher()
    del here[".catalog"]
    assert here == load(RANCHER)


def test_each_question_is_used_and_each_variable_asked_for() -> None:
    assert references(compose()) | references(rancher()["services"]) == set(questions())
    asked = {"CORRAL_MODE", "CORRAL_UNKNOWN_ENDPOINTS", "CORRAL_ON_STALE", "CORRAL_STALE_AFTER", "CORRAL_LOG_LEVEL"}
    assert set(questions()) == asked <= {variable_of(field) for field in Settings.model_fields}


def test_the_defaults_are_the_agents() -> None:
    given = interpolated(compose()["services"]["corral"]["environment"], answers())
    without = {name: value for name, value in given.items() if name not in questions()}
    assert load_settings(given) == load_settings(without)
    assert all(answers().values())
    assert {type(default) for default in answers().values()} == {str}


def test_what_can_be_chosen_is_all_that_the_agent_takes() -> None:
    """`off` in quotes: without them it is YAML's word for false."""
    for name, question in questions().items():
        allowed = allowed_of(name)
        assert question["required"] is True
        assert all(question[key] for key in ("label", "description"))
        assert (question["type"], question.get("options")) == ("enum" if allowed else "string", allowed)
    assert allowed_of("CORRAL_MODE") == ["enforce", "audit", "off"]
    assert allowed_of("CORRAL_ON_STALE") == ["keep", "open"]


@pytest.mark.parametrize("chosen", [*product(("enforce", "audit", "off"), ("default", "allow"), ("keep", "open"))])
def test_every_choice_starts_an_agent(chosen: tuple[str, str, str]) -> None:
    names = ("CORRAL_MODE", "CORRAL_UNKNOWN_ENDPOINTS", "CORRAL_ON_STALE")
    told = {**answers(), **dict(zip(names, chosen, strict=True)), "CORRAL_STALE_AFTER": "90s"}
    settings = load_settings(interpolated(compose()["services"]["corral"]["environment"], told))
    assert (settings.mode, settings.unknown_endpoints, settings.on_stale) == chosen
    assert settings.stale_after.total_seconds() == 90


def test_the_entrys_page_names_every_question() -> None:
    page = (VERSIONS[-1] / "README.md").read_text()
    for name, question in questions().items():
        assert f"| {question['label']} | `{name}` |" in page


def test_words_of_the_question_of_modes() -> None:
    """Whoever launches it reads this first."""
    for mode in questions()["CORRAL_MODE"]["options"]:
        assert f"{mode} " in questions()["CORRAL_MODE"]["description"]
