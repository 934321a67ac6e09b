"""Names and addresses are replaced everywhere, always by the same pseudonym, and nothing else is."""

from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.support.pseudonyms import _NAME_KEYS, _VOCABULARY, Pseudonyms, names_in
from corral.types import Subnet

NAMES = ["shop", "shop-web-1", "Web", "acme corp.", "tier.gold", "1", "8080", "20161107", "allow", "x", "münchen"]


@pytest.fixture
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(b"salt", NAMES, [Subnet.parse("10.42.0.0/16")])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("shop", "{shop}"),
        ("SHOP/web", "{shop}/{web}"),
        ("service shop/web: gone", "service {shop}/{web}: gone"),
        ("shop-web-1", "{shop-web-1}"),
        ("shop-web-2", "{shop}-{web}-2"),
        ("my_shop.web", "my_{shop}.{web}"),
        ("x-shop-web-1-y", "x-{shop-web-1}-y"),
        ("workshop webs", "workshop webs"),
        ("by Acme Corp. only", "by {acme corp.} only"),
        ("within stack: allow", "within stack: allow"),
        ("ports 8080/tcp, rule 1", "ports 8080/tcp, rule 1"),
        ("version 20161107", "version {20161107}"),
        ("in MÜNCHEN", "in {münchen}"),
        ('set stack/shop { comment "stack shop" }', 'set stack/{shop} {{ comment "stack {shop}" }}'),
    ],
)
def test_texts(pseudonyms: Pseudonyms, text: str, told: str) -> None:
    found = pseudonyms.text(text)
    expected = told
    for name in NAMES:
        expected = expected.replace("{" + name.casefold() + "}", pseudonyms.of(name))
    assert found == expected.replace("{{", "{").replace("}}", "}")


def test_the_rest_of_a_sets_name_may_be_cut_off(pseudonyms: Pseudonyms) -> None:
    assert "a-very-long-na" not in pseudonyms.text("@label/tier/a-very-long-na-abcdefghijklmnop accept")


def test_addresses(pseudonyms: Pseudonyms) -> None:
    kept = "10.42.1.2 10.42.0.0/16 127.0.0.1:80 169.254.169.250 0.0.0.0 255.255.0.0 999.1.1.1 1.2.3"
    assert pseudonyms.text(kept) == kept
    replaced = pseudonyms.text("http://203.0.113.7:80 203.0.113.7 203.0.113.8")
    first, second, third = replaced.split()
    assert first == f"http://{second}:80"
    assert second.startswith("198.1")
    assert third not in {second, "203.0.113.8"}
    assert pseudonyms.text("fe80::1:2:3:4 02:42:ac:11:00:02 at 12:30:15") == "[address] [address] at 12:30:15"


def test_documents(pseudonyms: Pseudonyms) -> None:
    document = {
        "name": "x",
        "labels": {"tier": "anything", "deep": ["else", ""]},
        "services": [["", "shop", "web"]],
        "links": {"db": "shop/web"},
        "rules": ["from tier=gold: allow"],
        "uuid": "1fc9a722-45d3-5df6-9972-a4beca12db36",
        "shop": 1,
        "host": {"name": "10.42.1.2", "count": 3, "ok": None},
    }
    of = pseudonyms.of
    assert pseudonyms.document(document) == {
        "name": of("x"),
        "labels": {"tier": of("anything"), "deep": [of("else"), ""]},
        "services": [["", of("shop"), of("web")]],
        "links": {"db": f"{of('shop')}/{of('web')}"},
        "rules": ["from tier=gold: allow"],
        "uuid": "1fc9a722-45d3-5df6-9972-a4beca12db36",
        of("shop"): 1,
        "host": {"name": "10.42.1.2", "count": 3, "ok": None},
    }


def test_names_of_documents() -> None:
    document = {
        "self_host": "1fc9a722-45d3-5df6-9972-a4beca12db36",
        "hosts": [{"name": "Atlas", "agent_ip": "192.0.2.1", "hostname": "atlas.example"}],
        "endpoints": [{"services": [["", "shop", "web"]], "labels": [{"tier": "gold", "a b": "c d"}]}],
        "party": "shop/db + shop/cache",
        "policy": [{"from": {"selector": "tier in (silver, bronze), zone!=blue"}}],
        "rules": ["from size=large to zone==red ports 80/tcp: allow"],
        "links": {"alias": "other/place"},
        "sentence": "nothing here",
        "number": 5,
    }
    found = set(names_in(document))
    assert {"Atlas", "atlas.example", "shop", "web", "gold", "c d", "db", "cache"} <= found
    assert {"silver", "bronze", "blue", "large", "red", "alias", "other", "place"} <= found
    assert not {"nothing here", "192.0.2.1", "tier", "1fc9a722-45d3-5df6-9972-a4beca12db36"} & found


def test_another_salt_makes_other_pseudonyms() -> None:
    one, other = Pseudonyms(b"1", ["shop"]), Pseudonyms(b"2", ["shop"])
    assert one.of("shop") != other.of("shop")
    assert one.of("shop/web") == f"{one.of('shop')}/{one.of('web')}"


plain_names = st.text(string.ascii_lowercase + string.digits + "-._", min_size=6, max_size=12).filter(
    lambda name: name[0].isalpha() and name[-1].isalnum() and name not in _VOCABULARY | _NAME_KEYS
)
EVERYTHING = st.recursive(
    plain_names | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_names, inner, max_size=3),
)


@given(st.lists(plain_names, min_size=1, max_size=5), EVERYTHING)
def test_no_name_is_left(names: list[str], document: object) -> None:
    pseudonyms = Pseudonyms(b"salt", names)
    clean = json.dumps(pseudonyms.document([document, names, {"name": names, "text": " and ".join(names)}]))
    words = set(json.loads(json.dumps(clean)).replace('"', " ").replace(",", " ").replace("[", " ").split())
    assert not words & set(names)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('counter name "rule-allow-7gsihnaq" accept', "7gsihnaq"),
        ('log prefix "corral audit rule-deny-xpgx7hqh" group 8799', "xpgx7hqh"),
        ("goto denied/rule-deny-xpgx7hqh", "xpgx7hqh"),
        ("10.42.11.3 : jump to-6vawumruh3f532ym", "6vawumruh3f532ym"),
        ("programmed under policy fd4436eb6d81, read back", "fd4436eb6d81"),
    ],
)
def test_digests_confirm_no_guess(pseudonyms: Pseudonyms, text: str, kept: str) -> None:
    """What a rule is called in the table is made of its text alone: whoever guesses the text could check it."""
    told = pseudonyms.text(text)
    assert kept not in told
    assert len(told) == len(text)
    assert told == pseudonyms.text(text)


@pytest.mark.parametrize("text", ["11111111-2222-3333-4444-fd4436eb6d81", "goto default-action", "123456789012345"])
def test_what_is_no_digest_stays(pseudonyms: Pseudonyms, text: str) -> None:
    assert pseudonyms.text(text) == text
