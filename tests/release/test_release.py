"""`make release`: what it makes, that it makes the same twice, and all that it refuses."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import corral

from .tool import ROOT, tool

NEXT = "77.1.0"
IMAGE = [f"corral-{NEXT}-amd64.{kind}" for kind in ("tar", "cdx.json", "sizes.txt")]  # as tools/image writes them
SAID = """Nothing is asked for.

### Fixed

- A thing, see [the page](docs/page.md#a-heading) and [its format](https://example.org/format).
"""
CHANGELOG = f"""# Changelog

## [Unreleased]

## [{NEXT}] - 2026-12-01

### Upgrading

{SAID}
## [0.9.1] - 2026-11-22

- The one before.
"""


def git(tree: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", tree, *identity, *arguments], check=True, capture_output=True)  # noqa: S603, S607


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree as a repository of its own, at a version that is about to be released, with a page and an image."""
    tree = tmp_path_factory.mktemp("tree")
    tool.Tree(ROOT).export(tree)
    (tree / "CHANGELOG.md").write_text(CHANGELOG)
    _set_version(tree, NEXT)
    git(tree, "init", "--quiet")
    _commit(tree)
    (tree / "build/image").mkdir(parents=True)
    for name in (*IMAGE, "corral-0.9.1-amd64.tar", f"corral-{NEXT}0-amd64.tar"):
        (tree / "build/image" / name).write_text(name)
    return tree


def _set_version(tree: Path, version: str) -> None:
    (tree / "src/corral/__init__.py").write_text(f'"""corral."""\n\n__version__ = "{version}"\n')


def _commit(tree: Path) -> None:
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--allow-empty", "--message", "A release")


@pytest.fixture
def tree(template: Path) -> Iterator[Path]:
    """The same, for a test that spoils it."""
    yield template
    git(template, "reset", "--quiet", "--hard", "HEAD")
    git(template, "clean", "--quiet", "--force", "-d")


def run(tree: Path, *arguments: str) -> int:
    return int(tool.main(arguments, tool.Tree(tree)))


@pytest.fixture(scope="module")
def released(template: Path) -> Path:
    assert run(template, "release", "--image", "registry.example/ops/corral") == 0
    return template / "dist"


def test_a_release_has_everything(released: Path) -> None:
    assert sorted(path.name for path in released.iterdir()) == sorted(
        [
            "NOTES.md",
            "SHA256SUMS",
            "corral-modules.conf",
            "corral-sysctl.conf",
            "corral-table.service",
            "corral.env",
            "corral.service",
            *IMAGE,
            f"corral-{NEXT}-py3-none-any.whl",
            f"corral-{NEXT}.tar.gz",
            f"corral-catalog-{NEXT}.tar.gz",
            "requirements-agent.lock",
        ]
    )


def test_what_contributing_lists_is_what_there_is(released: Path) -> None:
    rows = re.findall(r"^ +\| (`.*?) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    made = {path.name.replace(NEXT, "x.y.z").replace("amd64", "ARCH") for path in released.iterdir()}
    assert made == listed


def test_sums_are_those_of_the_files(released: Path) -> None:
    command = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    subprocess.run(command, cwd=released, check=True, capture_output=True)  # noqa: S603
    listed = {line.split()[1] for line in (released / "SHA256SUMS").read_text().splitlines()}
    assert listed == {path.name for path in released.iterdir()} - {"SHA256SUMS"}


def test_a_second_release_is_the_same(released: Path, template: Path) -> None:
    before = (released / "SHA256SUMS").read_bytes()
    assert run(template, "release", "--image", "registry.example/ops/corral") == 0
    assert (released / "SHA256SUMS").read_bytes() == before


def test_the_wheel_has_the_page_and_the_version(released: Path) -> None:
    with zipfile.ZipFile(released / f"corral-{NEXT}-py3-none-any.whl") as wheel:
        names = wheel.namelist()
        metadata = wheel.read(f"corral-{NEXT}.dist-info/METADATA").decode()
    assert "corral/web/dist/index.html" in names
    assert f"\nVersion: {NEXT}\n" in metadata
    assert not [name for name in names if not name.startswith(("corral/", "corral-"))]


def test_the_source_has_what_git_has_and_the_page_and_no_more(released: Path, template: Path) -> None:
    with tarfile.open(released / f"corral-{NEXT}.tar.gz") as source:
        names = {member.name.partition("/")[2] for member in source.getmembers()}
    listed = subprocess.run(["git", "-C", template, "ls-files"], check=True, capture_output=True, text=True)  # noqa: S603, S607
    page = {str(path.relative_to(template)) for path in (template / tool.PAGE).rglob("*") if path.is_file()}
    assert page
    assert names == {*listed.stdout.splitlines(), *page, "PKG-INFO"}


def test_a_wheel_made_of_the_source_is_the_wheel(released: Path, tmp_path: Path) -> None:
    with tarfile.open(released / f"corral-{NEXT}.tar.gz") as source:
        source.extractall(tmp_path, filter="data")
        epoch = str(int(source.getmembers()[0].mtime))
    unpacked = tmp_path / f"corral-{NEXT}"
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "built"],
        cwd=unpacked,
        env={"SOURCE_DATE_EPOCH": epoch, "PATH": ""},
        check=True,
        capture_output=True,
    )
    name = f"corral-{NEXT}-py3-none-any.whl"
    assert _digest(tmp_path / "built" / name) == _digest(released / name)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_catalog_names_image_and_version(released: Path) -> None:
    with tarfile.open(released / f"corral-catalog-{NEXT}.tar.gz") as archive:
        texts = {
            member.name: reader.read().decode()
            for member in archive.getmembers()
            if (reader := archive.extractfile(member)) is not None
        }
    assert not [name for name, text in texts.items() if "@VERSION@" in text or "@IMAGE@" in text]
    entry = f"corral-catalog-{NEXT}/infra-templates/corral"
    assert f"registry.example/ops/corral:{NEXT}" in texts[f"{entry}/1/docker-compose.yml"]
    assert f"version: '{NEXT}'" in texts[f"{entry}/config.yml"]
    assert {name.split("/")[3] for name in texts if name.count("/") == 4} == {"1"}  # the second in the changelog


