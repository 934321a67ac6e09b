"""What a maintainer needs to see of an agent and its host: gathered, freed of secrets and, if asked for, of names."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import platform
import secrets
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distributions
from typing import Any
from urllib.parse import urlsplit

import corral
from corral.config import Settings
from corral.dataplane.kernel import KernelDataplane
from corral.errors import CorralError
from corral.nft.text import render
from corral.sources.agent import AgentClient, error_of
from corral.support.doctor import judge
from corral.support.examination import examine
from corral.support.findings import Findings
from corral.support.pseudonyms import Pseudonyms, names_in
from corral.support.redaction import Redactor, secrets_in
from corral.types import Subnet

FOLDER = "corral-bundle"
LARGEST = 4 << 20  # bytes, compressed
CONTENTS = "contents.json"

# The most useful first: what does not fit any more is left out.
QUESTIONS: Mapping[str, str] = {
    "state.json": "/v1/state",
    "readyz.json": "/readyz",
    "policy.json": "/v1/policy",
    "log.json": "/v1/log",
    "ruleset-difference.nft": "/v1/ruleset?which=difference",
    "hosts.json": "/v1/hosts",
    "rules.json": "/v1/rules",
    "warnings.json": "/v1/warnings",
    "denied.json": "/v1/denied",
    "containers.json": "/v1/containers",
    "metrics.txt": "/metrics",
    "topology.json": "/v1/topology",
    "ruleset-installed.nft": "/v1/ruleset?which=installed",
    "ruleset-desired.nft": "/v1/ruleset?which=desired",
    "connections.json": "/v1/connections",
    "matrix.json": "/v1/matrix",
}
# What is known to hold no names but those that the documents around it hold, too; the rest says more than we can tell.
_TELLS_NAMES = "topology.json"


@dataclass(slots=True)
class Bundle:
    """Documents and texts by the name of their file, and why others are missing."""

    files: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


async def gather(
    settings: Settings, client: AgentClient, settings_error: str | None, given: Mapping[str, str]
) -> Bundle:
    """Everything that can be read here, secrets and all; `given` are the environment's variables."""
    bundle = Bundle()
    findings = await examine(settings, client, settings_error)
    bundle.files["doctor.json"] = judge(findings)
    bundle.files["versions.json"] = _versions()
    bundle.files["settings.json"] = _settings(settings, given)
    bundle.files["kernel.json"] = _kernel(findings)
    for name, path in QUESTIONS.items():
        await _ask(bundle, client, name, path)
    if "ruleset-installed.nft" not in bundle.files:
        await _read_ruleset(bundle)
    return bundle


async def _ask(bundle: Bundle, client: AgentClient, name: str, path: str) -> None:
    try:
        answer = await asyncio.to_thread(client.get, path)
    except CorralError as error:
        bundle.missing[name] = str(error)
        return
    if answer.media_type != "application/json":
        bundle.files[name] = answer.body.decode(errors="replace")
        return
    try:
        document = json.loads(answer.body)  # lenient: half of a pair in a label must not hide the rest
    except (ValueError, RecursionError) as error:
        bundle.missing[name] = f"{path}: no JSON: {error}"
        return
    if answer.status == 503 and isinstance(document, dict) and "error" in document:
        bundle.missing[name] = error_of(answer.body)
    else:
        bundle.files[name] = document


async def _read_ruleset(bundle: Bundle) -> None:
    """Without an agent: corral's table as the kernel has it."""
    try:
        async with KernelDataplane() as dataplane:
            dump = await dataplane.dump()
    except CorralError as error:
        bundle.missing["ruleset-installed.nft"] = str(error)
        return
    alien = "".join(f"# alien: {sentence}\n" for sentence in dump.alien) if dump else ""
    bundle.files["ruleset-installed.nft"] = alien + (render(dump.ruleset) if dump else "# there is no such table\n")
    bundle.missing.pop("ruleset-installed.nft", None)


def _versions() -> dict[str, Any]:
    return {
        "corral": corral.__version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "packages": {found.name: found.version for found in distributions()},
    }


