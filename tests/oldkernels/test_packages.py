"""Which kernels are looked for, and where."""

from __future__ import annotations

import pytest

from tests.oldkernels import packages
from tests.oldkernels.packages import NoKernelError, sources

ARCHIVES = "http://mirror.example/debian/ bookworm\nhttp://mirror.example/security/ bookworm-security\n"


def test_other_releases_are_looked_for_where_this_machine_finds_its_own() -> None:
    lines = sources(ARCHIVES + "http://other.example/ nodistro\n").splitlines()
    signed = f"deb [signed-by={packages.KEYRING}]"
    assert f"{signed} http://mirror.example/debian/ bullseye main" in lines
    assert f"{signed} http://mirror.example/debian/ trixie-backports main" in lines
    assert f"{signed} http://mirror.example/security/ bullseye-security main" in lines
    assert "other.example" not in "".join(lines)


def test_an_archive_that_this_machine_does_not_know_is_not_made_up() -> None:
    assert "-security" not in sources("http://mirror.example/debian/ trixie\n")
    with pytest.raises(NoKernelError, match="no Debian archive"):
        sources("http://other.example/ nodistro\n")


def test_the_newest_of_a_series_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [
        *("linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-56-cloud-amd64", "linux-image-6.1.0-56-amd64"),
        *("linux-image-6.1.0-0.deb11.57-cloud-amd64", "linux-image-6.1.0-60-rt-amd64", "linux-image-6.1-cloud-amd64"),
    ]
    monkeypatch.setattr(packages, "_apt", lambda *_: "\n".join(names))
    assert packages._newest("6.1") == "linux-image-6.1.0-56-cloud-amd64"
    names[:] = ["linux-image-7.3.4+deb13-cloud-amd64", "linux-image-7.3.4+deb13.1-cloud-amd64"]
    assert packages._newest("7.3") == "linux-image-7.3.4+deb13.1-cloud-amd64"
    names.clear()
    with pytest.raises(NoKernelError, match=r"has a kernel 4\.19"):
        packages._newest("4.19")
