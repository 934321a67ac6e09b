"""The words of a refusal."""

from __future__ import annotations

import errno

from corral.dataplane.base import refusal
from corral.nft.transaction import AddCounter, AddElements
from corral.nft.values import NftSet
from corral.types import Address


def test_a_refusal_names_operation_errno_and_the_kernels_explanation() -> None:
    error = refusal(AddCounter("rule-0"), errno.EEXIST, "already there")
    assert error.errno == errno.EEXIST
    for part in ("add counter inet corral rule-0", "File exists", "EEXIST", "already there", "as it was"):
        assert part in str(error)


def test_a_refusal_of_the_whole_says_so() -> None:
    assert "the transaction" in str(refusal(None, errno.ENOMEM))


def test_a_refusal_of_many_elements_is_short() -> None:
    many = AddElements("system", NftSet("system"), tuple(map(Address, range(65_534))))
    assert "65534 in all" in str(refusal(many, errno.ENOENT))
    assert len(str(refusal(many, errno.ENOENT))) < 200
