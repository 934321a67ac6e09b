"""Files of the kernel, in a namespace of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from corral.dataplane.host.sysctls import Redirects, forwarding, redirects, tracking
from tests.kernel.namespaces import Namespace


def test_forwarding_and_redirects() -> None:
    with Namespace() as namespace, namespace.entered():
        namespace.run("ip link add br0 type bridge")
        ipv4 = Path("/proc/sys/net/ipv4")
        for forwards in (False, True):
            (ipv4 / "ip_forward").write_text(str(int(forwards)))
            assert forwarding() is forwards
        (ipv4 / "conf/all/send_redirects").write_text("0")
        (ipv4 / "conf/br0/send_redirects").write_text("1")
        assert redirects("br0") == Redirects(bridge=True, everywhere=False)
        (ipv4 / "conf/br0/send_redirects").write_text("0")
        found = redirects("br0")
        assert found is not None
        assert not found.sent
        assert redirects("absent") is None


def test_tracking() -> None:
    with Namespace() as namespace, namespace.entered():
        found = tracking()
        assert found is not None
        assert found.entries == 0
        assert found.limit > 0


def test_what_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("corral.dataplane.host.sysctls._SETTINGS", tmp_path)
    assert (forwarding(), tracking(), redirects("br0")) == (None, None, None)
