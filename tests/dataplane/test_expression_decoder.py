"""Rule expressions on their way back: the inverse for all of ours, a refusal for all others."""

from __future__ import annotations

import pytest
from hypothesis import given

from corral.dataplane.expression_decoder import UnknownExpressionError, decode_expressions
from corral.dataplane.expressions import KernelExpression, encode_expressions, encode_run, kernel_run
from corral.nft.values import Equals, Field, InRange, InSet, Ruleset, State, Verb, Verdict
from tests.dataplane.rulesets import WORKED_EXAMPLE, rulesets

DROP = kernel_run(Verdict(Verb.DROP))
SOURCE = kernel_run(InSet(Field.SOURCE, "a"))
CLIENT = kernel_run(InSet(Field.CLIENT, "a"))
PORTS = kernel_run(InRange(Field.SERVER_PORT, 1, 2))
STATE = kernel_run(State(("new",)))
IS_IPV4 = kernel_run(Equals(Field.FAMILY, "ipv4"))


def changed(expression: KernelExpression, **attributes: object) -> KernelExpression:
    return KernelExpression(expression.name, {**expression.attributes, **attributes})


@pytest.mark.parametrize("rule", [rule for chain in WORKED_EXAMPLE.chains.values() for rule in chain.rules])
def test_ours_survive(rule: object) -> None:
    expressions = getattr(rule, "expressions")  # noqa: B009
    assert decode_expressions(encode_expressions(expressions)) == expressions


@given(rulesets())
def test_random_ones_survive(ruleset: Ruleset) -> None:
    for rule in ruleset.chains["zone"].rules:
        assert decode_expressions(encode_expressions(rule.expressions)) == rule.expressions


@pytest.mark.parametrize(
    "run",
    [
        [KernelExpression("counter", {})],
        [KernelExpression("limit", {}), *DROP],
        SOURCE,  # without the family that nft would have hidden: this matches IPv6 bytes, too
        [*DROP, *DROP],
        CLIENT[:1],
        [CLIENT[0], changed(CLIENT[1], NFTA_LOOKUP_DREG=1)],
        [changed(CLIENT[0], NFTA_CT_DREG=2), CLIENT[1]],
        [changed(CLIENT[0], NFTA_CT_KEY=0x14), CLIENT[1]],
        PORTS[:2],
        [PORTS[0], PORTS[2], PORTS[1]],
        [*PORTS[:2], changed(PORTS[2], NFTA_CMP_DATA=b"\x00\x01")],
        [*PORTS[:1], changed(PORTS[1], NFTA_CMP_OP=1)],
        STATE[:2],
        [STATE[0], changed(STATE[1], NFTA_BITWISE_MASK=bytes(4)), STATE[2]],
        [STATE[0], changed(STATE[1], NFTA_BITWISE_MASK=b"\xff" * 4), STATE[2]],
        [STATE[0], STATE[1], changed(STATE[2], NFTA_CMP_OP=0)],
        [kernel_run(Equals(Field.FAMILY, "ipv6"))[0], changed(IS_IPV4[1], NFTA_CMP_DATA=b"\x07")],
        [changed(DROP[0], NFTA_IMMEDIATE_DATA=(3, ""))],
    ],
)
def test_others_are_unknown(run: list[KernelExpression]) -> None:
    with pytest.raises(UnknownExpressionError):
        decode_expressions(encode_run(run))


def test_what_can_not_be_read_is_unknown() -> None:
    packed = encode_run(DROP)
    with pytest.raises(UnknownExpressionError):
        decode_expressions(packed[:4] + packed[8:])
