"""Assembles what the image holds, in the build stage: python3 docker/rootfs.py SITE SYSTEM CORRAL

SITE is where pip installed corral and what it depends on. SYSTEM becomes the first layer (interpreter, shared
libraries, certificates, dependencies: as a rule the same from one version of corral to the next), CORRAL the second.
The same input makes the same bytes, times and owners.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import py_compile
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

USER, GROUP = 65532, 0  # group 0 reads /proc/net/ip_tables_names
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
INTERPRETER = f"/usr/bin/{PYTHON}"
STDLIB = f"/usr/lib/{PYTHON}"
SITE = f"/usr/local/lib/{PYTHON}/dist-packages"
HOME = "/var/lib/corral"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

# Of the standard library: development, other user interfaces, and what needs a library that nothing else does.
NOT_NEEDED = """
    __phello__ __phello__.py _aix_support.py _distutils_system_mod.py _osx_support.py aifc.py antigravity.py asynchat.py
    asyncore.py audioop.py bdb.py cgi.py cgitb.py chunk.py cmd.py code.py codeop.py cProfile.py crypt.py curses dbm
    distutils doctest.py ensurepip idlelib imaplib.py imghdr.py lib2to3 mailbox.py mailcap.py msilib nntplib.py pdb.py
    pickletools.py pipes.py poplib.py profile.py pstats.py pty.py pyclbr.py pydoc.py pydoc_data rlcompleter.py shelve.py
    sitecustomize.py smtpd.py smtplib.py sndhdr.py sunau.py tabnanny.py telnetlib.py test this.py tkinter trace.py
    turtle.py turtledemo uu.py venv wave.py xdrlib.py xmlrpc zipapp.py
"""
NOT_NEEDED_EXTENSIONS = """
    _codecs_* _crypt _ctypes_test _curses* _dbm _gdbm _lsprof _multibytecodec _test* _tkinter _xx* audioop nis
    ossaudiodev readline xx*
"""
# Of packages: what compilers and type checkers read, tests, and what is for other uses than corral's.
NOT_SHIPPED = """
    *.c *.h *.hash *.pxd *.pyi *.pyx bin/* */py.typed */tests/* */testing/* *.dist-info/INSTALLER *.dist-info/REQUESTED
    pydantic/v1/* pygments/lexers/*
"""
SHIPPED = ("pygments/lexers/__init__.py", "pygments/lexers/_mapping.py", "pygments/lexers/python.py")  # for tracebacks

FILES = {
    "/etc/passwd": f"root:x:0:0:root:/:/\ncorral:x:{USER}:{GROUP}:corral:{HOME}:/\n",
    "/etc/group": "root:x:0:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "/usr/local/bin/corral": f"#!{INTERPRETER}\nimport sys\n\nfrom corral.cli import main\n\nsys.exit(main())\n",
}


class Tree:
    """A file system in the making."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def at(self, path: str) -> Path:
        return self.root / path.removeprefix("/")

    def add(self, path: str) -> None:
        """A file of this machine, with the symbolic links on the way to it."""
        reached = Path("/")
        for part in Path(path).parts[1:]:
            reached /= part
            target = self.at(str(reached))
            if reached.is_symlink():
                if not target.is_symlink():
                    target.symlink_to(reached.readlink())
                return self.add(os.path.normpath(reached.parent / reached.readlink() / Path(path).relative_to(reached)))
            if reached.is_dir():
                target.mkdir(exist_ok=True)
            else:
                shutil.copy(reached, target)
        return None

    def write(self, path: str, text: str) -> None:
        target = self.at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def files(self) -> Iterator[Path]:
        """In an order that does not depend on the disk's."""
        return (path for path in sorted(self.root.rglob("*")) if path.is_file() and not path.is_symlink())

    def programs(self) -> Iterator[Path]:
        """What the loader loads: programs and shared libraries."""
        for path in self.files():
            with path.open("rb") as opened:
                if opened.read(4) == b"\x7fELF":
                    yield path

    def finish(self, time: int) -> None:
        """Owners, modes and times that do not depend on the machine."""
        for path in [self.root, *sorted(self.root.rglob("*"))]:
            home = path == self.at(HOME)
            os.chown(path, USER if home else 0, GROUP, follow_symlinks=False)
            if not path.is_symlink():
                runs = path.is_dir() or (path.stat().st_mode & 0o100 and path.suffix != ".py")
                path.chmod(0o700 if home else 0o755 if runs else 0o644)
        for path in [*self.root.rglob("*"), self.root]:
            os.utime(path, (time, time), follow_symlinks=False)


class Packages:
    """Debian's packages of this machine."""

    INFORMATION = Path("/var/lib/dpkg/info")

    def __init__(self) -> None:
        self._owner = {
            line: listing.name.removesuffix(".list").partition(":")[0]
            for listing in sorted(self.INFORMATION.glob("*.list"))
            for line in listing.read_text().splitlines()
        }

    def files(self, package: str) -> list[str]:
        return sorted(path for path, owner in self._owner.items() if owner == package)

    def owner(self, path: str) -> str | None:
        """The package that a file is from; by the path that it has now, or had before /lib became a link."""
        return next((self._owner[name] for name in (path, path.removeprefix("/usr")) if name in self._owner), None)

    def describe(self, package: str, tree: Tree) -> None:
        """What scanners of images look for, in the form that images without dpkg have, and the licence."""
        tree.write(f"/var/lib/dpkg/status.d/{package}", _run("dpkg-query", "--status", package))
        sums = next(iter(sorted(self.INFORMATION.glob(f"{package}*.md5sums"))), None)
        shipped = [line for line in (sums.read_text().splitlines() if sums else []) if tree.at(line[34:]).is_file()]
        tree.write(f"/var/lib/dpkg/status.d/{package}.md5sums", "".join(f"{line}\n" for line in shipped))
        copyright_file = Path(f"/usr/share/doc/{package}/copyright")
        tree.write(str(copyright_file), copyright_file.resolve().read_text())


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def _add_python(tree: Tree, packages: Packages) -> None:
    for package in (f"{PYTHON}-minimal", f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib"):
        for path in packages.files(package):
            if path == INTERPRETER or (path.startswith(f"{STDLIB}/") and _is_needed(path.removeprefix(f"{STDLIB}/"))):
                tree.add(path)
    tree.at("/usr/bin/python3").symlink_to(PYTHON)


def _is_needed(path: str) -> bool:
    """Whether a part of the standard library is, by its path in there."""
    parts = path.split("/")
    if parts[0] == "lib-dynload":
        return not any(fnmatch(parts[-1].partition(".")[0], pattern) for pattern in NOT_NEEDED_EXTENSIONS.split())
    return parts[0] not in NOT_NEEDED.split() and "__pycache__" not in parts


def _add_site(site: Path, system: Tree, corral: Tree) -> None:
    """What pip installed: corral's own into its layer, the rest into the system's."""
    for path in sorted(site.rglob("*")):
        place = str(path.relative_to(site))
        left_out = place not in SHIPPED and any(fnmatch(place, pattern) for pattern in NOT_SHIPPED.split())
        if path.is_file() and not left_out:
            owner = corral if re.match(r"corral(/|-)", place) else system
            target = owner.at(f"{SITE}/{place}")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def _correct_records(tree: Tree) -> None:
    """Each package's list of its files, as they are here."""
    for record in tree.root.glob("**/*.dist-info/RECORD"):
        site = record.parents[1]
        listed = {row[0] for row in csv.reader(io.StringIO(record.read_text()))}
        places = [place for place in {*listed, *(f"{place}c" for place in listed)} if (site / place).is_file()]
        lines = [f"{place},,\n" if site / place == record else _record_line(site, place) for place in sorted(places)]
        record.write_text("".join(lines))


