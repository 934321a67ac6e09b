"""`corral demo`: the command line around `corral.sandbox.demo`, which has tests of its own."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from corral.cli.app import app


@pytest.mark.parametrize("hosts", ["1", "9", "two"])
def test_the_number_of_hosts_is_checked_before_anything_is_built(hosts: str) -> None:
    ran = CliRunner().invoke(app, ["demo", "--yes", "--hosts", hosts])
    assert ran.exit_code == 2
    assert "--hosts" in ran.output


def test_help_tells_what_it_touches() -> None:
    shown = CliRunner().invoke(app, ["demo", "--help"]).output
    assert "network namespaces" in shown
    assert "--non-interactive" in shown
