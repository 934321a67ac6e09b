"""The bill of materials (SBOM) of an image, in CycloneDX's JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name, parse_wheel_filename

from .content import Image
from .parts import DebianPackage, PythonPackage, debian_packages, python_packages

_WHEELS = Path(__file__).parents[2] / "docker" / "wheels.sha256"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


def bill_of(image: Image) -> str:
    """The document. The same image gives the same one, but for what depends on the library's version."""
    labels = image.config["config"]["Labels"]
    root = Component(
        name="corral",
        version=labels["org.opencontainers.image.version"],
        type=ComponentType.CONTAINER,
        bom_ref="image",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=image.digests[-1].removeprefix("sha256:"))],
    )
    wheels = wheel_hashes(_MACHINES[image.config["architecture"]])
    components = [
        *(_debian(package, _release(image)) for package in debian_packages(image)),
        *(_python(package, wheels) for package in python_packages(image)),
    ]
    bill = Bom(components=components, serial_number=uuid5(NAMESPACE_OID, " ".join(image.digests)))
    bill.metadata.component = root
    bill.metadata.timestamp = datetime.fromtimestamp(max(entry.time for entry in image.files.values()), UTC)
    bill.register_dependency(root, components)
    return JsonV1Dot6(bill).output_as_string(indent=2) + "\n"


def wheel_hashes(machine: str) -> dict[tuple[str, str], str]:
    """The SHA-256 of the wheel of each package and version, as it is for a machine (`x86_64`, `aarch64`)."""
    found: dict[tuple[str, str], str] = {}
    for digest, name in wheels():
        package, version, _, tags = parse_wheel_filename(name)
        if any(tag.platform == "any" or tag.platform.endswith(machine) for tag in tags):
            found[package, str(version)] = digest
    return found


def wheels() -> Iterator[tuple[str, str]]:
    """SHA-256 and name of each wheel that the image may be made of."""
    for line in _WHEELS.read_text().splitlines():
        digest, name = line.split()
        yield digest, name


def _release(image: Image) -> str:
    """Debian's release, as its file says."""
    files = image.files
    told = files.get("/usr/lib/os-release", files["/etc/os-release"]).data.decode()
    return "debian-" + "".join(re.findall(r'^VERSION_ID="?([^"\n]+)', told, re.MULTILINE))


def _debian(package: DebianPackage, release: str) -> Component:
    # The purl specification names the namespace and what qualifies.
    place = {"arch": package.architecture, "distro": release}
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"deb:{package.name}",
        purl=PackageURL("deb", "debian", package.name, package.version, place),
        licenses=[_disjunctive(name) for name in package.licences],
        properties=[Property(name="debian:source", value=package.source)],
    )


def _python(package: PythonPackage, wheels: Mapping[tuple[str, str], str]) -> Component:
    digest = wheels.get((canonicalize_name(package.name), package.version))
    licences: list[License] = [LicenseFactory().make_from_string(package.licence)] if package.licence else []
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=f"python:{package.name}",
        purl=PackageURL("pypi", None, canonicalize_name(package.name), package.version),
        licenses=licences,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest)] if digest else [],
    )


def _disjunctive(name: str) -> DisjunctiveLicense:
    """Debian's short names are not all SPDX's."""
    made = LicenseFactory().make_from_string(name)
    return made if isinstance(made, DisjunctiveLicense) else DisjunctiveLicense(name=name)
