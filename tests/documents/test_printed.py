"""What commands print that no agent answers."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.documents.printed import PolicyFile, RulesetText
from corral.policy.document import PolicyDocument

from .checking import check


def test_a_policy_is_shown_as_its_file_even_where_it_is_none() -> None:
    for policy, default in (([{"within": "stack", "action": "allow"}], "deny"), ("nonsense", 3), (None, None)):
        check(PolicyFile, PolicyDocument(policy, default).tidied().as_json())
    with pytest.raises(ValidationError):
        check(PolicyFile, {"policy": []})


def test_a_ruleset_says_which_it_is() -> None:
    check(RulesetText, {"which": "desired", "text": ""})
    with pytest.raises(ValidationError):
        check(RulesetText, {"text": ""})
