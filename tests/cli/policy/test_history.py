"""Former policies as files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from corral.cli.policy.history import KEPT, History, default_directory
from corral.errors import UsageError
from corral.policy.document import PolicyDocument

NOW = datetime(2026, 11, 23, 2, 35, 15, 123456, tzinfo=UTC)
POLICY = PolicyDocument([{"within": "stack", "action": "allow"}], "deny")


def test_what_is_kept_is_read_back_the_latest_first(tmp_path: Path) -> None:
    history = History(tmp_path / "a" / "b", "n/1")
    first = history.keep(POLICY, NOW)
    second = history.keep(PolicyDocument("no policy \ud800", 7), NOW + timedelta(seconds=1))
    assert [former.path for former in history.formers()] == [second, first]
    assert [former.read() for former in history.formers()] == [PolicyDocument("no policy \ud800", 7), POLICY]
    assert (history.formers()[1].at, history.formers()[1].digest) == (NOW, POLICY.digest)
    assert first.name == f"n%2F1_20261123T023515.123456Z_{POLICY.digest}.json"
    assert (first.stat().st_mode & 0o777, first.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_only_the_last_few_of_each_network_are_kept(tmp_path: Path) -> None:
    other = History(tmp_path, "other")
    other.keep(POLICY, NOW - timedelta(days=1))
    (tmp_path / "notes.txt").write_text("not ours")
    history = History(tmp_path, "n1")
    for number in range(KEPT + 3):
        history.keep(POLICY, NOW + timedelta(seconds=number))
    history.forget_old()
    assert [former.at for former in history.formers()] == [
        NOW + timedelta(seconds=number) for number in reversed(range(3, KEPT + 3))
    ]
    assert len(other.formers()) == 1
    assert len(list(tmp_path.iterdir())) == KEPT + 2


def test_nothing_is_kept_yet(tmp_path: Path) -> None:
    nothing = History(tmp_path / "none", "n1")
    assert nothing.formers() == []
    nothing.forget_old()
    nothing.drop(tmp_path / "none" / "gone")


def test_a_directory_that_can_not_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = History(tmp_path / "file", "n1")
    with pytest.raises(UsageError, match=r"CORRAL_STATE_DIR: the former policy can not be kept in .*file: File exists"):
        blocked.keep(POLICY, NOW)
    with pytest.raises(UsageError, match=r"CORRAL_STATE_DIR: .*file can not be read: Not a directory"):
        blocked.formers()


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    long = History(tmp_path, "n" * 300)
    with pytest.raises(UsageError, match="File name too long"):
        long.keep(POLICY, NOW)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_touched_is_named(tmp_path: Path) -> None:
    history = History(tmp_path, "n1")
    kept = history.keep(POLICY, NOW)
    kept.write_text("{")
    with pytest.raises(UsageError, match=r"json: line 1, column 2: this is no JSON"):
        history.formers()[0].read()
    (former,) = history.formers()
    kept.unlink()
    with pytest.raises(UsageError, match="No such file"):
        former.read()


@pytest.mark.parametrize(
    ("variables", "directory"),
    [
        ({"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/corral"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/h"}, "/h/.local/state/corral"),
        ({"HOME": "/h"}, "/h/.local/state/corral"),
        ({}, "/.local/state/corral"),
    ],
)
def test_where_they_are_kept(variables: dict[str, str], directory: str) -> None:
    assert default_directory(variables) == Path(directory)
