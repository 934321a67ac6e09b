"""Makes what is released, in dist: `tools/release.py check|packages|catalog|release`; CONTRIBUTING.md says how.

Everything is made of what git has of this tree. The Python packages are built twice, in two places and under two
umasks, and have to be equal byte for byte.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = "src/corral/web/dist"  # built by `make page`; git does not have it
BY_HAND = ("corral.service", "corral-table.service", "corral.env", "corral-modules.conf", "corral-sysctl.conf")
CATALOG = "docker/catalog"
LOCK = "requirements-agent.lock"
SUMS, NOTES = "SHA256SUMS", "NOTES.md"
UPGRADING = "Upgrading"
_HEADING = re.compile(r"^## \[([^\]]+)\](.*)$", re.MULTILINE)
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class RefusedError(Exception):
    """Why there is no release: what is wrong, and what to do."""


@dataclass(frozen=True)
class Section:
    """What the changelog says of one version."""

    version: str
    day: str
    body: str

    def part(self, name: str) -> str:
        """The text of one `###` part, without its heading; empty when there is none."""
        found = re.search(rf"^### {name}\n(.*?)(?=^### |\Z)", self.body, re.MULTILINE | re.DOTALL)
        return found[1].strip() if found else ""

    @property
    def says_something(self) -> bool:
        return any(line.strip() and not line.startswith("#") for line in self.body.splitlines())


def sections_of(changelog: str) -> list[Section]:
    """The sections, newest first."""
    found = list(_HEADING.finditer(changelog))
    ends = [*(match.start() for match in found[1:]), len(changelog)]
    return [
        Section(match[1], match[2].removeprefix(" - ").strip(), changelog[match.end() : end].strip())
        for match, end in zip(found, ends, strict=True)
    ]


def check_changelog(version: str, changelog: str) -> Section:
    """The section of this version. Raises RefusedError where the changelog does not describe it as the next release."""
    sections = sections_of(changelog)
    if not sections or sections[0].version != "Unreleased":
        raise RefusedError("CHANGELOG.md: the first section has to be [Unreleased]")
    if sections[0].says_something:
        raise RefusedError(
            f"CHANGELOG.md: [Unreleased] is not empty: its lines belong into [{version}], or to a later release"
        )
    described = [section for section in sections if section.version == version]
    if not described:
        raise RefusedError(f"CHANGELOG.md: no section ## [{version}] - YYYY-MM-DD")
    ours = described[0]
    _check_order(ours, sections[1:])
    if not ours.says_something:
        raise RefusedError(f"CHANGELOG.md: the section of {version} says nothing")
    if version.endswith(".0") and not ours.part(UPGRADING):
        raise RefusedError(f"CHANGELOG.md: {version} needs a part ### {UPGRADING}, even if it asks for nothing")
    return ours


def _check_order(ours: Section, released: Sequence[Section]) -> None:
    keys = [(_numbers(section.version), _day(section)) for section in released]
    if released[0] != ours:
        newest = released[0].version
        raise RefusedError(
            f"src/corral/__init__.py: version {ours.version} is not greater than {newest}, released before"
        )
    for (newer, day), (older, day_before), section in zip(keys, keys[1:], released[1:], strict=False):
        if newer <= older:
            raise RefusedError(
                f"CHANGELOG.md: {'.'.join(map(str, newer))} comes after {section.version}, and is not greater"
            )
        if day < day_before:
            raise RefusedError(
                f"CHANGELOG.md: {section.version} is dated {day_before}, after the version that follows it"
            )


def _numbers(version: str) -> tuple[int, ...]:
    found = _VERSION.fullmatch(version)
    if not found:
        raise RefusedError(f"version {version!r}: three numbers with dots are allowed, such as 1.2.0")
    return tuple(map(int, found.groups()))


def _day(section: Section) -> date:
    try:
        return date.fromisoformat(section.day)
    except ValueError:
        given = section.day or "no date"
        raise RefusedError(
            f"CHANGELOG.md: {section.version} has {given!r}: ## [{section.version}] - YYYY-MM-DD"
        ) from None


def notes_of(section: Section) -> str:
    """What goes with the release: the section, what operators have to do first; links into the tree as paths."""
    upgrading = section.part(UPGRADING)
    rest = re.sub(rf"^### {UPGRADING}\n.*?(?=^### |\Z)", "", section.body, flags=re.MULTILINE | re.DOTALL)
    first = f"## {UPGRADING}\n\n{upgrading}\n\n" if upgrading else ""
    notes = f"# corral {section.version}\n\n{section.day}\n\n{first}{rest.strip().replace('### ', '## ')}\n"
    return re.sub(r"\[([^\]]+)\]\((?!\w+:)([^)]+)\)", r"\1 (`\2`)", notes)


class Tree:
    """A checkout, and what git says of it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def version(self) -> str:
        """The one place where it is."""
        said = re.search(r'^__version__ = "([^"]+)"$', (self.root / "src/corral/__init__.py").read_text(), re.MULTILINE)
        if not said:
            raise RefusedError("src/corral/__init__.py: no __version__")
        return said[1]

    @property
    def changelog(self) -> str:
        return (self.root / "CHANGELOG.md").read_text()

    @property
    def commit_time(self) -> str:
        """Of the last commit, in seconds: the time of everything that is built."""
        return self._git("log", "-1", "--format=%ct").strip()

    def check(self) -> Section:
        """The changelog's section of this release. Raises RefusedError."""
        _numbers(self.version)
        changed = self._git("status", "--porcelain").splitlines()
        if changed:
            listed = ", ".join(line[3:] for line in changed[:5])
            raise RefusedError(
                f"the tree has changes that are not committed: {listed}{', …' if len(changed) > 5 else ''}"
            )
        return check_changelog(self.version, self.changelog)

    def export(self, target: Path) -> None:
        """Copy what git has, or would have, and the page."""
        names = self._git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
        for name in filter(None, names):
            if (self.root / name).is_file():  # else deleted, and not committed yet
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(self.root / name, target / name)
        if not (self.root / PAGE / "index.html").is_file():
            raise RefusedError(f"{PAGE} is missing: make page")
        shutil.copytree(self.root / PAGE, target / PAGE)

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.root), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode != 0:
            raise RefusedError(f"this takes a checkout of git: {done.stderr.strip()}")
        return done.stdout


