"""The bundle: everything that is there, no secret, and no name when none is wanted."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from corral.config import Settings, load_settings
from corral.sandbox.environment import Environment
from corral.sources.agent import AgentClient
from corral.support.bundle import CONTENTS, FOLDER, LARGEST, Bundle, anonymous, gather, pack, redacted

from ..daemon.running import Running, running_agent, until
from ..kernel.namespaces import Namespace

SECRETS = {
    "CATTLE_ACCESS_KEY": "AKEY0SECRET0ACCESS",
    "CATTLE_SECRET_KEY": "SKEY0SECRET0SECRET",
    "CORRAL_PLANTED_TOKEN": "ENV0SECRET0TOKEN",
}
USERINFO = "URL0SECRET0PASSWORD"
LABEL, LONG_LABEL = "LABEL0SECRET0VALUE", "LONG0SECRET0" + "x" * 60


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    with Namespace() as created, created.entered():
        yield created


def unpacked(packed: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = [(member.name.removeprefix(f"{FOLDER}/"), archive.extractfile(member)) for member in archive]
        return {name: opened.read().decode() for name, opened in members if opened is not None}


def client_of(running: Running) -> AgentClient:
    host, port = running.url.removeprefix("http://").split(":")
    return AgentClient(host, int(port))


def settings_of(running: Running) -> Settings:
    return load_settings({"CORRAL_METADATA_URL": f"{running.url}/2016-07-29"})


def plant(environment: Environment) -> None:
    """Secrets in labels, and a policy that speaks of them, so that they get into rules and names of sets."""
    environment.add_service("front/vault", labels={"com.example.db-password": LABEL, "api.token": LONG_LABEL})
    container = environment.create_container("front/vault")
    environment.set_running(container.name, environment.allocate_address(0))
    selected = {
        "from": {"selector": f"com.example.db-password={LABEL}"},
        "to": {"selector": "tier=web"},
        "action": "allow",
    }
    grouped = [{"between": {"groupBy": key}, "action": "allow"} for key in ("com.example.db-password", "api.token")]
    environment.set_policy([*grouped, selected], "deny")


async def test_no_secret_is_in_it(namespace: Namespace) -> None:
    del namespace
    async with running_agent() as running:
        plant(running.environment)
        running.publish()
        await until(lambda: running.agent.desk.policy is not None and len(running.agent.desk.policy.rules) == 3)
        await until(lambda: running.agent.facts.programmed)
        address = f"http://admin:{USERINFO}@192.0.2.1:1/v1"
        variables = {"CATTLE_URL": address, **SECRETS}
        settings = load_settings({name: value for name, value in variables.items() if name.startswith("CATTLE")})
        gathered = await gather(settings, client_of(running), "CORRAL_PLANTED_TOKEN: unknown setting", variables)
        everything = json.dumps(gathered.files)
        for planted in (LABEL, LONG_LABEL, SECRETS["CATTLE_ACCESS_KEY"]):
            assert planted in everything  # or this test would show nothing
        files = unpacked(pack(redacted(gathered, settings), 0))
        told = "\n".join(files.values())
        for secret in (*SECRETS.values(), USERINFO, LABEL, LONG_LABEL, "LONG0SECRET0"):
            assert [name for name, text in files.items() if secret.casefold() in text.casefold()] == []
        assert "CORRAL_PLANTED_TOKEN" in told
        assert "com.example.db-password" in told


async def test_it_has_what_is_asked_for() -> None:
    async with running_agent() as running:
        await until(lambda: running.agent.facts.programmed)
        settings = settings_of(running)
        bundle = redacted(
            await gather(settings, client_of(running), None, {"CORRAL_MODE": "enforce", "HOME": "x"}), settings
        )
    files = unpacked(pack(bundle, 0))
    contents = json.loads(files.pop(CONTENTS))
    assert contents["files"] == list(files)
    wanted = {"doctor.json", "versions.json", "settings.json", "state.json", "policy.json", "log.json", "metrics.txt"}
    wanted |= {"ruleset-desired.nft", "ruleset-installed.nft", "topology.json"}
    assert wanted <= set(files), contents["missing"]
    assert json.loads(files["settings.json"])["variables_set"] == ["CORRAL_MODE"]
    assert json.loads(files["versions.json"])["packages"]["pyroute2"].startswith("0.")
    assert json.loads(files["state.json"])["inventory"]["local_endpoints"] == 4
    assert files["ruleset-desired.nft"].startswith("table inet corral {")
    assert json.loads(files["log.json"]).keys() == {"level", "lines"}


async def test_without_names() -> None:
    async with running_agent() as running:
        environment = running.environment
        environment.add_stack("Wonder-Stack")
        environment.add_service("Wonder-Stack/unicorn", labels={"com.example.team": "blue walrus", "tier": "velvet"})
        container = environment.create_container("Wonder-Stack/unicorn")
        environment.set_running(container.name, environment.allocate_address(0))
        environment.set_policy(
            [
                {"between": {"groupBy": "com.example.team"}, "action": "allow"},
                {"from": {"selector": "tier=velvet"}, "to": {"selector": "zone=narnia"}, "action": "allow"},
            ],
            "deny",
        )
        running.publish()
        await until(lambda: running.agent.desk.policy is not None and len(running.agent.desk.policy.rules) == 2)
        await until(lambda: running.agent.facts.programmed)
        settings = settings_of(running)
        gathered = await gather(settings, client_of(running), None, {})
        known = redacted(gathered, settings)
        files = unpacked(pack(anonymous(known, settings), 0))
        open_files = unpacked(pack(known, 0))
    names = ["wonder-stack", "unicorn", "walrus", "velvet", "narnia", "front-web-1", "back-job-1", "host1"]
    for name in names:
        assert [file for file, text in files.items() if name in text.casefold()] == []
    told = "\n".join(open_files.values()).casefold()
    assert [name for name in names if name not in told] == []
    # The shape is the same, and so are the addresses that the rulesets are made of.
    assert set(files) == set(open_files)
    counts = [text.count("\n\tset ") for text in (files["ruleset-desired.nft"], open_files["ruleset-desired.nft"])]
    assert counts[0] == counts[1] > 4
    assert files["ruleset-desired.nft"].count("10.42.") == open_files["ruleset-desired.nft"].count("10.42.")
    assert files["ruleset-desired.nft"] == files["ruleset-installed.nft"]


def test_pseudonyms_differ_from_bundle_to_bundle() -> None:
    files: dict[str, Any] = {"topology.json": {"hosts": [{"name": "atlas"}]}}
    settings = load_settings({})
    first, second = (anonymous(Bundle(dict(files)), settings).files for _ in range(2))
    assert first != second
    assert "atlas" not in json.dumps([first, second])


def test_without_the_topology_what_may_hold_names_is_left_out() -> None:
    metrics = 'corral_rule_info{text="between selector team=atlas: allow"} 1.0'
    files = {"versions.json": {}, "doctor.json": ["atlas"], "state.json": {"network": None}, "metrics.txt": metrics}
    clean = anonymous(Bundle(files, {}), load_settings({}))
    assert list(clean.files) == ["versions.json"]
    assert set(clean.missing) == {"doctor.json", "state.json", "metrics.txt"}


def test_a_log_speaks_of_what_is_gone() -> None:
    line = {"at": "x", "level": "info", "event": "gone", "details": {"mode": "audit", "container": "ghost", "count": 3}}
    bundle = Bundle({"topology.json": {}, "log.json": {"level": "info", "lines": [line]}})
    clean = anonymous(bundle, load_settings({})).files["log.json"]
    assert clean["lines"][0]["details"] == {"mode": "audit", "container": "left out", "count": 3}


async def test_without_an_agent(namespace: Namespace) -> None:
    namespace.run("nft add table inet corral")
    settings = load_settings({"CORRAL_METADATA_URL": "http://127.0.0.1:1/x"})
    bundle = await gather(settings, AgentClient("127.0.0.1", 1), None, {})
    assert bundle.files["ruleset-installed.nft"] == "table inet corral {\n}\n"
    assert {"doctor.json", "versions.json", "settings.json", "kernel.json"} <= bundle.files.keys()
    assert "no agent answers" in bundle.missing["state.json"]
    assert "ruleset-installed.nft" not in bundle.missing


def test_what_does_not_fit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.support.bundle.LARGEST", 40_000)
    noise = random.Random(1).randbytes(40_000).hex()  # noqa: S311
    files: dict[str, Any] = {"doctor.json": [], "state.json": {}, "matrix.json": noise, "policy.json": noise[:40_000]}
    packed = pack(Bundle(files, {"x": "why"}), 0)
    assert len(packed) < 45_000
    found = unpacked(packed)
    contents = json.loads(found[CONTENTS])
    assert contents["files"] == ["doctor.json", "state.json", "policy.json"]
    assert contents["missing"]["x"] == "why"
    assert "too many" in contents["missing"]["matrix.json"]
    assert LARGEST < 5_000_000


def test_nobody_else_is_to_read_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack(Bundle({"a": 1}), 7))) as archive:
        assert {(member.mode, member.mtime, member.uid) for member in archive} == {(0o600, 7, 0)}
