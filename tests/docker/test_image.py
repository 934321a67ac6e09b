"""The image: what is in it, read from its archive, and how it runs with nothing granted."""

from __future__ import annotations

import json
import re
import stat
import struct
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import corral
from corral.sandbox.launch import CAP_NET_ADMIN
from tools.image.content import Image
from tools.image.parts import costs, debian_packages, python_packages

from .engine import ARCHIVE, IMAGE, ROOT, Engine

INTERPRETER = "/usr/bin/python3.11"
CONFINED = ("run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL")
GRANTED = (*CONFINED, "--cap-add", "NET_ADMIN")
# Bytes; 55.3 million, and 21.7 million compressed, when this was written.
LARGEST, LARGEST_TO_PULL = 60e6, 24e6
CAPABLE = struct.pack("<5I", 0x02000000, 1 << CAP_NET_ADMIN, 0, 0, 0)  # vfs_cap_data: revision 2, permitted only

# Imports every module, as some do only when they are asked for.
IMPORT_ALL = """
import importlib, pkgutil, corral
names = [module.name for module in pkgutil.walk_packages(corral.__path__, "corral.") if "__main__" not in module.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


@pytest.fixture(scope="module")
def image() -> Image:
    return Image(ARCHIVE)


@pytest.fixture(scope="module")
def configuration(image: Image) -> dict[str, Any]:
    found: dict[str, Any] = image.config["config"]
    return found


def paths(image: Image, pattern: str) -> Iterator[str]:
    return (path for path in image.files if re.search(pattern, path))


# ---- what is in it


def test_the_only_programs_are_the_interpreter_and_corral(image: Image) -> None:
    """No shell, no tools, no package manager: nothing else can be run, but for the loader of shared libraries."""
    runnable = {path for path, entry in image.files.items() if entry.is_file and entry.mode & 0o111}
    loaders = {path for path in runnable if re.search(r"/ld-linux-[^/]+\.so\.\d+$|/libc\.so\.6$", path)}
    assert runnable - loaders == {INTERPRETER, "/usr/local/bin/corral"}
    assert list(paths(image, r"/(bash|dash|sh|busybox|apt|dpkg|pip|ensurepip|gcc|ld|perl)$")) == ["/var/lib/dpkg"]
    assert list(paths(image, r"/(site-packages|ensurepip|idlelib|tkinter|lib2to3|distutils|test|tests)(/|$)")) == []


def test_one_file_has_a_capability_and_only_as_permitted(image: Image) -> None:
    assert {path: entry.capability for path, entry in image.files.items() if entry.capability} == {INTERPRETER: CAPABLE}


def test_nobody_can_write_or_become_another(image: Image) -> None:
    for path, entry in image.files.items():
        assert not entry.mode & (stat.S_ISUID | stat.S_ISGID), path
        assert stat.S_ISLNK(entry.mode) or not entry.mode & 0o022, path
        assert (entry.user, entry.group) == ((65532, 0) if path == "/var/lib/corral" else (0, 0)), path


def test_links_lead_somewhere(image: Image) -> None:
    reached = {path.rpartition("/")[2] for path in image.files}
    links = [entry for entry in image.files.values() if stat.S_ISLNK(entry.mode)]
    assert links
    assert [entry.path for entry in links if entry.target.rstrip("/").rpartition("/")[2] not in reached] == []


def test_times_do_not_depend_on_when_it_was_built(image: Image) -> None:
    system, ours = image.layers
    assert {entry.time for entry in system.values()} == {0}
    (time,) = {entry.time for entry in ours.values()}
    created = datetime.fromisoformat(image.config["config"]["Labels"]["org.opencontainers.image.created"])
    assert created.timestamp() == time


def test_a_new_version_of_corral_changes_the_small_layer_only(image: Image) -> None:
    system, ours = image.layers
    assert [path for path, entry in system.items() if entry.is_file and "corral" in path] == ["/usr/local/bin/corral"]
    assert [path for path, entry in ours.items() if entry.is_file and "/corral" not in path] == []
    assert sum(entry.size for entry in ours.values()) < 6e6


def test_all_bytecode_is_there(image: Image) -> None:
    """Nothing can be written where it runs, so that what is missing would be compiled at each start."""
    for path in paths(image, r"/dist-packages/corral/.*\.py$"):
        folder, _, name = path.rpartition("/")
        assert f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc" in image.files
    compiled = [entry for path in paths(image, r"\.pyc$") if (entry := image.files[path]).is_file]
    assert len(compiled) > 1000
    unchecked = struct.pack("<I", 0b01)
    assert [entry.path for entry in compiled if entry.data[4:8] != unchecked] == []


def test_the_page_is_there(image: Image) -> None:
    assert len(list(paths(image, r"/corral/web/dist/(index\.html|assets/.+\.js)$"))) >= 2


def test_it_is_small(image: Image) -> None:
    assert sum(costs(image).values()) < LARGEST
    assert image.compressed < LARGEST_TO_PULL


def test_every_package_is_described(image: Image) -> None:
    names = {package.name for package in debian_packages(image)}
    assert {"libc6", "libssl3", "python3.11-minimal", "libpython3.11-stdlib", "ca-certificates"} <= names
    described = {package.name for package in python_packages(image)}
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements-agent.lock").read_text(), re.MULTILINE))
    only_windows = {"colorama", "win-inet-pton"}
    assert {name.lower().replace("_", "-") for name in described} == pinned - only_windows | {"corral"}


def test_the_bill_of_materials_is_valid_and_complete(image: Image) -> None:
    text = ARCHIVE.with_suffix(".cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    components = json.loads(text)["components"]
    expected = [package.name for package in debian_packages(image)]
    expected += [package.name for package in python_packages(image)]
    assert sorted(component["name"] for component in components) == sorted(expected)
    python = [component for component in components if component["purl"].startswith("pkg:pypi/")]
    assert [part["name"] for part in python if not part.get("hashes") and part["name"] != "corral"] == []
    assert [part["name"] for part in python if not part.get("licenses")] == []


def test_the_configuration(configuration: dict[str, Any]) -> None:
    assert configuration["User"] == "65532:0"
    assert (configuration["Entrypoint"], configuration["Cmd"]) == (["corral"], ["agent"])
    assert configuration["StopSignal"] == "SIGTERM"
    assert configuration["Healthcheck"]["Test"] == ["CMD", "corral", "status"]
    assert not configuration.get("Volumes")
    assert not configuration.get("ExposedPorts")
    assert [variable for variable in configuration["Env"] if "CORRAL" in variable or "CA" in variable] == []


def test_the_labels(configuration: dict[str, Any]) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): told for name, told in configuration["Labels"].items()}
    assert labels["version"] == corral.__version__
    assert labels["title"] == "corral"
    assert labels["licenses"] == "Apache-2.0"
    assert re.fullmatch(r"[0-9a-f]{40}(-modified)?", labels["revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", labels["created"])
    assert labels["base.name"]


def test_no_certificate_of_the_builder_is_trusted(image: Image) -> None:
    bundle = image.files["/etc/ssl/certs/ca-certificates.crt"].data.decode()
    added = [path.read_text().strip() for path in Path("/usr/local/share/ca-certificates").glob("*.crt")]
    assert bundle.count("BEGIN CERTIFICATE") > 100
    assert [text for text in added if text in bundle] == []
    assert not any("BEGIN CERTIFICATE" in json.dumps(step) for step in image.config["history"])


# ---- how it runs


async def test_says_its_version_with_nothing_granted(engine: Engine) -> None:
    assert await engine.docker(*CONFINED, IMAGE, "--version") == f"corral {corral.__version__}\n"


async def test_every_module_can_be_imported(engine: Engine) -> None:
    """What was left out of the image, of Python and of packages, is missed by nothing."""
    printed = await engine.docker(*CONFINED, "--entrypoint", "python3", IMAGE, "-c", IMPORT_ALL)
    assert int(printed) > 200


async def test_trusts_the_authorities_that_debian_trusts(engine: Engine) -> None:
    count = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"
    assert int(await engine.docker(*GRANTED, "--entrypoint", "python3", IMAGE, "-c", count)) > 100


async def test_offline_commands_need_no_capability(engine: Engine) -> None:
    """The standard input is empty."""
    ran = await engine.ran("docker", *CONFINED, "-i", IMAGE, "policy", "validate", "-")
    assert ran.returncode in {1, 2}
    assert "CAP_NET_ADMIN" not in ran.stderr
    assert "properties" in await engine.docker(*CONFINED, IMAGE, "schema", "state")


@pytest.mark.parametrize("command", ["agent", "cleanup"])
async def test_without_net_admin_it_says_so(engine: Engine, command: str) -> None:
    ran = await engine.ran("docker", *CONFINED, IMAGE, command)
    assert ran.returncode == 3
    assert "it needs the capability CAP_NET_ADMIN; give it to the container (--cap-add NET_ADMIN)" in ran.stderr


async def test_under_no_new_privileges_it_says_so(engine: Engine) -> None:
    ran = await engine.ran("docker", *GRANTED, "--security-opt", "no-new-privileges", IMAGE, "cleanup")
    assert ran.returncode == 3
    assert "run it without no-new-privileges" in ran.stderr


async def test_net_admin_is_enough_for_what_changes_the_kernel(engine: Engine) -> None:
    assert "nothing to remove" in await engine.docker(*GRANTED, IMAGE, "cleanup")
    ran = await engine.ran("docker", *GRANTED, IMAGE, "doctor", "--json")
    found = {check["check"]: check["outcome"] for check in json.loads(ran.stdout)["checks"]}
    kernel = ("privileges", "kernel", "foreign chains", "Rancher's manager", "PastureStack's manager")
    assert {name: found[name] for name in kernel} == dict.fromkeys(kernel, "ok")


async def test_other_managers_leftovers_are_found_and_removed(engine: Engine) -> None:
    """Those of nftables and ipset; of iptables-legacy it says the commands, for the image has no iptables."""
    pause = ("--entrypoint", "python3", IMAGE, "-c", "import signal; signal.pause()")
    container = (await engine.docker("run", "--detach", *GRANTED[1:], *pause)).strip()
    inside = ["nsenter", "--net", "--target", str(await engine.pid(container))]
    for line in (
        "iptables-legacy -N CATTLE_NETWORK_POLICY",
        "iptables-legacy -I FORWARD -j CATTLE_NETWORK_POLICY",
        "ipset create RNCH-TEST hash:ip",
        "nft add table inet pasturestack_policy",
    ):
        await engine.run(*inside, *line.split())
    clean = ["docker", "exec", container, "corral", "cleanup", "--legacy", "--force"]
    first = await engine.ran(*clean)
    assert first.returncode == 1
    commands = [line.split() for line in first.stdout.splitlines() if line.strip().startswith("iptables-legacy")]
    assert len(commands) == 3
    for command in commands:
        await engine.run(*inside, *command)
    assert (await engine.ran(*clean)).returncode == 0
    assert await engine.run(*inside, "ipset", "list", "-name") == ""
    assert await engine.run(*inside, "nft", "list", "tables", "inet") == ""
    await engine.docker("rm", "--force", container)


async def test_a_bundle_gets_out_through_a_pipe(engine: Engine) -> None:
    there = await engine.ran("docker", *GRANTED, IMAGE, "bundle")
    assert (there.returncode, "Read-only file system" in there.stderr) == (2, True)
    count = "docker run --rm --network none --read-only {} bundle --output - | tar -tz | wc -l"
    assert int(await engine.run("sh", "-c", count.format(IMAGE))) > 3