def make_packages(tree: Tree, target: Path) -> None:
    """What installing by hand takes: wheel, source, requirements, units. Raises RefusedError when two builds differ."""
    with tempfile.TemporaryDirectory() as place:
        once, again = (Path(place, name) for name in ("once", "somewhere/else/again"))
        built = build(tree, once, 0o022)
        if digests(built) != digests(build(tree, again, 0o077)):
            raise RefusedError("two builds of the same tree differ: something in them depends on the place or the time")
        for path in [*built, once / LOCK, *(once / "docker/systemd" / name for name in BY_HAND)]:
            shutil.copyfile(path, target / path.name)


def build(tree: Tree, place: Path, umask: int) -> list[Path]:
    """Wheel and source of an export of the tree in `place`."""
    place.mkdir(parents=True)
    tree.export(place)
    built = place.with_name(f"{place.name}-built")  # beside the export: the source would take in what lies there
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(built)],
        cwd=place,
        env={**os.environ, "SOURCE_DATE_EPOCH": tree.commit_time},
        umask=umask,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return sorted(built.iterdir())


def pack(folder: Path, archive: Path, epoch: int) -> None:
    """A tar.gz that is the same for the same files."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = tarfile.TarInfo(str(path.relative_to(folder.parent)))
            entry.size, entry.mtime, entry.mode = path.stat().st_size, epoch, 0o644
            tar.addfile(entry, BytesIO(path.read_bytes()))
    archive.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


def digests(files: Iterable[Path]) -> dict[str, str]:
    """SHA-256 by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def write_sums(target: Path) -> None:
    """SHA256SUMS of all files there, as sha256sum reads it."""
    sums = digests(sorted(path for path in target.iterdir() if path.name != SUMS))
    (target / SUMS).write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))


def make_catalog(tree: Tree, image: str, target: Path) -> None:
    """Rancher's catalog with corral as its one entry; `image` is the image's name without the version.

    The server keeps each version by the number of its folder, so that a version has the same one for ever: as many as
    the changelog has before it.
    """
    template = tree.root / CATALOG
    released = [section.version for section in reversed(sections_of(tree.changelog))]
    number = str(released.index(tree.version)) if tree.version in released else str(len(released) - 1)
    for path in sorted(path for path in template.glob("*/**/*") if path.is_file()):  # not its own README.md
        place = [number if part == "0" else part for part in path.relative_to(template).parts]
        to = target.joinpath(*place)
        to.parent.mkdir(parents=True, exist_ok=True)
        text = path.read_text()
        to.write_text(text.replace("@IMAGE@", f"{image}:{tree.version}").replace("@VERSION@", tree.version))


def make_release(tree: Tree, image: str, images: Path, target: Path) -> None:
    """All of it. Raises RefusedError before anything is made."""
    section = tree.check()
    built = sorted(images.glob(f"corral-{tree.version}-*")) if images.is_dir() else []
    if not any(path.suffix == ".tar" for path in built):
        raise RefusedError(f"{images} has no image of {tree.version}: make image")
    with replacing(target) as made:
        make_packages(tree, made)
        for path in built:
            shutil.copyfile(path, made / path.name)
        with tempfile.TemporaryDirectory() as place:
            catalog = Path(place, f"corral-catalog-{tree.version}")
            make_catalog(tree, image, catalog)
            pack(catalog, made / f"{catalog.name}.tar.gz", int(tree.commit_time))
        (made / NOTES).write_text(notes_of(section))
        write_sums(made)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder that takes the place of `folder` in the end, and not if anything goes wrong before."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as place:
        made = Path(place, folder.name)
        made.mkdir()
        yield made
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def show(folder: Path) -> None:
    """What was made, with sizes."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        print(f"{path.stat().st_size:>12,}  {path}")


def main(arguments: Sequence[str], tree: Tree) -> int:
    """Do what the command line asks; the exit status."""
    parser = argparse.ArgumentParser(prog="tools/release.py", description=__doc__)
    parser.add_argument("what", choices=["check", "packages", "catalog", "release"])
    parser.add_argument(
        "--image", default="corral", help="the image's name where hosts pull it from, without a version"
    )
    given = parser.parse_args(arguments)
    try:
        _do(given.what, given.image, tree)
    except RefusedError as refusal:
        print(f"no release: {refusal}" if given.what in {"check", "release"} else refusal, file=sys.stderr)
        return 1
    return 0


def _do(what: str, image: str, tree: Tree) -> None:
    if what == "check":
        tree.check()
        print(f"{tree.version} can be released")
        return
    if what == "release":
        target = tree.root / "dist"
        make_release(tree, image, tree.root / "build/image", target)
    else:
        target = tree.root / "build" / what
        with replacing(target) as made:
            if what == "catalog":
                make_catalog(tree, image, made)
            else:
                make_packages(tree, made)
                write_sums(made)
    show(target)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Tree(ROOT)))
