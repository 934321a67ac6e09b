"""The guest's files: an archive in the kernel's own format (`newc` cpio), which it unpacks into memory at boot."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from tests.oldkernels.packages import ROOT, Kernel

TOOLS = (
    *("sh", "bash", "cat", "chmod", "dmesg", "env", "kill", "ls", "mkdir", "mount", "rm", "setpriv", "sleep", "stty"),
    *("sysctl", "timeout", "true", "umount", "uname", "unshare", "conntrack", "ip", "ipset", "modprobe", "nft", "tc"),
    *(f"{table}{more}" for table in ("iptables", "ip6tables") for more in ("", "-legacy", "-legacy-save", "-nft")),
)
_SETTINGS = ("ld.so.cache", "group", "hosts", "nsswitch.conf", "passwd", "protocols", "services")
_PROJECT = ("src", "tests", "docs", "pyproject.toml", "README.md")
# Most of what there is, and nothing that a test of the kernel needs.
_LEFT_OUT = re.compile(
    r"/(atheris|babel|cyclonedx|ensurepip|grimp|idlelib|lib2to3|material|mypy|mypyc|pip|playwright|setuptools|uv)$"
    r"|fuzzer|__mypyc|/(py-spy|ruff|_tkinter[^/]*)$|/python3\.\d+/(test|site-packages|dist-packages|config-[^/]*)$|/tests/page$|\.(a|png)$"
)


class MissingToolError(Exception):
    """This machine lacks what the guest needs."""


def pack(kernel: Kernel, more: Mapping[str, bytes], archive: Path, without: Collection[str] = ()) -> None:
    """Write the archive: this machine's tools and Python, the project, the kernel's modules, and `more` by their paths.

    `without` names modules that are left out. Raises MissingToolError.
    """
    files = [*_tools(), *(Path("/etc", name) for name in _SETTINGS), *_python(), *_project()]
    files += _libraries(path for path in files if path.suffix in {"", ".so"})
    with archive.open("wb") as packed:
        for path in dict.fromkeys(part for one in files for part in _parts(one)):
            packed.write(_of(path, str(path)))
        for path in _modules(kernel, without):
            packed.write(_of(path, str(Path("/lib/modules", path.relative_to(kernel.modules)))))
        for directory in ("/dev", "/proc", "/sys"):
            packed.write(_entry(directory, stat.S_IFDIR | 0o755))
        for name, data in more.items():
            packed.write(_entry(name, stat.S_IFREG | 0o755, data))
        packed.write(_entry("TRAILER!!!", 0))


def _tools() -> list[Path]:
    found = {tool: shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") for tool in TOOLS}
    if missing := [tool for tool, path in found.items() if path is None]:
        raise MissingToolError(f"not on this machine: {', '.join(missing)}")
    kernels_own = Path("/sbin/modprobe")  # what /proc/sys/kernel/modprobe says
    return [kernels_own, *(Path(path) for path in found.values() if path), *Path("/usr/lib").glob("*/xtables/*.so")]


def _python() -> Iterator[Path]:
    yield Path(sys.prefix, "pyvenv.cfg")
    for place in (Path(sys.executable).parent, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))):
        yield from _below(place)


def _project() -> Iterator[Path]:
    for name in _PROJECT:
        path = ROOT / name
        yield from _below(path) if path.is_dir() else (path,)


def _below(place: Path) -> Iterator[Path]:
    yield place
    for entry in os.scandir(place):
        if _LEFT_OUT.search(entry.path):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
        else:
            yield Path(entry.path)


def _modules(kernel: Kernel, without: Collection[str]) -> Iterator[Path]:
    yield kernel.modules
    yield from (path for path in sorted(kernel.modules.rglob("*")) if path.name.partition(".ko")[0] not in without)


def _libraries(programs: Iterable[Path]) -> list[Path]:
    """What the programs and the modules of Python are linked with, and whatever else goes by the name of one of these.

    A user other than root may not reach the one that root is given.
    """
    binary = [str(path) for path in programs if path.is_file() and _begins(path, b"\x7fELF")]
    linked = re.findall(r"(?:=>|^)\s*(/\S+) \(0x", _printed("ldd", *binary), re.MULTILINE)
    names = {Path(path).name for path in linked}
    known = re.findall(r"=> (/\S+)$", _printed("ldconfig", "-p"), re.MULTILINE)
    return [Path(path) for path in sorted({*linked, *(path for path in known if Path(path).name in names)})]


def _printed(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


def _begins(path: Path, how: bytes) -> bool:
    with path.open("rb") as opened:
        return opened.read(len(how)) == how


def _parts(path: Path) -> Iterator[Path]:
    """A path's directories from the top, itself, and all that symbolic links on the way refer to."""
    current = Path("/")
    for index, name in enumerate(path.parts[1:], start=2):
        current /= name
        yield current
        if current.is_symlink():
            target = Path(os.path.normpath(current.parent / current.readlink()))
            yield from _parts(target.joinpath(*path.parts[index:]))
            return


def _of(path: Path, name: str) -> bytes:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        data = os.fsencode(path.readlink())
    else:
        data = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
    return _entry(name, status.st_mode, data, int(status.st_mtime))


def _entry(name: str, mode: int, data: bytes = b"", modified: int = 0) -> bytes:
    """Modification times are kept: Python takes compiled modules only with those of their sources."""
    path = name.lstrip("/").encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, modified, len(data), 0, 0, 0, 0, len(path), 0)
    header = b"070701" + b"".join(b"%08x" % number for number in numbers) + path
    return _padded(header) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
