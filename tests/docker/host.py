"""What the kernel of the host has of others and of corral's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ..e2e.places import without_counts
from .engine import BRIDGE, Engine

Handles = Mapping[str, list[str]]
_HANDLE = re.compile(r" # handle (\d+)$")


async def tables(engine: Engine) -> set[tuple[str, str]]:
    """Every table's family and name."""
    return {(each["table"]["family"], each["table"]["name"]) for each in await _listed(engine) if "table" in each}


async def base_chains(engine: Engine) -> list[tuple[str, str]]:
    """The table and the name of each chain of corral's that the kernel calls by itself."""
    chains = [each["chain"] for each in await _listed(engine) if "chain" in each]
    return [(each["table"], each["name"]) for each in chains if "corral" in each["table"] and "hook" in each]


async def corrals(engine: Engine) -> list[str]:
    """corral's table, without what packets do to it."""
    return without_counts(await engine.run("nft", "list", "table", "inet", "corral"))


async def dockers(engine: Engine) -> dict[str, list[str]]:
    """Docker's rules, by the table, sorted: of its networks it takes one first, or another."""
    return {
        table: sorted((await engine.run("iptables", "-t", table, "-S")).splitlines()) for table in ("filter", "nat")
    }


async def handles(engine: Engine) -> Handles:
    """The kernel's numbers of the rules of Docker's filter table, by their text: a rule written anew gets a new one."""
    found: dict[str, list[str]] = {}
    for line in (await engine.run("nft", "-s", "-a", "list", "table", "ip", "filter")).splitlines():
        if (handle := _HANDLE.search(line)) and "chain" not in line:
            found.setdefault(_HANDLE.sub("", line).strip(), []).append(handle[1])
    return found


def rewritten(before: Handles, after: Handles) -> int:
    """How many rules were removed and written again."""
    return sum(text in after and set(numbers).isdisjoint(after[text]) for text, numbers in before.items())


async def bridge_filters(engine: Engine) -> bool:
    """The managed bridge's own switch."""
    link = json.loads(await engine.run("ip", "-j", "-d", "link", "show", BRIDGE))[0]
    return bool(link["linkinfo"]["info_data"]["nf_call_iptables"])


async def _listed(engine: Engine) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(await engine.run("nft", "-j", "list", "ruleset"))["nftables"]
    return listed
