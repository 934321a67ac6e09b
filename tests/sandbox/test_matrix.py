from __future__ import annotations

from corral.sandbox.matrix import KINDS, kind_name, measure, render
from corral.sandbox.world import Sandbox
from corral.types import Protocol
from tests.sandbox.conftest import Drop


def paths(sandbox: Sandbox) -> dict[str, str]:
    records = sandbox.environment.records
    return {service.id: records.path(service) for service in records.services.values() if not service.system}


async def test_agrees_where_everything_is_allowed(sandbox: Sandbox) -> None:
    measurement = await measure(sandbox)
    assert len(measurement.findings) == 4 * 3 * len(KINDS)
    assert measurement.disagreements == []
    lines = render(paths(sandbox), measurement).plain.splitlines()
    assert lines[0].split() == ["measured", "policy"]
    assert lines[2].split() == ["1", "one/a", *"++++++"]
    assert lines[3].split() == ["2", "one/b", *"++++"]
    assert lines[3].startswith("  2  one/b  +     +      +     +")


async def test_names_what_passes_against_the_policy(sandbox: Sandbox) -> None:
    await sandbox.put_policy([{"within": "service", "action": "allow"}], "deny")
    measurement = await measure(sandbox)
    wrong = measurement.disagreements
    assert len(wrong) == (12 - 2) * len(KINDS)
    sentence = next(str(finding) for finding in wrong if finding.kind == (Protocol.TCP, 80))
    assert "one-a-1 (10.42.1.2) -> one-b-1 (10.42.1.3) tcp/80: answered" in sentence
    assert "denied by the default action" in sentence
    assert render(paths(sandbox), measurement).plain.splitlines()[2].split() == ["1", "one/a", *"++++.."]


async def test_names_what_is_dropped_against_the_policy(sandbox: Sandbox, drop: Drop) -> None:
    drop(sandbox, 1, f"ip saddr {sandbox.address('one-b-1')} ip daddr {sandbox.address('two-a-1')} tcp dport 80")
    measurement = await measure(sandbox)
    (finding,) = measurement.disagreements
    assert (finding.client.name, finding.server.name, kind_name(finding.kind)) == ("one-b-1", "two-a-1", "tcp/80")
    text = render(paths(sandbox), measurement).plain
    assert "a tcp/5432, udp/53, icmp only" in text


async def test_kinds_may_be_fewer(sandbox: Sandbox) -> None:
    assert len((await measure(sandbox, [(Protocol.ICMP, None)])).findings) == 12


def test_kinds_have_names() -> None:
    assert [kind_name(kind) for kind in KINDS] == ["tcp/80", "tcp/5432", "udp/53", "icmp"]
