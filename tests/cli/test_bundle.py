"""`corral bundle` as an operator runs it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from corral.cli.bundle import write_privately
from corral.errors import UsageError
from tests.kernel.namespaces import Namespace

from .terminal import session


def run(namespace: Namespace, output: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with namespace.entered():
        return subprocess.run(  # noqa: S603
            [sys.executable, "-m", "corral", "bundle", "--agent", "127.0.0.1:1", "--output", str(output), *arguments],
            env={**os.environ, "CORRAL_METADATA_URL": "http://127.0.0.1:1/x"},
            capture_output=True,
            text=True,
            check=False,
        )


async def test_a_bundle_without_an_agent(tmp_path: Path) -> None:
    output = tmp_path / "bundle.tar.gz"
    with Namespace() as namespace:
        ran = await asyncio.to_thread(run, namespace, output)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith(f"{output}: 5 files, ")
        assert "without state.json: no agent answers" in ran.stdout
        with tarfile.open(output) as archive:
            assert "corral-bundle/doctor.json" in archive.getnames()
        again = await asyncio.to_thread(run, namespace, output)
        assert again.returncode == 2
        assert "is there already" in again.stderr
        forced = await asyncio.to_thread(run, namespace, output, "--force", "--anonymous")
        assert forced.returncode == 0
        assert "without doctor.json: left out" in forced.stdout


def test_a_bundle_through_a_pipe(tmp_path: Path) -> None:
    """As from a container, whose file system is read-only."""
    command = [sys.executable, "-m", "corral", "bundle", "--agent", "127.0.0.1:1", "--output", "-"]
    environment = {**os.environ, "CORRAL_METADATA_URL": "http://127.0.0.1:1/x"}
    ran = subprocess.run(["unshare", "--net", *command], env=environment, capture_output=True, check=False)  # noqa: S603, S607
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.startswith(b"-: 5 files, ")
    (tmp_path / "bundle.tar.gz").write_bytes(ran.stdout)
    with tarfile.open(tmp_path / "bundle.tar.gz") as archive:
        assert "corral-bundle/doctor.json" in archive.getnames()


async def test_a_bundle_is_nothing_for_a_terminal() -> None:
    async with session("bundle", "--output", "-", variables={}) as running:
        assert await running.ends() == 2
        assert "standard output is a terminal" in running.printed


def test_a_file_is_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "b.tar.gz"
    write_privately(path, b"one", overwrite=False)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o600)
    with pytest.raises(UsageError, match="is there already"):
        write_privately(path, b"two", overwrite=False)
    path.chmod(0o644)
    write_privately(path, b"two", overwrite=True)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"two", 0o600)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_place_that_can_not_be_written(tmp_path: Path, overwrite: bool) -> None:
    with pytest.raises(UsageError, match="--output"):
        write_privately(tmp_path / "absent" / "b.tar.gz", b"x", overwrite=overwrite)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="--output"):
        write_privately(tmp_path / "folder", b"x", overwrite=overwrite)
    assert list(tmp_path.iterdir()) == [tmp_path / "folder"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """A file that somebody planted in a folder for everybody stays as it is."""
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "b.tar.gz").symlink_to(tmp_path / "victim")
    with pytest.raises(UsageError):
        write_privately(tmp_path / "b.tar.gz", b"x", overwrite=False)
    write_privately(tmp_path / "b.tar.gz", b"x", overwrite=True)
    assert (tmp_path / "victim").read_text() == "precious"
