"""Rule expressions on their way back: the inverse for all of ours, a refusal for all others."""

from __future__ import annotations

import pytest
from hypothesis import given

from corral.dataplane.expression_decoder import UnknownExpressionError, decode_expressions
from corral.dataplane.expressions import KernelExpression, encode_expressions, encode_run, kernel_run
from corral.dataplane.messages import attribute, attributes, number_attribute, text_attribute
from corral.nft.values import (
    Equals,
    Field,
    InRange,
    InSet,
    Limit,
    LimitEach,
    Log,
    Ruleset,
    State,
    Verb,
    Verdict,
)
from tests.dataplane.rulesets import WORKED_EXAMPLE, rulesets

DROP = kernel_run(Verdict(Verb.DROP))
SOURCE = kernel_run(InSet(Field.SOURCE, "a"))
CLIENT = kernel_run(InSet(Field.CLIENT, "a"))
PORTS = kernel_run(InRange(Field.SERVER_PORT, 1, 2))
STATE = kernel_run(State(("new",)))
(LIMIT,) = kernel_run(Limit(1, 1))
(LOG,) = kernel_run(Log("x", 1, 1))
EACH = kernel_run(LimitEach(Field.CLIENT, "a", 60, Limit(1, 1)))
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
        [changed(LIMIT, NFTA_LIMIT_UNIT=60)],
        [changed(LIMIT, NFTA_LIMIT_FLAGS=1)],  # over
        [changed(LIMIT, NFTA_LIMIT_TYPE=1)],  # bytes
        [changed(LIMIT, NFTA_LIMIT_RATE=0)],
        [KernelExpression("log", {})],
        [changed(LOG, NFTA_LOG_PREFIX='say "no"')],
        EACH[:1],
        [EACH[0], changed(EACH[1], NFTA_DYNSET_OP=0)],
        [EACH[0], changed(EACH[1], NFTA_DYNSET_SREG_KEY=2)],
        [EACH[0], changed(EACH[1], NFTA_DYNSET_TIMEOUT=1500)],
        [EACH[0], changed(EACH[1], NFTA_DYNSET_EXPR=LOG)],
        [EACH[0], changed(EACH[1], NFTA_DYNSET_EXPR=changed(LIMIT, NFTA_LIMIT_UNIT=60))],
        [*kernel_run(Equals(Field.PROTOCOL, "tcp"))[:-1], EACH[1]],  # for each protocol
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


@pytest.mark.parametrize(("flags", "known"), [(0, True), (1, False)])  # the latter is NFT_DYNSET_F_INV
def test_a_kernel_sends_the_flags_of_an_update_even_if_there_are_none(flags: int, *, known: bool) -> None:
    load, update = encode_run(EACH[:1]), dict(attributes(encode_run(EACH[1:])))[1]
    data = dict(attributes(update))[2] + number_attribute(9, flags)
    packed = load + attribute(1, text_attribute(1, "dynset") + attribute(2, data))
    if known:
        assert decode_expressions(packed) == (LimitEach(Field.CLIENT, "a", 60, Limit(1, 1)),)
    else:
        with pytest.raises(UnknownExpressionError):
            decode_expressions(packed)
