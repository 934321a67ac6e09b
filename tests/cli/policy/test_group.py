"""The group of policy commands."""

from __future__ import annotations

from ..test_app import corral


def test_it_lists_its_commands() -> None:
    shown = corral("policy")
    for command in ("show", "validate", "plan", "apply", "rollback", "test"):
        assert f" {command} " in shown.stdout


def test_a_wrong_one_is_a_usage_error() -> None:
    ran = corral("policy", "aply")
    assert (ran.returncode, "aply" in ran.stderr) == (2, True)
