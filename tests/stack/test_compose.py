"""The stack's files promise what the documentation does, and agree with the code."""

from __future__ import annotations

import re

import pytest

from corral.config import Settings, load_settings, variable_of
from corral.daemon.watchdog import INTERVAL, MISSES, PATIENCE
from corral.model.entities import AGENT_LABEL

from .rendering import COMPOSE, RANCHER, SIDEKICK, VERSIONS, Json, interpolated, load, references

# Every release of Rancher 1.6 has these in its schema of version 2; a key that is not there is an error.
KNOWN = {
    "image", "network_mode", "cap_drop", "cap_add", "read_only", "tmpfs", "restart", "environment", "labels", "logging"
}  # fmt: skip
FILES = [COMPOSE, SIDEKICK, *(version / "docker-compose.yml" for version in VERSIONS)]


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(COMPOSE.parent)))
def service(request: pytest.FixtureRequest) -> Json:
    """The service, with all that is asked for left open."""
    document = interpolated(load(request.param), {"CORRAL_IMAGE": "corral:1"})
    assert document["version"] == "2"
    found: Json = document["services"]["corral"]
    return found


def environment() -> Json:
    given: Json = load(COMPOSE)["services"]["corral"]["environment"]
    return given


def test_only_what_rancher_knows_is_said(service: Json) -> None:
    assert set(service) == KNOWN


def test_the_privileges_are_one_capability_and_the_hosts_network(service: Json) -> None:
    """Nor is there a pid namespace, a socket, a volume, a device or `no-new-privileges`: `KNOWN` has no key for it."""
    assert service["cap_drop"] == ["ALL"]
    assert service["cap_add"] == ["NET_ADMIN"]
    assert service["network_mode"] == "host"
    assert service["read_only"] is True
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]  # noqa: S108
    assert {"noexec", "nosuid", "nodev"} <= set(service["tmpfs"][0].partition(":")[2].split(","))


def test_the_log_is_bounded(service: Json) -> None:
    assert service["logging"]["driver"] == "json-file"
    assert re.fullmatch(r"\d+m", service["logging"]["options"]["max-size"])
    assert re.fullmatch(r"\d+", service["logging"]["options"]["max-file"])


def test_a_stopped_agent_stays_stopped_when_the_host_starts(service: Json) -> None:
    """Of an upgrade the old container is left, for a rollback."""
    assert service["restart"] == "unless-stopped"


def test_labels_are_texts_and_ask_for_keys(service: Json) -> None:
    """YAML's `true` is no text, and Rancher compares with one."""
    assert all(isinstance(value, str) for value in service["labels"].values())
    assert service["labels"]["io.rancher.container.create_agent"] == "true"
    assert service["labels"]["io.rancher.container.agent.role"] == "environment"
    assert service["labels"][AGENT_LABEL] == "true"


def test_it_runs_on_every_host() -> None:
    for path in FILES:
        labels = load(path)["services"]["corral"]["labels"]
        on_its_own = path != SIDEKICK
        assert (labels.get("io.rancher.scheduler.global") == "true") is on_its_own


def test_each_variable_is_a_setting_and_its_answer_has_the_same_name() -> None:
    known = {variable_of(field) for field in Settings.model_fields}
    for path in FILES:
        given = load(path)["services"]["corral"]["environment"]
        assert set(given) <= known
        asked = {name: value for name, value in given.items() if references(value)}
        assert asked == {name: f"${{{name}}}" for name in asked}
        assert references(load(path)) - {"CORRAL_IMAGE"} == set(asked)


def test_what_is_left_open_is_the_agents_default(service: Json) -> None:
    told = {"CORRAL_HEALTH_LISTEN": service["environment"].get("CORRAL_HEALTH_LISTEN", "")}
    assert load_settings(service["environment"]) == load_settings(told)


def test_the_health_check_asks_where_the_agent_answers() -> None:
    listen = load_settings({"CORRAL_HEALTH_LISTEN": environment()["CORRAL_HEALTH_LISTEN"]}).health_listen
    assert listen is not None
    assert listen.host == "0.0.0.0"  # noqa: S104 - the check comes to the host's address, which no file can know
    for path in (RANCHER, *(version / "rancher-compose.yml" for version in VERSIONS)):
        check = load(path)["services"]["corral"]["health_check"]
        assert check["port"] == listen.port
        assert check["request_line"] == "GET /healthz HTTP/1.0"
        assert check["strategy"] == "recreate"
        assert check["response_timeout"] <= check["interval"]


def test_rancher_waits_for_the_watchdog() -> None:
    """What hangs ends by itself first: a container that is made anew has lost its log."""
    check = load(RANCHER)["services"]["corral"]["health_check"]
    failing = check["unhealthy_threshold"] * check["interval"] / 1000
    assert failing > 1.25 * (INTERVAL * (MISSES + 1) + 2 * PATIENCE)


def test_an_upgrade_stops_the_old_one_first_and_goes_host_by_host() -> None:
    assert load(RANCHER)["services"]["corral"]["upgrade_strategy"] == {
        "start_first": False,
        "batch_size": 1,
        "interval_millis": 2000,
    }
    assert load(RANCHER)["services"]["corral"]["start_on_create"] is True


def test_the_sidekick_is_the_same_but_for_what_its_primary_does() -> None:
    alone, beside = (load(path)["services"]["corral"] for path in (COMPOSE, SIDEKICK))
    del alone["labels"]["io.rancher.scheduler.global"]
    del alone["environment"]["CORRAL_HEALTH_LISTEN"]  # nobody would ask: see its README
    assert beside == alone
    primaries = {name: said for name, said in load(SIDEKICK)["services"].items() if name != "corral"}
    assert primaries == {"network-manager": {"labels": {"io.rancher.sidekicks": "corral"}}}


@pytest.mark.parametrize("text", ["${CORRAL_MODE:-enforce}", "${CORRAL_MODE-x}", "$", "${}", "a $- b"])
def test_what_rancher_can_not_interpolate_is_noticed(text: str) -> None:
    with pytest.raises(ValueError, match="Rancher can not interpolate"):
        interpolated({"a": [text]}, {})


def test_interpolation() -> None:
    given = {"a": ["$A-${B}", "$$A", 1, True], "b": "${C}"}
    assert interpolated(given, {"A": "x", "B": "y"}) == {"a": ["x-y", "$A", 1, True], "b": ""}
