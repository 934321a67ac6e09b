"""What is printed: text from outside is never markup."""

from __future__ import annotations

import json

import pytest

from corral.cli.output import pairs, say, say_error, say_json

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
