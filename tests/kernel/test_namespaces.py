"""The helper itself: what it makes goes away."""

from __future__ import annotations

from pathlib import Path

from tests.kernel.namespaces import Namespace, bridged_pair


def interfaces() -> set[str]:
    return {line.split(":")[0].strip() for line in Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]}


def test_nothing_of_a_namespace_is_seen_outside_or_left() -> None:
    before = interfaces()
    with bridged_pair() as pair:
        with pair.host.entered():
            assert {"lo", "br0", "client0", "server0"} <= interfaces()
        assert interfaces() == before
        path = Path(pair.host.path)
        assert path.exists()
    assert interfaces() == before
    assert not path.exists()


def test_entering_nests_and_comes_back() -> None:
    with Namespace() as outer, Namespace() as inner, outer.entered():
        outer.run("ip link add br0 type bridge")
        with inner.entered():
            assert "br0" not in interfaces()
        assert "br0" in interfaces()
