"""What is fuzzed: each target takes one input of bytes through the whole path, and checks all that must hold."""

from __future__ import annotations

import json
from typing import Any

from corral.config import Settings, load_settings
from corral.errors import PolicyError, UsageError
from corral.policy.validate import MOST_PROBLEMS, parse_policy
from corral.selector import Selector
from corral.sources.credentials import Credentials

from . import oracles
from .agent import Agent
from .mutation import written
from .target import Target
from .world import COLLECTIONS, POLICIES, document, events, resources, root

SECRET = "s3cr3t"  # noqa: S105 - it is none


def policy(data: bytes) -> None:
    """A network's policy, in the metadata or by an event."""
    given = _decoded(data)
    fields = given if isinstance(given, dict) else {"policy": given}
    rules, default = fields.get("policy"), fields.get("defaultPolicyAction")
    refused = _refusal(rules, default)
    agent = settled()
    before = agent.desired()
    if len(data) % 2:
        _publish(agent, rules, default)
    else:
        _announce(agent, rules, default)
    if refused:
        assert agent.desired() == before, "a rejected policy changed the ruleset"
    oracles.check(agent, data)
    oracles.check_heals(agent)


def _publish(agent: Agent, rules: object, default: object) -> None:
    changed = root()
    for network in changed["networks"]:
        network |= {"policy": rules, "default_policy_action": default}
    agent.read(written(changed))


def _announce(agent: Agent, rules: object, default: object) -> None:
    for message in events():
        if message.get("resourceType") == "network":
            message["data"]["resource"] |= {"policy": rules, "defaultPolicyAction": default}
            agent.hear(written(message))


def _refusal(rules: object, default: object) -> bool:
    try:
        parse_policy(rules, default)
    except PolicyError as error:
        problems = error.problems
    else:
        return False
    assert 0 < len(problems) <= MOST_PROBLEMS
    oracles.check_words(map(str, problems))
    return True


def metadata(data: bytes) -> None:
    """A metadata document: as the first one ever, and after a good one; twice, for equal content changes nothing."""
    for agent in (Agent(), settled()):
        agent.read(data)
        oracles.check(agent, data)
        before = agent.desired()
        agent.read(data)
        assert agent.desired() == before, "the same document again changed the ruleset"
        assert not agent.tracker.pending()
        oracles.check_heals(agent)


def event_stream(data: bytes) -> None:
    """Messages of the event stream, one a line, and answers of the API: lines with `collection` and `data`."""
    agent = settled()
    for line in data.split(b"\n"):
        message = _decoded(line)
        if isinstance(message, dict) and message.get("collection") in COLLECTIONS:
            listed = message.get("data")
            agent.learn(message["collection"], listed if isinstance(listed, list) else [])
        else:
            agent.hear(line)
            assert agent.desired() == agent.scratch(), "the incremental result is not the one from scratch"
    oracles.check(agent, data)
    oracles.check_heals(agent)


def selector(data: bytes) -> None:
    """A selector, and labels for it to look at."""
    text = data.decode(errors="replace")
    try:
        parsed = Selector.parse(text)
    except ValueError as error:
        oracles.check_words([str(error)])
        return
    again = Selector.parse(str(parsed))
    assert again == parsed, f"{text!r} is read back as {again}"
    for clause in parsed.clauses:
        labels = {clause.key.upper(): value.upper() for value in clause.values} or {clause.key: ""}
        assert Selector.parse(str(clause)).matches([labels]) is clause.holds([labels])
    assert not parsed.matches([]), "what has no labels is chosen"


def settings(data: bytes) -> None:
    """Environment variables, as a JSON object or as lines `NAME=value`."""
    given = _decoded(data)
    lines = (line.partition("=") for line in data.decode(errors="replace").split("\n"))
    pairs = given.items() if isinstance(given, dict) else ((name, value) for name, _, value in lines)
    environment = {str(name): str(value).replace("\0", "") for name, value in pairs}
    try:
        loaded = load_settings(environment)
    except UsageError as error:
        _check_secret(environment, str(error))
        oracles.check_words([str(error)])
        return
    _check_secret(environment, repr(loaded))
    _check_usable(loaded)


def _check_secret(environment: dict[str, str], shown: str) -> None:
    """Where the secret was given under another name too, it is no secret."""
    holders = {name for name, value in environment.items() if SECRET in value}
    if holders and all(name.endswith("_SECRET_KEY") for name in holders):
        assert SECRET not in shown, f"a secret is shown: {shown}"


def _check_usable(loaded: Settings) -> None:
    assert loaded.listen.host
    assert 0 <= loaded.listen.port <= 65535
    assert loaded.stale_after.total_seconds() >= 0
    if loaded.rancher_url and loaded.rancher_access_key and loaded.rancher_secret_key:
        try:
            Credentials.of(loaded.rancher_url, loaded.rancher_access_key, loaded.rancher_secret_key.get_secret_value())
        except UsageError as error:
            _check_secret({"X_SECRET_KEY": loaded.rancher_secret_key.get_secret_value()}, str(error))
            oracles.check_words([str(error)])


def settled() -> Agent:
    """An agent that has read the good document and knows what the API lists."""
    agent = Agent()
    assert agent.read(document())
    assert agent.desk.enforceable
    for name, listed in resources():
        agent.learn(name, listed)
    agent.commit(encoded=False)
    return agent


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _policies() -> list[bytes]:
    return [json.dumps(each).encode() for each in POLICIES]


def _documents() -> list[bytes]:
    return [document(), written(root("2015-07-25")), written(root() | {"containers": []})]


def _histories() -> list[bytes]:
    messages = [written(message) for message in events()]
    learned = [written({"collection": name, "data": listed}) for name, listed in resources()]
    return [b"\n".join(messages), b"\n".join([*learned, *messages[-9:]]), *messages[4:]]


def _selectors() -> list[bytes]:
    return [
        b"tier=web", b"tier == web, zone", b"tier!=db", b"zone in (north, south)", b"zone notin (north), tier",
        b"a.b/c-d in(x)",
    ]  # fmt: skip


def _settings() -> list[bytes]:
    credentials = {"URL": "https://rancher.example/v1", "ACCESS_KEY": "key", "SECRET_KEY": SECRET}
    each = {
        "CORRAL_METADATA_URL": "http://[::1]:80/2016-07-29", "CORRAL_LISTEN": "[::1]:8799", "CORRAL_MODE": "off",
        "CORRAL_STALE_AFTER": "500ms", "CORRAL_LOG_FORMAT": "json", "CORRAL_LOG_LEVEL": "debug",
    }  # fmt: skip
    families = [{f"{name}_{key}": value for key, value in credentials.items()} for name in ("CATTLE", "CORRAL_RANCHER")]
    return [json.dumps(one).encode() for one in (each, *families, {**each, **families[0]}, {"CORRAL_MODUS": "x"})]


TARGETS = {
    "policy": Target(policy, _policies),
    "metadata": Target(metadata, _documents),
    "events": Target(event_stream, _histories, lines=True),
    "selector": Target(selector, _selectors),
    "settings": Target(settings, _settings),
}
