"""What is printed: text from outside is never markup."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout

import pytest

from corral.cli.output import columns, console, on_terminal, pairs, say, say_error, say_json

EVIL = "[red]x[/red] [link=http://example.com]y[/link]"


def test_markup_from_outside_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    say(EVIL, "green")
    pairs([("label", EVIL)])
    assert capsys.readouterr().out.count(EVIL) == 2


def test_long_lines_are_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    say("x" * 500)
    assert capsys.readouterr().out == "x" * 500 + "\n"


def test_json_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": "ü", "text": EVIL})
    assert json.loads(capsys.readouterr().out) == {"name": "ü", "text": EVIL}


@pytest.mark.parametrize(
    "text", ["a\nALLOW  b", "\x1b[31m", "\x9b31m", "\r", "\u2028", "\u202e", "\ud800", ":warning:"]
)
def test_names_from_outside_stay_on_their_line_and_tell_the_terminal_nothing(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    say(text)
    pairs([("name", text)])
    say_error(text)
    printed = capsys.readouterr()
    for line in (*printed.out.split("\n")[:-1], *printed.err.split("\n")[:-1]):
        assert line.isprintable()
        assert repr(text)[1:-1] in line
    assert (printed.out.count("\n"), printed.err.count("\n")) == (2, 1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One without colours."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console.cache_clear()
    yield
    console.cache_clear()


def shown(tell: Callable[[], None], screen: io.StringIO) -> str:
    console.cache_clear()
    with redirect_stdout(screen):
        tell()
    return screen.getvalue()


@pytest.mark.parametrize("text", ["a\nALLOW  b", "\x1b[31m", "\u202e", "[red]x", ":warning:", "x" * 500])
def test_a_terminal_is_told_the_same_as_a_pipe(text: str) -> None:
    def tell() -> None:
        say(text, "green")
        pairs([("a", text)])
        columns(("A", "B"), [(text, (text, "red"))])

    assert shown(tell, Terminal()) == shown(tell, io.StringIO())


def test_who_looks_is_known() -> None:
    assert shown(lambda: say(str(on_terminal())), Terminal()) == "True\n"
    assert shown(lambda: say(str(on_terminal())), io.StringIO()) == "False\n"


def test_colours_are_for_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert shown(lambda: say("good", "green"), Terminal()) == "\x1b[32mgood\x1b[0m\n"
    assert shown(lambda: say("good", "green"), io.StringIO()) == "good\n"
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(lambda: say("good", "green"), Terminal()) == "good\n"


def test_a_pipe_gets_colours_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert shown(lambda: say("good", "green"), io.StringIO()) == "\x1b[32mgood\x1b[0m\n"


def test_columns_are_aligned_and_numbers_flush_right(capsys: pytest.CaptureFixture[str]) -> None:
    columns(("NAME", "HITS", "WHY"), [("a", "5", ("x", "red")), ("日本", "1000", "")], indent="  ")
    assert capsys.readouterr().out.splitlines() == ["  NAME  HITS  WHY", "  a        5  x", "  日本  1000  "]


def test_columns_without_rows_are_their_heads(capsys: pytest.CaptureFixture[str]) -> None:
    columns(("NAME", "HITS"), [])
    assert capsys.readouterr().out == "NAME  HITS\n"


@pytest.mark.parametrize("text", ["\x1b[31m", "\x7f", "\u2028", "\u202e", "\ud800", "\U000e0001", "a\nb"])
def test_json_tells_the_terminal_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"name": text})
    printed = capsys.readouterr().out
    assert printed.replace("\n", "").isprintable()
    assert json.loads(printed) == {"name": text}


def test_columns_are_neither_cut_nor_broken_whatever_the_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    pairs([("host", "h" * 300), ("policy[0]", "p")])
    assert capsys.readouterr().out.splitlines() == [f"host       {'h' * 300}", "policy[0]  p"]
