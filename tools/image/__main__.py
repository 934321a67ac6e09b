"""Builds the image `corral:VERSION`: tools/engine python -m tools.image (DOCKER_HOST is the engine's).

Writes its archive, its bill of materials and the sizes of its parts to build/image. With --again, builds it once more
from a copy of the tree and from nothing that was built before, and compares the layers with those of the archive.
From the environment: BASE_IMAGE and BASE_DIGEST, SOURCE_DATE_EPOCH (else the time of the last commit, or of the files
of a release's source), SOURCE (the address of the sources, for a label).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from .bill import bill_of
from .content import Image
from .parts import costs

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "image"
COPIED = ("LICENSE", "README.md", "docker", "pyproject.toml", "requirements-runtime.lock", "src")
# Where Debian's administrators put what their machines trust besides Debian's own.
TRUSTED = Path("/usr/local/share/ca-certificates")


def main() -> None:
    """Build, save, describe; or build again, and compare."""
    name = f"corral:{version()}"
    if sys.argv[1:] == ["--again"]:
        return build_again(f"{name}-again")
    build(name, ROOT)
    FOLDER.mkdir(parents=True, exist_ok=True)
    archive = archive_of(name)
    save(name, archive)
    image = Image(archive)
    archive.with_suffix(".cdx.json").write_text(bill_of(image))
    table = "\n".join(size_lines(image)) + "\n"
    archive.with_suffix(".sizes.txt").write_text(table)
    print(f"{table}\n{name} is built: {archive.relative_to(ROOT)}; its layers are {' and '.join(image.digests)}")
    return None


def build(name: str, tree: Path, *options: str) -> None:
    """The image of a tree."""
    base, digest = base_image()
    arguments = {
        "BASE_IMAGE": base,
        "BASE_DIGEST": digest,
        "VERSION": version(),
        "REVISION": revision(),
        "CREATED": datetime.fromtimestamp(epoch(), UTC).isoformat(),
        "SOURCE": os.environ.get("SOURCE", ""),
        "SOURCE_DATE_EPOCH": str(epoch()),
        "EXTRA_CERTIFICATES": "".join(path.read_text() for path in sorted(TRUSTED.glob("*.crt"))),
    }
    given = [word for pair in arguments.items() for word in ("--build-arg", "=".join(pair))]
    # The host's network: an engine may have no bridge, and a proxy may listen on loopback.
    command = ["docker", "build", "--quiet", "--network", "host", "--file", str(tree / "docker/Dockerfile")]
    print(f"Building {name} from {base}{digest and '@'}{digest} ...", flush=True)
    run(*command, "--tag", name, *options, *given, str(tree))


def build_again(name: str) -> None:
    """From another place, under another umask, all anew. Ends the program when a layer differs."""
    first = Image(archive_of(f"corral:{version()}"))
    with tempfile.TemporaryDirectory() as folder:
        tree, archive = Path(folder) / "elsewhere", Path(folder) / "again.tar"
        tree.mkdir()
        for part in (*COPIED, ".dockerignore"):
            copy_privately(ROOT / part, tree / part)
        build(name, tree, "--no-cache")
        save(name, archive)
        output("docker", "image", "rm", name)
        second = Image(archive)
        if first.digests != second.digests:
            sys.exit("\n".join(["The layers differ:", *sorted(differences(first, second))]))
    print(f"Built again, the layers are the same: {' and '.join(first.digests)}")


def copy_privately(source: Path, target: Path) -> None:
    """With other times and other modes than git gives."""
    if source.is_dir():
        target.mkdir(parents=True, mode=0o700)
        for path in sorted(source.iterdir(), reverse=True):
            copy_privately(path, target / path.name)
    else:
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)


def differences(first: Image, second: Image) -> Iterator[str]:
    """The files that differ, and in what."""
    for path in first.files.keys() | second.files.keys():
        one, other = first.files.get(path), second.files.get(path)
        if one is None or other is None:
            yield f"{path}: only in the {'second' if one is None else 'first'}"
        elif differing := [
            field.name for field in fields(one) if getattr(one, field.name) != getattr(other, field.name)
        ]:
            yield f"{path}: {', '.join(differing)}"


def save(name: str, archive: Path) -> None:
    """The image as a file that `docker load` takes."""
    run("docker", "save", "--output", str(archive), name)
    archive.chmod(0o644)


def archive_of(name: str) -> Path:
    """Where the archive of an image is."""
    architecture = output("docker", "image", "inspect", "--format", "{{.Architecture}}", name)
    return FOLDER / f"corral-{version()}-{architecture}.tar"


def version() -> str:
    """The one of the package."""
    said = re.search(r'^__version__ = "(.+)"$', (ROOT / "src/corral/__init__.py").read_text(), re.MULTILINE)
    assert said is not None  # noqa: S101 - a test holds it to this form
    return said[1]


def revision() -> str:
    """The commit, and whether the tree differs from it; empty outside of a repository."""
    try:
        commit = output("git", "rev-parse", "HEAD")
    except (subprocess.CalledProcessError, FileNotFoundError):  # no repository, or no git
        return ""
    return f"{commit}-modified" if output("git", "status", "--porcelain") else commit


def epoch() -> int:
    """The time that corral's files get, in seconds."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        return int(given or output("git", "log", "-1", "--format=%ct"))
    except (subprocess.CalledProcessError, FileNotFoundError):
        return int((ROOT / "pyproject.toml").stat().st_mtime)  # which a release's source has from the commit


def base_image() -> tuple[str, str]:
    """Name and digest: as given, else what the Dockerfile names, else, without a registry, one by debootstrap."""
    given, digest = os.environ.get("BASE_IMAGE"), os.environ.get("BASE_DIGEST", "")
    named = re.search(r"^ARG BASE_IMAGE=(.+)$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)
    assert named is not None  # noqa: S101 - a test holds it to this form
    if given or digest:
        return given or named[1], digest
    try:
        output("docker", "pull", "--quiet", named[1])
    except subprocess.CalledProcessError as error:
        print(f"No {named[1]} here ({error.stderr.strip().splitlines()[-1]}): using a base by debootstrap")
        return output("docker/base"), ""
    found = output("docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", named[1])
    return named[1], found.rpartition("@")[2]


def size_lines(image: Image) -> Iterator[str]:
    """A table of what each part costs, the largest first."""
    parts = costs(image)
    for part, size in sorted(parts.items(), key=lambda item: -item[1]):
        yield f"{size / 1e6:8.2f} MB  {part}"
    yield f"{sum(parts.values()) / 1e6:8.2f} MB  in all; {image.compressed / 1e6:.1f} MB to pull"


def output(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


def run(*command: str) -> None:
    """A command that has nothing to say but errors. Ends the program when it fails."""
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.DEVNULL)  # noqa: S603
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:2])} failed")


if __name__ == "__main__":
    main()
