"""`corral cleanup --legacy`: other managers' leftovers go, nothing else does, and no packet gets through meanwhile."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from corral.cli.legacy import legacy_commands, removal_script
from corral.nft.leftovers import find_leftovers
from corral.sandbox.world import Sandbox

from ..dataplane.places import JUMP, everything_else, leave_rancher, load
from ..e2e.places import FOREIGN_TABLES, Ran, corral, one_host
from ..e2e.test_no_gap import under_probe
from ..kernel.namespaces import Namespace
from ..nft.test_leftovers import JUMP as JUMP_RULE
from ..nft.test_leftovers import OTHER

PASTURESTACK = """
table inet pasturestack_policy {
    chain f { type filter hook forward priority -10; ip saddr 192.0.2.1 drop; }
}
"""
OTHERS = [
    "iptables-nft -A FORWARD -d 10.43.0.0/16 -j DROP",
    "iptables-legacy -A FORWARD -i eth9 -m comment --comment CATTLE_NETWORK_POLICY -j REJECT",
    "iptables-legacy -N CATTLE_FORWARD",
    "iptables-legacy -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE",
    "ipset create RANCHER hash:ip",
]


def leave_everything(namespace: Namespace) -> None:
    leave_rancher(namespace, "iptables-nft")
    leave_rancher(namespace, "iptables-legacy")
    load(namespace, PASTURESTACK)


def run(namespace: Namespace, *arguments: str) -> Ran:
    with namespace.entered():
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "corral", "cleanup", "--legacy", *arguments],
            env={**os.environ, "CORRAL_LISTEN": "127.0.0.1:1"},
            capture_output=True,
            text=True,
            check=False,
        )
    return Ran(done.returncode, done.stdout, done.stderr)


async def test_nothing_gets_through_and_nothing_else_is_touched() -> None:
    async with Sandbox(one_host()) as sandbox:
        await sandbox.enforced()
        with sandbox.topology.hosts[0].namespace:
            here = Namespace.here()
        with here:
            here.run(*OTHERS)
            load(here, FOREIGN_TABLES)
            before = _without_corral(everything_else(here))
            leave_everything(here)
            async with under_probe(sandbox):
                shown = await corral(sandbox, "cleanup", "--legacy", "--dry-run")
                assert shown.status == 0
                assert (
                    "would remove the jump to CATTLE_NETWORK_POLICY from chain legacy ip filter FORWARD" in shown.output
                )
                assert "would remove table inet pasturestack_policy" in shown.output
                cleaned = await corral(sandbox, "cleanup", "--legacy")
                assert (cleaned.status, cleaned.errors) == (0, "")
                assert cleaned.output == shown.output.replace("would remove", "removing")
            assert _without_corral(everything_else(here)) == before
        again = await corral(sandbox, "cleanup", "--legacy")
        assert (again.status, again.output) == (
            0,
            "nothing is left of the managers of Rancher and PastureStack: nothing to remove\n",
        )


def _without_corral(listing: str) -> str:
    """All but our own table, whose counters count, and what iptables counts."""
    before, _, rest = listing.partition("table inet corral {\n")
    _, _, after = rest.partition("\n}\n") if rest else ("", "", "")
    lines = (before + after).splitlines()
    return "\n".join(line.split(" [")[0] for line in lines if "counter packets" not in line)


async def test_it_refuses_while_nothing_else_protects() -> None:
    with Namespace() as namespace:
        load(namespace, PASTURESTACK)
        refused = await asyncio.to_thread(run, namespace)
        assert (refused.status, refused.output) == (1, "")
        assert "nothing removed: there is no table inet corral here" in refused.errors
        load(namespace, "table inet corral { chain forward { type filter hook forward priority -10; accept; }; }")
        before = everything_else(namespace)
        audit = await asyncio.to_thread(run, namespace)
        assert audit.status == 1
        assert "drops nothing" in audit.errors
        assert everything_else(namespace) == before
        # In force without an agent: what was enforced last stays enforced.
        namespace.run("nft add rule inet corral forward drop")
        cleaned = await asyncio.to_thread(run, namespace)
        assert (cleaned.status, cleaned.output) == (0, "removing table inet pasturestack_policy\n")
        assert namespace.run("nft list tables") == "table inet corral\n"


@pytest.mark.parametrize("program", ["iptables-nft", "iptables-legacy"])
async def test_only_sets_that_are_theirs_and_only_their_rules(program: str) -> None:
    with Namespace() as namespace:
        namespace.run(*OTHERS)
        before = everything_else(namespace)
        leave_rancher(namespace, program)
        namespace.run(f"{program} -A FORWARD -i eth8 -g CATTLE_NETWORK_POLICY")
        ran = await asyncio.to_thread(run, namespace, "--force")
        assert (ran.status, ran.errors) == (0, "")
        assert everything_else(namespace) == before


async def test_without_the_program_the_commands_are_told(tmp_path: Path) -> None:
    """As from a container: what is printed does the rest on the host."""
    with Namespace() as namespace:
        leave_everything(namespace)
        (tmp_path / "iptables-restore").write_text("#!/bin/sh\necho 'iptables-restore v1.8.9 (nf_tables)'\n")
        (tmp_path / "iptables-restore").chmod(0o755)
        (tmp_path / "iptables-save").symlink_to("/bin/true")
        ran = await asyncio.to_thread(_run_without_programs, namespace, str(tmp_path))
        assert ran.status == 1
        commands = [line.strip() for line in ran.output.splitlines() if line.startswith("  ")]
        assert commands == [
            "iptables-legacy -w -t filter -D FORWARD 1",
            "iptables-legacy -w -t filter -F CATTLE_NETWORK_POLICY",
            "iptables-legacy -w -t filter -X CATTLE_NETWORK_POLICY",
        ]
        assert "still there: chain legacy ip filter CATTLE_NETWORK_POLICY" in ran.errors
        namespace.run(*commands)
        assert (await asyncio.to_thread(run, namespace, "--force")).status == 0
        assert "CATTLE" not in everything_else(namespace)
        assert "RNCH" not in everything_else(namespace)


def _run_without_programs(namespace: Namespace, path: str) -> Ran:
    code = "import corral.cli.legacy as legacy; legacy._SYSTEM_FOLDERS = (); import corral.cli; corral.cli.main()"
    with namespace.entered():
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", code, "cleanup", "--legacy", "--force"],
            env={**os.environ, "CORRAL_LISTEN": "127.0.0.1:1", "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_only_rules_that_lead_to_the_chain_are_in_the_script() -> None:
    saved = f"""*filter