def _settings(settings: Settings, given: Mapping[str, str]) -> dict[str, Any]:
    ours = sorted(name for name in given if name.startswith(("CORRAL_", "CATTLE_", "PLATFORM_")))
    return {"in_force": settings.model_dump(mode="json"), "variables_set": ours}


def _kernel(findings: Findings) -> dict[str, Any]:
    """What the doctor judges by, as far as it is short."""
    chains = findings.chains if isinstance(findings.chains, tuple) else ()
    bases = [chain for chain in chains if chain.hook is not None]
    return {
        "base_chains": [f"{chain.place} {chain.hook} {chain.priority} {'drop' * chain.drops}" for chain in bases],
        "tables": [" ".join(table) for table in findings.tables] if isinstance(findings.tables, tuple) else [],
        "bridge": str(findings.bridge),
        "tracking": str(findings.tracking),
        "redirects": str(findings.redirects),
    }


def redacted(bundle: Bundle, settings: Settings) -> Bundle:
    """The same without secrets."""
    access = settings.rancher_access_key or ""
    secret = settings.rancher_secret_key.get_secret_value() if settings.rancher_secret_key else ""
    known = [access, secret, f"{access}:{secret}", *secrets_in(bundle.files)]
    redactor = Redactor(known, secrets.token_bytes(16))
    return Bundle(redactor.document(bundle.files), redactor.document(bundle.missing))


def anonymous(bundle: Bundle, settings: Settings) -> Bundle:
    """The same without names. Where nobody tells all names, what may hold others is left out."""
    files, missing = dict(bundle.files), dict(bundle.missing)
    if _TELLS_NAMES not in files:
        for name in files.keys() - {"versions.json"}:
            files.pop(name)
            missing[name] = "left out: without the agent's topology nobody knows what is a name in it"
    pseudonyms = Pseudonyms(secrets.token_bytes(16), _names(files, settings), _managed(files))
    if "log.json" in files:
        files["log.json"] = _plain_log(files["log.json"])
    shown = {name: pseudonyms.document(value) for name, value in files.items()}
    told = {name: pseudonyms.text(why) for name, why in missing.items()}
    return Bundle(shown, told)


_TELLING = frozenset({"mode", "version", "source", "level", "repeated", "more", "turns", "table"})


def _plain_log(log: Any) -> Any:
    """A log also speaks of what is gone, whose names nobody knows any more: only what is fixed or a number stays."""
    lines = [
        {
            **line,
            "details": {
                name: value if name in _TELLING or not isinstance(value, str) else "left out"
                for name, value in line["details"].items()
            },
        }
        for line in log["lines"]
    ]
    return {**log, "lines": lines}


def _names(files: Mapping[str, Any], settings: Settings) -> set[str]:
    addresses = filter(None, (settings.metadata_url, settings.rancher_url))
    machines = {platform.node(), *(urlsplit(address).hostname or "" for address in addresses)}
    return {*names_in(dict(files)), *(name for name in machines if name and not name[-1].isdecimal())}


def _managed(files: Mapping[str, Any]) -> list[Subnet]:
    network = files.get("state.json", {}).get("network")
    return [Subnet.parse(subnet) for subnet in network["subnets"]] if network else []


def pack(bundle: Bundle, now: int) -> bytes:
    """A compressed archive of less than LARGEST bytes, and a little; `now` in seconds since the epoch."""
    missing = dict(bundle.missing)
    members, room = [], LARGEST
    order = [*(name for name in bundle.files if name not in QUESTIONS), *QUESTIONS]
    for name in (name for name in order if name in bundle.files):
        data = _bytes(bundle.files[name])
        size = len(gzip.compress(data))
        if size > room:
            missing[name] = f"left out: {size} bytes more are too many, compressed"
            continue
        room -= size
        members.append((name, data))
    contents = {"files": [name for name, _ in members], "missing": missing}
    return _archive([(CONTENTS, _bytes(contents)), *members], now)


def _bytes(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")


def _archive(members: list[tuple[str, bytes]], now: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in members:
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size, member.mtime, member.mode = len(data), now, 0o600
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()
