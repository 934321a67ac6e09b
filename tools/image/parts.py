"""The parts that an image is made of: Debian's packages, Python packages, corral."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import Parser

from .content import Entry, Image

_DESCRIPTIONS = "/var/lib/dpkg/status.d/"
_COPYRIGHT = "/usr/share/doc/{}/copyright"


@dataclass(frozen=True)
class DebianPackage:
    """A package that files are from. `licences` are the names that its copyright file has; it may have none."""

    name: str
    version: str
    architecture: str
    source: str
    licences: tuple[str, ...]


@dataclass(frozen=True)
class PythonPackage:
    """A package in the image, with all its files."""

    name: str
    version: str
    licence: str
    files: tuple[str, ...]


def debian_packages(image: Image) -> Iterator[DebianPackage]:
    """By their names."""
    for path, entry in sorted(image.files.items()):
        if path.startswith(_DESCRIPTIONS) and entry.is_file and not path.endswith(".md5sums"):
            told = Parser().parsestr(entry.data.decode())
            copyright_file = image.files[_COPYRIGHT.format(told["Package"])].data.decode()
            named = re.findall(r"^License: *([^\s,]+) *$", copyright_file, re.MULTILINE)
            yield DebianPackage(
                told["Package"],
                told["Version"],
                told["Architecture"],
                (told["Source"] or told["Package"]).split()[0],
                tuple(dict.fromkeys(named)),
            )


def python_packages(image: Image) -> Iterator[PythonPackage]:
    """By their names; corral is among them."""
    for path, entry in sorted(image.files.items()):
        if found := re.fullmatch(r"(.*/)[^/]+\.dist-info/RECORD", path):
            about = Parser().parsestr(image.files[path.replace("/RECORD", "/METADATA")].data.decode())
            files = tuple(f"{found[1]}{row[0]}" for row in csv.reader(entry.data.decode().splitlines()))
            yield PythonPackage(about["Name"], about["Version"], _licence(about), files)


def _licence(about: Message) -> str:
    """The expression; older packages have a text, or nothing but a classifier."""
    classified = (str(line).rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if "License ::" in line)
    text = str(about["License"] or "")
    return str(about["License-Expression"] or (text if 0 < len(text) < 40 else next(classified, "")))


def costs(image: Image) -> dict[str, int]:
    """Bytes of each part: every file belongs to exactly one."""
    owners = {path: package.name for package in python_packages(image) for path in package.files}
    found: dict[str, int] = {}
    for path, entry in image.files.items():
        if entry.is_file:
            part = _part(path, entry, owners)
            found[part] = found.get(part, 0) + entry.size
    return found


def _part(path: str, entry: Entry, owners: Mapping[str, str]) -> str:
    if "/dist-packages/corral/" in path:
        return (
            "corral: page" if "/web/dist/" in path else f"corral: {'bytecode' if path.endswith('.pyc') else 'source'}"
        )
    if path in owners:
        return owners[path]
    if path.startswith("/usr/bin/python3"):
        return "Python: interpreter"
    if re.match(r"/usr/lib/python3[^/]*/", path):
        return "Python: standard library"
    if entry.is_program:
        return "shared libraries"
    return "certificates" if path.startswith("/etc/ssl/") else "descriptions and licences, /etc"
