"""A network namespace for each test that asks the kernel, and what others put into one."""

from __future__ import annotations

import subprocess

from tests.kernel.namespaces import Namespace

# As rancher/network-policy-manager leaves it, by the iptables of its image.
JUMP = "FORWARD -d 10.42.0.0/16 -s 10.42.0.0/16 -j CATTLE_NETWORK_POLICY"


def load(namespace: Namespace, text: str) -> None:
    """A ruleset in nft's words."""
    namespace.run("nft -f -", text=text.replace("; }", ";\n}\n"))


def leave_rancher(namespace: Namespace, program: str) -> None:
    """The chain, the jump and two sets; `program` is `iptables-nft` or `iptables-legacy`."""
    namespace.run(
        "ipset create -exist RNCH-local hash:ip",
        "ipset create -exist TMP-RNCH-all hash:ip",
        "ipset add -exist RNCH-local 10.42.0.3",
        f"{program} -N CATTLE_NETWORK_POLICY",
        f"{program} -A CATTLE_NETWORK_POLICY -m set --match-set RNCH-local dst -j DROP",
        f"{program} -I {JUMP}",
    )


def everything_else(namespace: Namespace) -> str:
    """All rulesets and sets of a namespace, but for corral's table, packets counted and comments with the time."""
    with namespace.entered():
        printed = [
            subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout  # noqa: S603
            for command in ("nft list ruleset", "iptables-legacy-save", "ipset save")
        ]
    lines = [line for text in printed for line in text.splitlines() if not line.startswith("#")]
    return "\n".join(lines)
