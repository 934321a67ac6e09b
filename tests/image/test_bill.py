"""The bill of materials and the sizes, of a small image that is written here."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools.image.bill import bill_of
from tools.image.content import Image
from tools.image.parts import costs, debian_packages, python_packages

SITE = "usr/local/lib/python3.11/dist-packages"
STATUS = """Package: libc6
Source: glibc (2.36-9)
Version: 2.36-9+deb12u13
Architecture: amd64
Description: C library
 of GNU
"""
COPYRIGHT = """Files: *
License: LGPL-2.1+

Files: debian/*
License: strange-terms

License: LGPL-2.1+
 the text
"""
METADATA = "Metadata-Version: 2.4\nName: aiohttp\nVersion: 3.14.5\nLicense-Expression: Apache-2.0 AND MIT\n"
OLDER = "Name: corral\nVersion: 1.2.3\nClassifier: License :: OSI Approved :: MIT License\n"
FILES = {
    "etc/os-release": 'NAME="Debian"\nVERSION_ID="12"\n',
    "etc/ssl/certs/ca-certificates.crt": "PEM",
    "usr/bin/python3.11": "\x7fELF interpreter",
    "usr/lib/a-linux-gnu/libc.so.6": "\x7fELF library",
    "usr/lib/python3.11/os.pyc": "os",
    "usr/share/doc/libc6/copyright": COPYRIGHT,
    "var/lib/dpkg/status.d/libc6": STATUS,
    "var/lib/dpkg/status.d/libc6.md5sums": "",
    f"{SITE}/aiohttp/web.pyc": "bytecode",
    f"{SITE}/aiohttp-3.14.5.dist-info/METADATA": METADATA,
    f"{SITE}/aiohttp-3.14.5.dist-info/RECORD": "aiohttp/web.pyc,,\naiohttp-3.14.5.dist-info/METADATA,,\n",
    f"{SITE}/corral/cli.py": "source",
    f"{SITE}/corral/__pycache__/cli.cpython-311.pyc": "byte",
    f"{SITE}/corral/web/dist/index.html": "page",
    f"{SITE}/corral-1.2.3.dist-info/METADATA": OLDER,
    f"{SITE}/corral-1.2.3.dist-info/RECORD": "corral/cli.py,,\ncorral-1.2.3.dist-info/METADATA,,\n",
}


def packed(files: Mapping[str, bytes], capable: str = "") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(data), 1_700_000_000, 0o644
            if name == capable:
                member.pax_headers = {"SCHILY.xattr.security.capability": "\1\0\0\2"}
            archive.addfile(member, io.BytesIO(data))
    return written.getvalue()


@pytest.fixture
def image(tmp_path: Path) -> Image:
    config = {
        "architecture": "amd64",
        "config": {"Labels": {"org.opencontainers.image.version": "1.2.3"}},
        "rootfs": {"diff_ids": ["sha256:" + "0" * 64, "sha256:" + "1" * 64]},
    }
    manifest = [{"Config": "c.json", "Layers": ["0/layer.tar", "1/layer.tar"]}]
    below = {name: data.encode("latin-1") for name, data in FILES.items() if "corral" not in name}
    above = {name: data.encode("latin-1") for name, data in FILES.items() if "corral" in name}
    path = tmp_path / "image.tar"
    path.write_bytes(
        packed(
            {
                "manifest.json": json.dumps(manifest).encode(),
                "c.json": json.dumps(config).encode(),
                "0/layer.tar": packed(below, capable="usr/bin/python3.11"),
                "1/layer.tar": packed(above),
            }
        )
    )
    return Image(path)


def test_reads_files_and_their_capabilities(image: Image) -> None:
    assert image.files.keys() == {f"/{name}" for name in FILES}
    assert [path for path, entry in image.files.items() if entry.capability] == ["/usr/bin/python3.11"]
    assert [len(layer) for layer in image.layers] == [11, 5]


def test_packages(image: Image) -> None:
    (debian,) = debian_packages(image)
    assert (debian.name, debian.version, debian.source) == ("libc6", "2.36-9+deb12u13", "glibc")
    assert debian.licences == ("LGPL-2.1+", "strange-terms")
    aiohttp, ours = python_packages(image)
    assert (aiohttp.name, aiohttp.version, aiohttp.licence) == ("aiohttp", "3.14.5", "Apache-2.0 AND MIT")
    assert (ours.name, ours.licence) == ("corral", "MIT License")


def test_every_byte_is_counted_once(image: Image) -> None:
    found = costs(image)
    assert sum(found.values()) == sum(len(data) for data in FILES.values())
    assert found["Python: interpreter"] == len("\x7fELF interpreter")
    assert found["shared libraries"] == len("\x7fELF library")
    assert found["Python: standard library"] == 2
    assert found["aiohttp"] == len("bytecode") + len(METADATA)
    assert (found["corral: source"], found["corral: bytecode"], found["corral: page"]) == (6, 4, 4)


def test_the_bill_is_valid_and_names_all(image: Image) -> None:
    text = bill_of(image)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    found = {component["name"]: component for component in bill["components"]}
    assert found.keys() == {"libc6", "aiohttp", "corral"}
    assert found["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u13?arch=amd64&distro=debian-12"
    assert found["aiohttp"]["purl"] == "pkg:pypi/aiohttp@3.14.5"
    assert found["aiohttp"]["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]
    (digest,) = found["aiohttp"]["hashes"]
    assert digest["alg"] == "SHA-256"
    assert digest["content"] in (Path(__file__).parents[2] / "requirements-runtime.lock").read_text()
    assert bill["metadata"]["component"]["version"] == "1.2.3"


def test_the_same_image_has_the_same_bill(image: Image) -> None:
    assert bill_of(image) == bill_of(image)
