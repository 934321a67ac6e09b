from __future__ import annotations

import pytest
from msgspec import Raw

from corral.wire.documents import HostDocument, ServiceDocument
from corral.wire.nested import by_uuid_and_name
from corral.wire.reading import Read, read_tolerantly
from corral.wire.sidekicks import Member

from .documents import host, sent, service


def read_host(text: bytes) -> Read[HostDocument]:
    return read_tolerantly("host", Raw(text), HostDocument, Read)


def test_what_is_in_order() -> None:
    read = read_host(sent(host()))
    assert read.entity == HostDocument.model_validate(host())
    assert (read.identity, read.where, read.faults) == ("h1", "host alpha (h1)", "")


def test_what_is_odd_and_expendable_is_given_up() -> None:
    read = read_host(sent(host(name=5, labels={"a": []})))
    assert read.entity == HostDocument.model_validate(host(name="", labels={}))
    assert (read.where, read.faults.count("given")) == ("host (h1)", 2)


@pytest.mark.parametrize("odd", [5, None, [], {}, {"uuid": []}])
def test_what_has_no_name_is_not_called_anything(odd: object) -> None:
    read = read_host(sent(odd))
    assert (read.entity, read.identity, read.where) == (None, "", "")
    assert read.faults


def test_text_that_is_no_unicode_is_named_by_what_can_be_read() -> None:
    read = read_host(sent(host(agent_ip="?")).replace(b"?", b"\xff"))
    assert (read.entity, read.identity, read.where) == (None, "h1", "host alpha (h1)")
    assert "can't decode byte 0xff" in read.faults


def test_a_number_that_is_out_of_range() -> None:
    read = read_host(sent(host(agent_ip=17)).replace(b"17", b"1e999"))
    assert (read.entity, read.where) == (None, "host alpha (h1)")
    assert "Number out of range" in read.faults


def test_what_is_nested_is_not_decoded() -> None:
    text = sent(service(containers=["?"], sidekicks=["Side"], kind=5)).replace(b"?", b"\xff")
    read = read_tolerantly("service", Raw(text), ServiceDocument, Read, identify=by_uuid_and_name)
    assert read.entity is not None
    assert read.identity == ("s1", "web")
    assert read.member == Member("shop", "web", ("side",), named=True)
    assert read.faults == "kind: 5 given; a string is allowed"
