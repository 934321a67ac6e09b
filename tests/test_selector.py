from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.selector import Selector


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        ("app", {"app": ""}, True),
        ("app", {"apps": "x"}, False),
        ("app=web", {"app": "web"}, True),
        ("app == web", {"app": "web"}, True),
        ("app=web", {"app": "db"}, False),
        ("app=web", {}, False),
        ("APP=Web", {"app": "wEB"}, True),
        ("app=web", {"App": "WEB"}, True),
        ("location=new york", {"location": "New York"}, True),
        ("app!=web", {"app": "db"}, True),
        ("app!=web", {"app": "WEB"}, False),
        ("app!=web", {"other": "db"}, False),
        ("app in (web, db)", {"app": "DB"}, True),
        ("app in(web,db)", {"app": "cache"}, False),
        ("app notin (web, db)", {"app": "cache"}, True),
        ("app NOTIN (web, db)", {"app": "db"}, False),
        ("app notin (web, db)", {}, False),
        ("app in (web, db), tier=front", {"app": "db", "tier": "front"}, True),
        ("app in (web, db), tier=front", {"app": "db", "tier": "back"}, False),
        ("io.rancher.stack/name=a:b@c", {"io.rancher.stack/name": "a:b@c"}, True),
        ("app=web", {"app": "db", "APP": "web"}, True),
        ("app!=web", {"app": "db", "APP": "web"}, False),
    ],
)
def test_one_container(text: str, labels: dict[str, str], expected: bool) -> None:
    assert Selector.parse(text).matches([labels]) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app=web", True),
        ("app=db", True),
        ("app in (db, cache)", True),
        ("side", True),
        ("app!=web", False),
        ("app notin (db)", False),
        ("app notin (cache)", True),
        ("missing!=x", False),
        ("app=web, side=yes", True),
    ],
)
def test_several_containers_on_one_endpoint(text: str, expected: bool) -> None:
    assert Selector.parse(text).matches([{"app": "web"}, {"App": "DB", "side": "yes"}, {}]) is expected


def test_nothing_matches_without_containers() -> None:
    assert not Selector.parse("app").matches([])


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", ",", "a=1,", ",a=1", "a=1,,b=2",
        "key > 3", "key<3", "key ~ x", "key~=x", "key===x", "key=!x", "key =", "=x", "!key", "a b",
        "key in (a", "key in a)", "key in a", "key in ()", "key in (a,)", "key in ((a))", "key in (a>b)",
        "key not in (a)", "keyin(a)", "a=1 && b=2", "clé=1", ")(", "key in (a) b",
    ],
)  # fmt: skip
def test_errors_name_the_text_and_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="allowed: clauses joined by commas") as error:
        Selector.parse(text)
    assert repr(text) in str(error.value)


def test_canonical_text() -> None:
    selector = Selector.parse(" Tier == Front ,app in (DB,web , db), b notin (x), a!=y, flag")
    assert str(selector) == "a!=y, app in (db, web), b!=x, flag, tier=front"


def test_order_and_repetition_do_not_matter() -> None:
    assert Selector.parse("a=1, b, a=1") == Selector.parse("B,A==1")


_words = st.text("abAB.-", min_size=1, max_size=3)
_clauses = st.one_of(
    _words,
    st.builds("{}{}{}".format, _words, st.sampled_from(["=", "==", "!="]), _words),
    st.builds(
        lambda key, operator, values: f"{key} {operator} ({', '.join(values)})",
        _words,
        st.sampled_from(["in", "notin"]),
        st.lists(_words, min_size=1, max_size=3),
    ),
)
_labels = st.lists(st.dictionaries(_words, _words, max_size=4), max_size=3)


@given(st.lists(_clauses, min_size=1, max_size=3).map(",".join))
def test_canonical_text_reads_back(text: str) -> None:
    selector = Selector.parse(text)
    assert Selector.parse(str(selector)) == selector
    assert str(Selector.parse(str(selector))) == str(selector)


@given(st.lists(_clauses, min_size=1, max_size=3), _labels)
def test_a_selector_is_the_conjunction_of_its_clauses(clauses: list[str], labels: list[dict[str, str]]) -> None:
    expected = all(Selector.parse(clause).matches(labels) for clause in clauses)
    assert Selector.parse(",".join(clauses)).matches(labels) is expected


@given(_words, _words, _labels)
def test_equal_and_different_split_those_that_carry_the_label(
    key: str, value: str, labels: list[dict[str, str]]
) -> None:
    present = Selector.parse(key).matches(labels)
    equal = Selector.parse(f"{key}={value}").matches(labels)
    different = Selector.parse(f"{key}!={value}").matches(labels)
    assert (equal, different) in ({(True, False), (False, True)} if present else {(False, False)})


@given(st.text("ab=!<>~(), in", max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        selector = Selector.parse(text)
    except ValueError:
        return
    assert selector.clauses
