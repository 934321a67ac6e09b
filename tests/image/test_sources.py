"""What the image is made from, without an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

import corral
from tools.image.bill import wheel_hashes, wheels
from tools.image.wheels import GLIBC, MACHINES

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements-runtime.lock").read_text()
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
IGNORED = (ROOT / ".dockerignore").read_text().splitlines()


def locked() -> dict[tuple[str, str], set[str]]:
    """The hashes of each package and version that is for Linux."""
    found = {}
    for pin in re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]:
        requirement = Requirement(pin.partition("\\")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate({"sys_platform": "linux"}):
            version = str(requirement.specifier).removeprefix("==")
            found[str(canonicalize_name(requirement.name)), version] = set(re.findall(r"sha256:(\w+)", pin))
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_every_package_has_a_wheel_for_each_kind_of_machine(machine: str) -> None:
    """Without it, `make lock` was not run after the lock was changed by hand."""
    assert wheel_hashes(machine).keys() == locked().keys()


def test_the_lock_has_the_hash_of_every_wheel() -> None:
    found, pins = list(wheels()), locked()
    for digest, name in found:
        package, version, _, _ = parse_wheel_filename(name)
        assert digest in pins[str(package), str(version)], name
    machines = {tag.platform.rpartition("_")[2] for _, name in found for tag in parse_wheel_filename(name)[3]}
    assert {"any", *(machine.rpartition("_")[2] for machine in MACHINES)} <= machines


def test_every_wheel_goes_with_the_base() -> None:
    """CPython of its version, or the stable ABI, or none; and no newer C library."""
    for _, name in wheels():
        tags = parse_wheel_filename(name)[3]
        assert {tag.interpreter for tag in tags} & {"cp311", "py3"}, name
        libraries = [int(match[1]) for tag in tags if (match := re.match(r"manylinux_2_(\d+)_", tag.platform))]
        assert min(libraries, default=0) <= GLIBC, name


def test_the_base_can_be_given_and_names_no_registry() -> None:
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == [
        "${BASE_IMAGE}${BASE_DIGEST:+@${BASE_DIGEST}}",
        "scratch",
    ]
    (base,) = re.findall(r"^ARG BASE_IMAGE=(.+)$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"[a-z]+:[a-z-]+", base), "neither a registry nor a digest is invented"
    assert "ARG BASE_DIGEST=\n" in DOCKERFILE


def test_what_is_built_does_not_depend_on_the_kind_of_machine() -> None:
    for path in (ROOT / "docker" / "Dockerfile", ROOT / "docker" / "rootfs.py"):
        assert re.findall(r"x86|amd64|aarch64|arm64|linux-gnu", path.read_text()) == []


def test_no_version_is_in_the_dockerfile() -> None:
    assert corral.__version__ not in DOCKERFILE
    assert "ARG VERSION\n" in DOCKERFILE
    assert re.fullmatch(r"\d+\.\d+\.\d+", corral.__version__), "as `make image` reads it"


def test_nothing_is_fetched_unpinned() -> None:
    (download,) = re.findall(r"pip download [^&]+", DOCKERFILE)
    assert "--require-hashes" in download
    assert "--only-binary :all:" in download
    others = [line for line in DOCKERFILE.splitlines() if re.search(r"pip (install|wheel) ", line)]
    assert len(others) == 3
    assert [line for line in others if "--no-index" not in line] == []
    assert re.findall(r"\b(curl|wget|ADD|git clone)\b", DOCKERFILE) == []


def test_certificates_of_the_builder_stay_in_the_build_stage() -> None:
    build, _, runtime = DOCKERFILE.partition("FROM scratch")
    assert "EXTRA_CERTIFICATES" in build
    assert "EXTRA_CERTIFICATES" not in runtime


def test_privileges() -> None:
    runtime = DOCKERFILE.partition("FROM scratch")[2]
    assert re.findall(r"^USER (.*)$", runtime, re.MULTILINE) == ["65532:0"]
    assert re.findall(r"^STOPSIGNAL (.*)$", runtime, re.MULTILINE) == ["SIGTERM"]
    assert re.findall(r"^(?:SHELL|RUN|ADD|EXPOSE|VOLUME)\b.*$", runtime, re.MULTILINE) == []


def test_only_what_is_named_goes_to_the_engine() -> None:
    """Neither .git nor build, nor a file with a secret that somebody left here."""
    rules = [line for line in IGNORED if line and not line.startswith("#")]
    assert rules[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    assert {word for line in copied for word in line.split()} == {line[1:] for line in rules if line.startswith("!")}


def test_the_source_of_a_release_says_its_time_without_git(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    (tmp_path / "pyproject.toml").touch()
    os.utime(tmp_path / "pyproject.toml", (1_700_000_000, 1_700_000_000))
    told = subprocess.run(
        [sys.executable, "-c", "from tools.image.__main__ import *; print(epoch(), repr(revision()))"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert told.stdout == "1700000000 ''\n"
