"""Policy files as commands read them: every fault is wrong usage, and says of which file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from corral.cli.policy.input import name_of, read_policy, read_text
from corral.errors import UsageError

from ..managed import WITHIN_STACK


def test_a_file_and_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps(WITHIN_STACK))
    monkeypatch.setattr("sys.stdin", io.StringIO(file.read_text()))
    assert read_policy(str(file)) == read_policy("-")
    document, policy = read_policy(str(file))
    assert (document.as_json(), [str(rule) for rule in policy.rules]) == (WITHIN_STACK, ["within stack: allow"])


def test_what_can_not_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none: No such file or directory"):
        read_text(str(tmp_path / "none"))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="binary: this is no text in UTF-8"):
        read_text(str(binary))


def test_what_is_no_policy(tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text('{"policy": [{}, {"within": 1, "action": "deny"}]}')
    with pytest.raises(UsageError) as failed:
        read_policy(str(file))
    assert str(failed.value).startswith(f"{file}: policy[0]: ")
    assert "; policy[1].within: " in str(failed.value)


def test_names() -> None:
    assert (name_of("-"), name_of("x.json")) == ("standard input", "x.json")
