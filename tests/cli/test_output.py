"""What is printed: text from outside is never markup."""

from __future__ import annotations

import json

import pytest

from corral.cli.output import pairs, say, say_json

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
