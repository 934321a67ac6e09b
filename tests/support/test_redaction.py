"""Secrets do not leave the host, whatever they stand in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.support.redaction import REDACTED, Redactor, is_secret_name, secrets_in

SALT = b"salt"


@pytest.fixture
def redactor() -> Redactor:
    return Redactor(["k3y", "s3cret-key", "key:pair"], SALT)


@pytest.mark.parametrize(
    "text",
    [
        "GET http://user:hunter2@server/v1",
        "ws://hunter2@server",
        "http://a:b@hunter2@server",
        "Authorization: Basic hunter2==",
        '"authorization": "hunter2"',
        "Cookie: a=b; session=hunter2",
        "the answer to Bearer hunter2 is 401",
        "DB_PASSWORD=hunter2",
        "com.example.api-key == hunter2",
        "from db.password=hunter2 to tier=web: allow",
        "tier=web,api.token!=hunter2",
        "password in (a, hunter2)",
        "secret notin (hunter2)",
        "password: 'hunter2'",
        "/v1/x?access_key=hunter2&limit=1",
        "set label/com.example.password/hunter2 {",
        "ct original ip saddr @selector/db_token_hunter2-abcdefgh accept",
    ],
)
def test_texts(redactor: Redactor, text: str) -> None:
    assert "hunter2" not in redactor.text(text)


@pytest.mark.parametrize(
    "text",
    [
        "credentials: no credentials for Rancher's API",
        "http://server:8080/v1?limit=1",
        "label tier=web",
        "set stack/shop { type ipv4_addr }",
        "kernel: the kernel refuses nftables",
        'corral_rule_packets_total{counter="default-deny"} 5.0',
        "2026-11-23T02:35:15.123Z",
    ],
)
def test_what_is_none_stays(redactor: Redactor, text: str) -> None:
    assert redactor.text(text) == text


def test_known_secrets_go_wherever_they_are(redactor: Redactor) -> None:
    # echo -n key:pair | base64
    assert redactor.text("x s3cret-key a2V5OnBhaXI= key:pair") == f"x {REDACTED} {REDACTED} {REDACTED}"
    assert redactor.text("k3y") == "k3y"  # too short to be one, and to be told from the rest


def test_documents(redactor: Redactor) -> None:
    given_document = {
        "rancher_secret_key": "hunter2",
        "access_key": "hunter2",
        "labels": {"com.example.password": "hunter2", "tier": "web"},
        "many": {"token": ["hunter2", {"x": "hunter2"}], "secret": None, "has_secret": True, "password": ""},
        "environment": [{"key": "DB_PASSWORD", "value": "hunter2"}, {"name": "auth", "values": ["hunter2"]}],
        "urls": ["http://a:hunter2@b"],
        "db.password=hunter2": 1,
    }
    clean = redactor.document(given_document)
    assert "hunter2" not in json.dumps(clean)
    assert clean["labels"] == {"com.example.password": REDACTED, "tier": "web"}
    assert clean["many"] == {"token": REDACTED, "secret": None, "has_secret": True, "password": ""}
    assert list(clean["environment"][0]) == ["key", "value"]


def test_secrets_of_a_document_are_known_elsewhere() -> None:
    document = {
        "labels": {"password": ["hunter2", "hunter3"]},
        "list": [{"key": "token", "value": "hunter4"}],
        "secret": {"deep": ["hunter5"]},
        "other": "fine",
    }
    found = list(secrets_in(document))
    assert found == ["hunter2", "hunter3", "hunter4", "hunter5"]
    assert Redactor(found, SALT).text("hunter2 hunter5, fine") == f"{REDACTED} {REDACTED}, fine"


def test_names_of_sets_stay_apart(redactor: Redactor) -> None:
    first, second = (redactor.text(f"@label/password/{value}") for value in ("one", "two"))
    assert first != second
    assert first == redactor.text("@label/password/one")
    assert Redactor([], b"other").text("@label/password/one") != first


@pytest.mark.parametrize("name", ["CATTLE_SECRET_KEY", "access-key", "apiKey", "db.passwd", "X-Auth-Token", "pwd"])
def test_names_that_speak_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["key", "name", "author", "tier", "io.rancher.stack.name"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret_name(name)


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_the_shape_stays(value: object) -> None:
    clean = Redactor(["secret"], SALT).document(value)
    assert type(clean) is type(value)


def test_what_a_selector_compares_with_a_secret_is_one_as_a_whole() -> None:
    """In any letter case, with spaces, in a list, in a rule that is a text, cut off and quoted."""
    rule = json.dumps({"from": {"selector": "api.token=Zaphod&Trillian Marvin"}, "to": {"selector": "tier=web"}})
    selector = "tier=web, secret in (SlartiBart, Ford Prefect)"
    document = {
        "labels": {"db_password": "Hunter Two & Half"},
        "policy": [rule, {"between": {"selector": selector}, "action": "deny"}],
        "rules": ["from api.token=zaphod&trillian marvin to tier=web: allow", "selector secret in (ford prefect)"],
        "table": 'comment "selector secret in (ford prefect, slartib…"\ncomment "selector api.token=zaphod&trill…"',
        "log": [
            "both have db_password=hunter two & half",
            "GET /?x=Hunter%20Two%20%26%20Half",
            "x=Hunter+Two+%26+Half",
        ],
    }
    clean = Redactor(secrets_in(document), SALT).document(document)
    told = json.dumps(clean).casefold()
    for word in ("hunter", "half", "zaphod", "trill", "marvin", "slartib", "ford", "prefect"):
        assert word not in told, told
    assert clean["policy"][1]["between"]["selector"].startswith("tier=web, secret in (")
    assert json.loads(clean["policy"][0])["to"] == {"selector": "tier=web"}
    assert clean["rules"][0].endswith(" to tier=web: allow")


def test_words_that_documents_are_made_of_are_no_secrets() -> None:
    document = {"labels": {"auth": "allow", "cookie": "true"}, "rules": ["within stack: allow"], "x": "true"}
    clean = Redactor(secrets_in(document), SALT).document(document)
    assert (clean["rules"], clean["x"], clean["labels"]["auth"]) == (["within stack: allow"], "true", REDACTED)
