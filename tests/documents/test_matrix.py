"""The shape of `/v1/matrix`: a key too many or too few is seen."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydantic import ValidationError

from corral.daemon.answers.cells import matrix_document
from corral.documents.matrix import MatrixDocument, WarningsDocument
from corral.policy.matrix import matrix_of
from corral.policy.profiles import profiles_of

from ..policy.scenes import SEED, WITHIN_STACK, policy
from .checking import check


def answer() -> dict[str, Any]:
    judged_by = policy(WITHIN_STACK)
    return cast("dict[str, Any]", matrix_document(matrix_of(judged_by, profiles_of(SEED, {}, [judged_by])), SEED))


def test_a_real_matrix_has_the_shape() -> None:
    check(MatrixDocument, answer())


def test_an_unknown_verdict_has_not() -> None:
    document = answer()
    document["decisions"][0]["verdict"] = "perhaps"
    with pytest.raises(ValidationError):
        check(MatrixDocument, document)


def test_warnings_without_a_remedy_have_not() -> None:
    warning = {"kind": "shadowed", "rule": 1, "sentence": "it never decides", "remedy": "remove it"}
    check(WarningsDocument, {"policy": "0123456789ab", "warnings": [warning]})
    with pytest.raises(ValidationError):
        check(WarningsDocument, {"policy": "0123456789ab", "warnings": [{**warning, "remedy": None}]})
