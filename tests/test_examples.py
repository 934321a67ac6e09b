"""What README and docs tell people to type: each `corral …` is a command that there is, with options that it has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main

from corral.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
# Typer brings its own Click, and does not export this.
UsageError: Any = typer.BadParameter.__base__
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
CONSOLE = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(corral(?: [^`]*)?)`")
# What begins another command on the line, or ends the one before.
BOUNDARY = re.compile(r"&&|\|\||[|;]")


def examples(text: str) -> Iterator[str]:
    """The command lines that a page shows, without what a shell makes of the rest of the line."""
    for block in CONSOLE.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        prompts = any(line.startswith("$ ") for line in lines)
        for line in lines:
            if line.startswith("$ ") or not prompts:
                yield from _of_line(line.removeprefix("$ "))
    for span in INLINE.findall(FENCED.sub("", text)):
        yield from _of_line(span.replace("\n", " "))


def _of_line(line: str) -> Iterator[str]:
    for part in BOUNDARY.split(line):
        if re.match(r"\s*(sudo )?corral\b", part):
            yield re.sub(r"\d?[<>]+ *\S+", "", part).strip().removeprefix("sudo ")


def words(example: str) -> list[str]:
    return shlex.split(example, comments=True)[1:]


def parse(arguments: list[str]) -> None:
    """Raises UsageError; nothing is run. Text may name a command, or its options, without what it needs to run."""
    command: Any = typer.main.get_command(app)
    context = typer.Context(command, info_name="corral")
    while isinstance(command, typer.core.TyperGroup):
        if not arguments or arguments[0].startswith("--") or arguments[0].isupper():
            break
        name, *arguments = arguments
        if (found := command.get_command(context, name)) is None:
            raise UsageError(f"no command {name}")
        command = found
    if all(word.startswith("--") for word in arguments):
        known = {option for parameter in command.get_params(context) for option in parameter.opts}
        if unknown := set(arguments) - known:
            raise UsageError(f"no option {', '.join(unknown)}")
    elif not isinstance(command, typer.core.TyperGroup):
        command.make_context(command.name, arguments)


CASES = [(str(page.relative_to(ROOT)), example) for page in PAGES for example in examples(page.read_text())]


@pytest.mark.parametrize(("page", "example"), CASES)
def test_examples_can_be_typed(page: str, example: str) -> None:
    try:
        parse(words(example))
    except UsageError as error:
        pytest.fail(f"{page}: {example}: {error.format_message()}")


def test_examples_are_found() -> None:
    text = "`corral status`\n```sh\ncorral explain a b --port 80/tcp | less   # why\nsudo corral cleanup && true\n```\n"
    text += "```console\n$ corral topology > file\ncorral: output\n```\n"
    assert list(examples(text)) == [
        "corral explain a b --port 80/tcp",
        "corral cleanup",
        "corral topology",
        "corral status",
    ]
    assert len(CASES) > 100


@pytest.mark.parametrize(
    "wrong", ["corral stat", "corral policy plann FILE", "corral explain a", "corral rules --jason", "corral wait a b"]
)
def test_a_wrong_example_is_noticed(wrong: str) -> None:
    with pytest.raises(UsageError):
        parse(words(wrong))


def test_targets_of_make_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"`make ([a-z]+)", page.read_text())}
    assert "demo" in named
    assert named - targets == set()
