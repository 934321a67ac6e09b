"""What the pages for operators say of the stack, the image and make: held against the files themselves."""

from __future__ import annotations

import re

import pytest
import yaml

from ..test_project import dependencies, locked
from .tool import ROOT

PAGES = ["README.md", *(f"docs/{name}.md" for name in ("installing", "upgrading", "uninstalling"))]
STACK = (ROOT / "docker-compose.yml").read_text()
OWN = {"RANCHER_URL", "RANCHER_ACCESS_KEY", "RANCHER_SECRET_KEY"}  # of rancher-compose itself


def examples(page: str) -> str:
    blocks = re.findall(r"^ *```(?:sh|console)\n(.*?)^ *```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    return "".join(blocks)


@pytest.mark.parametrize("page", PAGES)
def test_what_is_exported_is_what_the_stack_asks_for(page: str) -> None:
    exported = {name for line in re.findall(r"export (.+)", examples(page)) for name in re.findall(r"([A-Z_]+)=", line)}
    assert exported - OWN <= set(re.findall(r"\$\{([A-Z_]+)\}", STACK))


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", examples(page))) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_files_of_the_tree_that_are_installed_are_there(page: str) -> None:
    named = re.findall(r"\b(docker/[\w./-]+)", examples(page))
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_cleaning_up_takes_what_the_agent_has_and_no_more() -> None:
    service = yaml.safe_load(STACK)["services"]["corral"]
    (line,) = re.findall(r"^docker run (.+) cleanup$", examples("docs/uninstalling.md"), re.MULTILINE)
    assert line.split()[:-1] == [
        "--rm",
        "--network",
        service["network_mode"],
        "--cap-drop",
        *service["cap_drop"],
        "--cap-add",
        *service["cap_add"],
    ]


def test_the_first_screen_has_the_installation_and_the_demo() -> None:
    """Forty lines, before anything is explained."""
    first = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    assert [
        word for word in ("make image", "CORRAL_IMAGE", "CORRAL_MODE=audit", "make demo") if word not in first
    ] == []


def test_the_agents_lock_is_the_runtimes_without_what_builds() -> None:
    agent, runtime = locked("requirements-agent.lock"), locked("requirements-runtime.lock")
    assert dependencies() <= agent.keys()
    assert agent.items() < runtime.items()
    assert not {"hatchling", "editables"} & agent.keys()
    assert "://" not in (ROOT / "requirements-agent.lock").read_text()
