"""`corral doctor` as an operator runs it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from corral.cli.doctor import readable_settings
from corral.documents.doctor import Examination
from corral.errors import UsageError
from corral.sandbox.world import Sandbox

from ..documents.checking import check
from ..e2e.places import corral, nft, one_host, run_on_host
from ..kernel.namespaces import Namespace


async def test_beside_an_agent_that_enforces() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        good = await corral(sandbox, "doctor", "--json")
        assert (good.status, good.errors) == (0, "")
        found = json.loads(good.output)
        check(Examination, found)
        assert [seen for seen in found["checks"] if seen["outcome"] == "problem"] == []
        assert {seen["check"]: seen["outcome"] for seen in found["checks"]}["agent"] == "ok"

        await nft(
            sandbox,
            "-f",
            "-",
            text="table inet x {\nchain f {\ntype filter hook forward priority 0; policy drop;\n}\n}\n",
        )
        await run_on_host(sandbox, "ipset", "create", "RNCH-x", "hash:ip")
        bad = await corral(sandbox, "doctor")
        assert bad.status == 1
        assert "problem  foreign chains: chain inet x f (hook forward, priority 0, after corral's)" in bad.output
        assert "warning  Rancher's manager" in bad.output
        assert "1 problem" in bad.output


def run(namespace: Namespace, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    with namespace.entered():
        return subprocess.run(  # noqa: S603
            [sys.executable, "-m", "corral", *arguments],
            env={**os.environ, "CORRAL_METADATA_URL": "http://127.0.0.1:1/x", **environment},
            capture_output=True,
            text=True,
            check=False,
        )


async def test_without_agent_and_with_wrong_settings() -> None:
    with Namespace() as namespace:
        ran = await asyncio.to_thread(run, namespace, "doctor", CORRAL_MOOD="good")
    assert ran.returncode == 1
    assert "problem  settings: CORRAL_MOOD: unknown setting; the nearest known one is CORRAL_MODE" in ran.stdout
    assert "warning  agent: no agent answers" in ran.stdout


async def test_a_wrong_address_is_wrong_usage() -> None:
    with Namespace() as namespace:
        ran = await asyncio.to_thread(run, namespace, "doctor", "--agent", "nowhere")
    assert ran.returncode == 2
    assert "--agent" in ran.stderr


def test_settings_that_can_not_be_read_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_MODE", "sometimes")
    settings, error = readable_settings("127.0.0.1:1")
    assert (settings.mode, settings.listen) == ("enforce", "127.0.0.1:1")
    assert "sometimes" in (error or "")
    with pytest.raises(UsageError):
        readable_settings("nowhere")
