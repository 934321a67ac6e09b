"""What becomes of what is denied, and how it reads."""

from __future__ import annotations

import pytest

from corral.dataplane.expressions import encode_expressions
from corral.nft.names import LONGEST_NAME
from corral.nft.text import render_rule
from corral.nft.values import Count, Field, Verb, Verdict
from corral.policy.enforcement import ENFORCE, Enforcement, denied_chain, deny, log_prefix
from corral.policy.render import rule_counter

from .scenes import WITHIN_STACK, policy

EACH = "timeout 1m limit rate 5/second burst 10 packets"
ALL = "limit rate 100/second burst 100 packets"


def lines(enforcement: Enforcement, client: Field | None = Field.CLIENT) -> list[str]:
    chain = denied_chain("default-deny", "no rule matches", client, enforcement)
    assert (chain.name, chain.comment, chain.hook) == ("denied/default-deny", "no rule matches", None)
    return [render_rule(rule) for rule in chain.rules]


def test_what_is_denied_is_told_of_and_dropped() -> None:
    log = 'log prefix "corral deny default-deny" group 8799 snaplen 128'
    assert lines(ENFORCE) == [f"update @denied-clients {{ ct original ip saddr {EACH} }} {ALL} {log}", "drop"]


def test_in_audit_it_is_told_of_and_passes() -> None:
    log = 'log prefix "corral audit default-deny" group 8799 snaplen 128'
    told, verdict = lines(Enforcement(audit=True))
    assert told == f"update @denied-clients {{ ct original ip saddr {EACH} }} {ALL} {log}"
    assert verdict == 'accept comment "audit: nothing is dropped"'


@pytest.mark.parametrize(("audit", "verb"), [(False, "drop"), (True, "accept")])
def test_without_a_log_there_is_the_verdict_alone(*, audit: bool, verb: str) -> None:
    (verdict,) = lines(Enforcement(audit=audit, log=False))
    assert verdict.split()[0] == verb


def test_a_packet_without_a_flow_has_its_source_for_its_client_and_ipv6_has_none() -> None:
    assert lines(ENFORCE, Field.SOURCE)[0].startswith("update @denied-clients { ip saddr timeout")
    assert lines(ENFORCE, None)[0].startswith(f"{ALL} log prefix")


def test_the_rule_that_denies_counts_and_goes_there() -> None:
    assert deny("x") == (Count("x"), Verdict(Verb.GOTO, "denied/x"))


def test_names_and_prefixes_fit() -> None:
    counter = rule_counter(policy({**WITHIN_STACK, "action": "deny"}).rules[0])
    chain = denied_chain(counter, "é" * 200, Field.CLIENT, ENFORCE)
    assert len(chain.name) <= LONGEST_NAME
    assert log_prefix(counter, audit=True) == f"corral audit {counter}"
    for rule in chain.rules:
        encode_expressions(rule.expressions)
