"""The shape of the project: what no compiler checks and every reader relies on."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import corral
from corral.config import CREDENTIAL_FAMILIES, CREDENTIAL_FIELDS, Settings, variable_of

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "corral"
TESTS = ROOT / "tests"
MODULES = sorted(SOURCE.rglob("*.py"))
NOT_OURS = re.compile(r"^(\.git|\.venv|build|dist|node_modules|__pycache__|\.hypothesis|\..*_cache)$")

# Imports each module in a process of its own, forked from one that has only the heavy packages loaded.
IMPORT_EACH_ALONE = """
import importlib, os, sys
import aiohttp.web, pydantic, pyroute2, typer, websockets
for name in sys.argv[1:]:
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {error!r}", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@cache
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the tree with its path from the top."""
    for path in sorted(ROOT.rglob("*")):
        place = path.relative_to(ROOT)
        if path.is_file() and path.suffix != ".png" and not any(NOT_OURS.match(part) for part in place.parts):
            yield place, path.read_text()


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports; `from a import b` gives `a.b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def locked(name: str) -> dict[str, str]:
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {canonicalize_name(package): version for package, version in pins}


def dependencies() -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in pyproject()["project"]["dependencies"]}


def cli_commands() -> dict[str, Any]:
    """Every command by its words; those of a group are `group command`."""
    from corral.cli.app import app

    return dict(_commands_of(typer.main.get_command(app), ""))


def _commands_of(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(command, typer.core.TyperGroup):
        context = typer.Context(command)
        for word in command.list_commands(context):
            yield from _commands_of(command.get_command(context, word), f"{name} {word}".strip())
    else:
        yield name, command


def test_each_module_can_be_imported_alone() -> None:
    names = [module_name(path) for path in MODULES if path.name != "__main__.py"]
    run = subprocess.run(  # noqa: S603
        [sys.executable, "-c", IMPORT_EACH_ALONE, *names], capture_output=True, text=True, check=True
    )
    assert run.stdout == ""


def test_each_module_has_its_test_module() -> None:
    expected = {
        path: TESTS / path.relative_to(SOURCE).with_name(f"test_{path.name}")
        for path in MODULES
        if path.name not in {"__init__.py", "__main__.py"}
    }
    assert [str(path.relative_to(ROOT)) for path, test in expected.items() if not test.is_file()] == []


def test_packages_hold_no_code() -> None:
    """So that what `__init__.py` does needs no test module: it names things, nothing else."""
    allowed = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
    holding = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        if path.name in {"__init__.py", "__main__.py"}
        for node in ast.parse(path.read_text()).body
        if not isinstance(node, allowed)
    ]
    assert holding == []


def test_folders_of_tests_are_packages() -> None:
    """Two test modules of one name need it, and mypy does."""
    folders = {path.parent for path in TESTS.rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_modules_and_functions_stay_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 50
    ]
    long += [str(path.relative_to(ROOT)) for path in MODULES if len(path.read_text().splitlines()) > 400]
    assert long == []


def test_version_is_in_one_place() -> None:
    said = re.compile(rf"(?<![\d.=]){re.escape(corral.__version__)}(?![\d.])")
    elsewhere = [
        str(place)
        for place, text in texts()
        if place.suffix != ".lock" and place.name != "package-lock.json" and said.search(text)
    ]
    assert elsewhere == ["CHANGELOG.md", "src/corral/__init__.py"]
    assert f"## [{corral.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    "forbidden",
    [
        r"index[-]url|find[-]links|\"resolved\": *\"http|registry *= *\"http",
        r"\b(pypi|pythonhosted|debian|docker)\.(org|com)\b|\bdocker\.io[/:]",  # docker.io alone is a Debian package
        r"(^|[^\w.])/(work|farm|root|home)/",
        r"/tmp/[a-z]",  # noqa: S108
    ],
)
def test_files_name_no_registry_and_no_machine(forbidden: str) -> None:
    this = Path(__file__).relative_to(ROOT)
    named = [
        f"{place}: {found[0]}"
        for place, text in texts()
        if place != this and (found := re.search(forbidden, text, re.MULTILINE))
    ]
    assert named == []


def test_tests_neither_sleep_nor_skip() -> None:
    pattern = re.compile(r"\bsleep[(](?!0[)])|pytest[.](mark[.])?(skip|xfail)|import[o]rskip")
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in TESTS.rglob("*.py")
        if (match := pattern.search(path.read_text()))
    ]
    assert found == []


def test_only_sources_and_the_sandbox_use_the_http_client() -> None:
    """The import contracts see packages only, not that `aiohttp.web` is the server."""
    clients = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in MODULES
        if path.relative_to(SOURCE).parts[0] not in {"sources", "sandbox"}
        for name in imports(path)
        if name.split(".")[0] == "aiohttp" and name.split(".")[1:2] not in (["web"], ["typedefs"])
    ]
    assert clients == []


def test_dependencies_are_those_that_are_imported() -> None:
    distributions = packages_distributions()
    tops = {name.split(".")[0] for path in MODULES for name in imports(path)}
    outside = tops - set(sys.stdlib_module_names) - {"corral"}
    assert {canonicalize_name(distributions[top][0]) for top in outside} == dependencies()


def test_pure_rooms_are_kept_from_every_dependency() -> None:
    contracts = {contract["id"]: contract for contract in pyproject()["tool"]["importlinter"]["contracts"]}
    packages = {name.replace("-", "_") for name in dependencies()}
    assert packages - set(contracts["pure"]["forbidden_modules"]) == set()
    assert packages - set(contracts["wire"]["forbidden_modules"]) == {"msgspec", "pydantic"}
    # Of `typing`'s own, pydantic reads no TypedDict before Python 3.12.
    assert packages - set(contracts["documents"]["forbidden_modules"]) == {"typing_extensions"}


def test_locks_pin_what_the_project_asks_for() -> None:
    groups = pyproject()["dependency-groups"]
    wanted = [*pyproject()["project"]["dependencies"], *pyproject()["build-system"]["requires"], *groups["build"]]
    development = [line for line in groups["dev"] if isinstance(line, str)]
    everything, runtime = locked("requirements.lock"), locked("requirements-runtime.lock")
    for pins, lines in ((runtime, wanted), (everything, wanted + development)):
        for requirement in map(Requirement, lines):
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
    assert runtime.items() <= everything.items()


def test_locks_have_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-runtime.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pins = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
        assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_readme_commands_exist_and_ci_runs_them() -> None:
    fenced = "".join(
        re.findall(r"^```(?:sh|console)\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    )
    commands = set(re.findall(r"\bmake ([a-z]+)", fenced))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= commands <= targets
    steps = set(re.findall(r"^step make ([a-z]+)$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    assert {"style", "types", "imports", "test", "demo"} <= steps


def test_settings_are_documented() -> None:
    known = {variable_of(field) for field in Settings.model_fields}
    text = (ROOT / "docs" / "settings.md").read_text()
    assert set(re.findall(r"\bCORRAL_[A-Z_]+[A-Z]\b", text)) == known
    families = {family + field.upper() for family in CREDENTIAL_FAMILIES for field in CREDENTIAL_FIELDS}
    assert {name for name in families if name not in text} == set()


def test_defaults_are_documented() -> None:
    rows = re.findall(
        r"^\| `CORRAL_([A-Z_]+)` \| ([^|]*) \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    given = {name.lower(): re.findall(r"`([^`]*)`", default) for name, default in rows}
    assert "mode" in given
    plain = {name: field.default for name, field in Settings.model_fields.items() if isinstance(field.default, str)}
    assert {name: default for name, default in plain.items() if given.get(name) != [default]} == {}


def test_paths_are_documented() -> None:
    """Those of the health endpoint, both ways; a question's own part follows its path."""
    routes = {
        path
        for module in (SOURCE / "web").glob("*.py")
        for path in re.findall(r"(?:add_get|web\.get)\(\"([^\"]+)\"", module.read_text())
    }
    rows = re.findall(r"^\| (`/.*?) \|", (ROOT / "docs" / "http.md").read_text(), re.MULTILINE)
    documented = {path for row in rows for path in re.findall(r"`([^`?]+)", row) if path.startswith("/")}
    assert {path.replace("/assets/…", "/assets/{name}") for path in documented} == routes


def test_commands_are_documented() -> None:
    commands = cli_commands()
    text = (ROOT / "docs" / "commands.md").read_text()
    assert {name for name in commands if f"`corral {name}" not in text} == set()
    options = {
        option
        for name, command in commands.items()
        if name != "agent"
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
    }
    assert {option for option in options if option not in text} == set()


def test_agent_has_a_flag_for_every_setting_but_the_credentials() -> None:
    flags = {parameter.name for parameter in cli_commands()["agent"].params}
    not_the_agents = {"rancher_url", "rancher_access_key", "rancher_secret_key", "state_dir"}
    assert set(Settings.model_fields) - flags == not_the_agents


def test_links_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))
        for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", page.read_text())
        if "://" not in target and not _leads_somewhere(page, target, anchor)
    ]
    assert broken == []


def _leads_somewhere(page: Path, target: str, anchor: str) -> bool:
    destination = page.parent / target if target else page
    if not destination.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", destination.read_text(), re.MULTILINE) if anchor else []
    slugs = {"#" + re.sub(r"[^\w\s-]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return not anchor or anchor in slugs


def test_docs_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}
    assert {page for page in pages if f"({page})" not in index} == set()
