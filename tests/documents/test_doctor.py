"""The doctor's document against what it really says."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from corral.cli.doctor import examination
from corral.documents.doctor import Examination
from tests.documents.checking import check
from tests.kernel.namespaces import Namespace


async def test_an_examination(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_METADATA_URL", "http://127.0.0.1:1/2016-07-29")
    with Namespace() as namespace, namespace.entered():
        found = await examination("127.0.0.1:1")
    check(Examination, found)
    with pytest.raises(ValidationError):
        check(Examination, {**found, "more": 1})