def test_notes_begin_with_what_operators_have_to_do(released: Path) -> None:
    assert (released / "NOTES.md").read_text() == (
        f"# corral {NEXT}\n\n2026-12-01\n\n## Upgrading\n\nNothing is asked for.\n\n## Fixed\n\n"
        "- A thing, see the page (`docs/page.md#a-heading`) and [its format](https://example.org/format).\n"
    )


def refused(tree: Path, capsys: pytest.CaptureFixture[str]) -> str:
    marker = tree / "dist" / "of-before"
    marker.parent.mkdir(exist_ok=True)
    marker.touch()
    capsys.readouterr()
    assert run(tree, "release") == 1
    assert marker.exists()  # nothing was made, nothing removed
    marker.unlink()
    return capsys.readouterr().err.strip().removeprefix("no release: ")


@pytest.mark.parametrize("spoil", ["changed", "new", "removed"])
def test_a_tree_with_changes_is_refused(spoil: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if spoil == "changed":
        (tree / "LICENSE").write_text("mine")
    elif spoil == "new":
        (tree / "LICENSE.new").touch()
    else:
        (tree / "LICENSE").unlink()
    name = "LICENSE.new" if spoil == "new" else "LICENSE"
    assert refused(tree, capsys) == f"the tree has changes that are not committed: {name}"


WRONG_CHANGELOGS = {
    "no section": (("## [77.1.0] - 2026-12-01", "## [77.0.9] - 2026-12-01"), "no section ## [77.1.0]"),
    "no date": (("## [77.1.0] - 2026-12-01", "## [77.1.0]"), "77.1.0 has 'no date'"),
    "no such day": (("2026-12-01", "2026-02-30"), "77.1.0 has '2026-02-30'"),
    "nothing said": ((SAID, ""), "the section of 77.1.0 says nothing"),
    "no upgrading": (("### Upgrading", "### Added"), "77.1.0 needs a part ### Upgrading"),
    "upgrading empty": (("Nothing is asked for.\n", ""), "77.1.0 needs a part ### Upgrading"),
    "not greater": (("[0.9.1]", "[77.1.1]"), "77.1.0 comes after 77.1.1, and is not greater"),
    "the same again": (("[0.9.1]", "[77.1.0]"), "77.1.0 comes after 77.1.0, and is not greater"),
    "earlier than the one before": (("2026-11-22", "2026-12-02"), "0.9.1 is dated 2026-12-02"),
    "lines left over": (("## [Unreleased]\n", "## [Unreleased]\n\n- Late.\n"), "[Unreleased] is not empty"),
    "no unreleased": (("## [Unreleased]\n\n", ""), "the first section has to be [Unreleased]"),
    "no number": (("[0.9.1]", "[0.9]"), "version '0.9'"),
    "newer on top": (
        ("## [77.1.0]", "## [78.0.0] - 2026-12-02\n\n- Newer.\n\n## [77.1.0]"),
        "version 77.1.0 is not greater than 78.0.0",
    ),
}


@pytest.mark.parametrize("case", WRONG_CHANGELOGS)
def test_a_changelog_that_does_not_describe_it_is_refused(case: str) -> None:
    (old, new), said = WRONG_CHANGELOGS[case]
    assert old in CHANGELOG
    with pytest.raises(tool.RefusedError, match=re.escape(said)):
        tool.check_changelog(NEXT, CHANGELOG.replace(old, new))


def test_a_patch_needs_no_upgrading() -> None:
    patch = CHANGELOG.replace(NEXT, "77.1.1").replace("### Upgrading", "### Added")
    assert tool.check_changelog("77.1.1", patch).version == "77.1.1"


@pytest.mark.parametrize("version", ["77.1", "77.1.0rc1", "v77.1.0"])
def test_a_version_of_another_form_is_refused(version: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _set_version(tree, version)
    assert refused(tree, capsys).startswith(f"version {version!r}")


def test_without_an_image_or_a_page_there_is_no_release(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, said in (("build/image", "make image"), ("src/corral/web/dist", "make page")):
        away = (template / folder).rename(template.parent / "away")
        try:
            assert said in refused(template, capsys)
        finally:
            away.rename(template / folder)


def test_builds_that_differ_are_refused(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A build that lets the place into what it makes: here by a file that the build itself writes."""
    with (tree / "pyproject.toml").open("a") as configuration:
        configuration.write('\n[tool.hatch.build.hooks.custom]\npath = "place.py"\n')
    (tree / "place.py").write_text(
        "from pathlib import Path\nfrom hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Hook(BuildHookInterface):\n    def initialize(self, version, build_data):\n"
        "        Path(self.root, 'src/corral/place.txt').write_text(self.root)\n"
    )
    _commit(tree)
    try:
        assert "two builds of the same tree differ" in refused_packages(tree, capsys)
    finally:
        git(tree, "reset", "--quiet", "--hard", "HEAD~1")


def refused_packages(tree: Path, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert run(tree, "packages") == 1
    return capsys.readouterr().err


def test_outside_of_a_repository_nothing_is_made(template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the source of a release: what can be made of that is there already."""
    away = (template / ".git").rename(template.parent / "git-away")
    try:
        assert refused(template, capsys).startswith("this takes a checkout of git: fatal: not a git repository")
        assert refused_packages(template, capsys).startswith("this takes a checkout of git")
    finally:
        away.rename(template / ".git")


def test_this_tree_is_in_the_form_that_a_release_needs() -> None:
    """As it is between releases: [Unreleased] on top, all others dated and in order."""
    unreleased, *sections = tool.sections_of((ROOT / "CHANGELOG.md").read_text())
    assert unreleased.version == "Unreleased"
    assert sections[0].version == corral.__version__
    described = "# Changelog\n\n## [Unreleased]\n\n" + "".join(
        f"## [{section.version}] - {section.day}\n\n### Upgrading\n\nNo.\n\n{section.body}\n\n" for section in sections
    )
    assert tool.check_changelog(corral.__version__, described).says_something
