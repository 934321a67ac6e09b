"""Debian's kernels, from the archives that this machine's apt knows: downloaded and unpacked, never installed."""

from __future__ import annotations

import functools
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "kernels"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
RELEASES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports")
SECURITY = ("bullseye-security", "bookworm-security", "trixie-security")
# Newer ones are split into several packages; none of what else an image depends on is needed to boot it.
_PARTS = re.compile(r"^linux-(image|binary|modules|base)-\d")


class NoKernelError(Exception):
    """A kernel can not be had; the message says why."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One that is unpacked: `release` is what `uname -r` will say."""

    series: str
    release: str
    tree: Path

    @property
    def image(self) -> Path:
        return next(self.tree.glob(f"**/vmlinuz-{self.release}"))

    @property
    def modules(self) -> Path:
        """What the guest sees at /lib/modules."""
        return next(path for path in self.tree.glob("**/lib/modules") if (path / self.release).is_dir())


def kernel(series: str) -> Kernel:
    """The newest kernel of a series like `5.10`; downloaded if it is not kept. Raises NoKernelError."""
    kept = KEPT / series
    if not (kept / "release").is_file():
        release = _unpack(series, kept)
        (kept / "release").write_text(release)
    return Kernel(series, (kept / "release").read_text(), kept / "tree")


def _unpack(series: str, kept: Path) -> str:
    image = _newest(series)
    release = image.removeprefix("linux-image-")
    downloads, tree = kept / "packages", kept / "tree"
    downloads.mkdir(parents=True, exist_ok=True)
    _apt("apt-get", "download", *_parts(image), where=downloads)
    for package in downloads.glob("*.deb"):
        _run("dpkg-deb", "--extract", str(package), str(tree))
        package.unlink()
    modules = next(path for path in tree.glob("**/lib/modules"))
    _run("depmod", "--basedir", str(modules.parents[1]), release)
    return release


def _newest(series: str) -> str:
    names = _apt("apt-cache", "pkgnames", f"linux-image-{series}.").split()
    plain = [name for name in names if re.fullmatch(r"linux-image-[\d.]+(-\d+|\+deb\d+(\.\d+)*)-cloud-amd64", name)]
    if not plain:
        raise NoKernelError(f"no Debian release that is looked at has a kernel {series}: {', '.join(RELEASES)}")
    return max(plain, key=_version)


def _version(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name.removesuffix("-cloud-amd64"))]


def _parts(image: str) -> list[str]:
    depends = _apt("apt-cache", "depends", "--important", image).split()
    return sorted({image, *(name for name in depends if _PARTS.match(name))})


@functools.cache
def _configuration() -> Path:
    """An apt configuration beside the machine's: other releases from its own archives."""
    place = KEPT / "apt"
    (place / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (place / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    (place / "sources.list").write_text(sources(_archives()))
    configuration = place / "apt.conf"
    configuration.write_text(
        f'Dir::State::lists "{place}/lists";\nDir::Cache "{place}/cache";\n'
        f'Dir::Etc::sourcelist "{place}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        'Acquire::Languages "none";\nAPT::Sandbox::User "root";\n'
    )
    _run("apt-get", "update", configuration=configuration)
    return configuration


def _archives() -> str:
    every = ("-o", "APT::Get::IndexTargets::Filtered=false")
    return _run("apt-get", "indextargets", *every, "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")


def sources(archives: str) -> str:
    """A sources.list of all releases, given lines of an archive's address and a release that the machine uses of it."""
    known = {release: address for address, release in (line.split() for line in archives.splitlines())}
    lines = []
    for release in (*RELEASES, *SECURITY):
        ending = "-security" if release in SECURITY else ""
        address = next((known[one] for one in known if one in {f"{own}{ending}" for own in RELEASES}), None)
        if address is not None:
            lines.append(f"deb [signed-by={KEYRING}] {address} {release} main\n")
    if not lines:
        raise NoKernelError("this machine's apt has no Debian archive: its kernels are needed")
    return "".join(lines)


def _apt(*command: str, where: Path = ROOT) -> str:
    return _run(*command, where=where, configuration=_configuration())


def _run(*command: str, where: Path = ROOT, configuration: Path | None = None) -> str:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    if configuration is not None:
        environment["APT_CONFIG"] = str(configuration)
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise NoKernelError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
