from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from corral.nft.names import LONGEST_COMMENT, LONGEST_NAME, comment, digest, object_name

# What nft 1.0's scanner calls a string, without its first-character exceptions.
NFT_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9/_.-]*")

LIKELY = st.text(alphabet="ab/_.- é:", max_size=6)
PARTS = st.lists(st.one_of(LIKELY, st.text(max_size=80), st.sampled_from(["a" * 70, "-" + "a" * 16])), max_size=4)
KINDS = st.sampled_from(["stack", "service", "label"])
IDENTITIES = st.tuples(KINDS, PARTS.map(tuple))


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (("stack", "frontend"), "stack/frontend"),
        (("service", "front", "web"), "service/front/web"),
        (("label", "com.rancher.department", "qa"), "label/com.rancher.department/qa"),
        (("known",), "known"),
    ],
)
def test_plain_names_are_spelled_out(identity: tuple[str, ...], name: str) -> None:
    assert object_name(*identity) == name


@pytest.mark.parametrize("part", ["a b", "a/b", "", "é", "x" * 60, "a-" + "b" * 16, "\ud800"])
def test_other_names_keep_a_readable_start_and_get_a_digest(part: str) -> None:
    name = object_name("label", part)
    assert name.startswith(("label/" + part[:1]) if part[:1].isascii() else "label/_")
    assert name.endswith("-" + digest("label", part))


@given(IDENTITIES)
def test_names_are_legal_identifiers(identity: tuple[str, tuple[str, ...]]) -> None:
    kind, parts = identity
    name = object_name(kind, *parts)
    assert NFT_IDENTIFIER.fullmatch(name)
    assert len(name) <= LONGEST_NAME


@given(IDENTITIES, IDENTITIES)
@example(("label", ("a", "b/c")), ("label", ("a/b", "c")))
@example(("label", ("a b",)), ("label", ("a_b",)))
@example(("label", ("",)), ("label", ()))
def test_different_identities_have_different_names(
    one: tuple[str, tuple[str, ...]], other: tuple[str, tuple[str, ...]]
) -> None:
    assert (object_name(one[0], *one[1]) == object_name(other[0], *other[1])) == (one == other)


@given(IDENTITIES)
def test_nobody_can_choose_the_name_that_another_identity_got(identity: tuple[str, tuple[str, ...]]) -> None:
    kind, parts = identity
    name = object_name(kind, *parts)
    copied = tuple(name.split("/")[1:])
    assert copied == parts or object_name(kind, *copied) != name


@given(st.lists(st.text(max_size=3), max_size=3), st.lists(st.text(max_size=3), max_size=3))
def test_digest_tells_lists_apart(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) == (one == other)


@given(st.text(max_size=200))
def test_comments_fit_nft(text: str) -> None:
    result = comment(text)
    assert len(result.encode()) <= LONGEST_COMMENT
    assert '"' not in result
    assert result.isprintable()


def test_comments_keep_what_fits() -> None:
    assert comment("policy[0] within stack: allow") == "policy[0] within stack: allow"
    assert comment('a "quoted"\nline') == "a 'quoted'?line"
    assert comment("x" * 127) == "x" * 127
    assert comment("é" * 64) == "é" * 62 + "…"