def _record_line(site: Path, place: str) -> str:
    data = (site / place).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"{place},sha256={digest},{len(data)}\n"


def _add_libraries(tree: Tree) -> None:
    """The shared libraries that something in the tree is linked with, and their loader."""
    for program in list(tree.programs()):
        for line in _run("ldd", str(program)).splitlines():
            if found := re.match(r"\s*(?:\S+ => )?(/\S+) \(0x", line):
                tree.add(found[1])


def _add_certificates(tree: Tree, packages: Packages) -> None:
    """Debian's own, not those that this stage was given to trust."""
    place = "/usr/share/ca-certificates/"
    authorities = [
        path for path in packages.files("ca-certificates") if path.startswith(place) and path.endswith(".crt")
    ]
    tree.write(BUNDLE, "".join(Path(path).read_text() for path in authorities))
    default = tree.at(ssl.get_default_verify_paths().openssl_cafile)
    default.parent.mkdir(parents=True, exist_ok=True)
    default.symlink_to(BUNDLE)


def _sources_of(tree: Tree, packages: Packages) -> list[str]:
    """The packages that the tree's files are from."""
    paths = {f"/{path.relative_to(tree.root)}" for path in tree.files()}
    return sorted({"ca-certificates"} | {owner for path in paths if (owner := packages.owner(path))})


def _compile_modules(tree: Tree, *, keep_sources: bool) -> None:
    """Bytecode that is never compared with its source: nothing could be written where the image runs."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for path in sorted(tree.root.rglob("*.py")):
        bytecode = None if keep_sources else path.with_suffix(".pyc")
        if not path.is_symlink():
            name = f"/{path.relative_to(tree.root)}"
            cfile = None if bytecode is None else str(bytecode)
            py_compile.compile(str(path), cfile=cfile, dfile=name, doraise=True, invalidation_mode=unchecked)
        elif bytecode is not None:
            bytecode.symlink_to(path.readlink().with_suffix(".pyc"))
    if not keep_sources:
        for path in tree.root.rglob("*.py"):
            path.unlink()


def main(site: Path, system: Tree, corral: Tree) -> None:
    """Fill the two trees."""
    packages = Packages()
    for tree in (system, corral):
        tree.root.mkdir()
    _add_python(system, packages)
    _add_site(site, system, corral)
    libraries = [str(path) for path in system.programs() if path.is_relative_to(system.at(SITE))]
    _run("strip", "--strip-unneeded", "--preserve-dates", *libraries)
    _add_libraries(system)
    _add_certificates(system, packages)
    system.add("/etc/os-release")
    sources = _sources_of(system, packages)
    # A traceback through corral shows its lines; for the rest their numbers do, and the sources would be 20 MB.
    _compile_modules(system, keep_sources=False)
    _compile_modules(corral, keep_sources=True)
    for package in sources:
        packages.describe(package, system)
    for path, text in FILES.items():
        system.write(path, text)
    system.at("/usr/local/bin/corral").chmod(0o755)
    system.at(HOME).mkdir(parents=True)
    for tree, time in ((system, 0), (corral, int(os.environ["SOURCE_DATE_EPOCH"]))):
        _correct_records(tree)
        tree.finish(time)
    # Permitted, not effective: without NET_ADMIN the program starts all the same, and says what it misses.
    _run("setcap", "cap_net_admin+p", str(system.at(INTERPRETER)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Tree(Path(sys.argv[2])), Tree(Path(sys.argv[3])))
