from __future__ import annotations

import pytest
from hypothesis import given

from corral.nft.contents import Contents
from corral.nft.values import Ruleset, Verb, Verdict

from .rulesets import rulesets


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (Verdict(Verb.ACCEPT), "accept"),
        (Verdict(Verb.DROP), "drop"),
        (Verdict(Verb.RETURN), "return"),
        (Verdict(Verb.JUMP, "check"), "jump check"),
        (Verdict(Verb.GOTO, "to-1"), "goto to-1"),
    ],
)
def test_a_verdict_reads_as_nft_prints_it(verdict: Verdict, text: str) -> None:
    assert str(verdict) == text


@given(rulesets(), rulesets())
def test_rulesets_are_equal_when_their_content_is(one: Ruleset, other: Ruleset) -> None:
    assert Contents.of(one).ruleset() == one
    assert (one == other) == (Contents.of(one) == Contents.of(other))