:FORWARD ACCEPT [1:2]
-A {JUMP}
-A FORWARD -i eth8 -g CATTLE_NETWORK_POLICY
-A FORWARD -m comment --comment "-j CATTLE_NETWORK_POLICY" -j DROP
-A CATTLE_NETWORK_POLICY -j DROP
COMMIT
"""
    assert removal_script("filter", "CATTLE_NETWORK_POLICY", saved) == (
        "*filter\n"
        f"-D {JUMP}\n"
        "-D FORWARD -i eth8 -g CATTLE_NETWORK_POLICY\n"
        "-F CATTLE_NETWORK_POLICY\n"
        "-X CATTLE_NETWORK_POLICY\n"
        "COMMIT\n"
    )


def test_commands_delete_the_last_rule_first() -> None:
    from corral.nft.foreign import LEGACY, ForeignChain, ForeignRule

    rules = (JUMP_RULE, OTHER, ForeignRule(9, JUMP_RULE.verdicts))
    chains = [
        ForeignChain(family, "filter", name, body)
        for family in (LEGACY, "ip")
        for name, body in (("FORWARD", rules), ("CATTLE_NETWORK_POLICY", ()))
    ]
    assert legacy_commands(find_leftovers(chains, [], [])) == [
        "iptables-legacy -w -t filter -D FORWARD 9",
        "iptables-legacy -w -t filter -D FORWARD 4",
        "iptables-legacy -w -t filter -F CATTLE_NETWORK_POLICY",
        "iptables-legacy -w -t filter -X CATTLE_NETWORK_POLICY",
    ]
