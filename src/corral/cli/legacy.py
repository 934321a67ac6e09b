"""`corral cleanup --legacy`: remove what the managers of Rancher and PastureStack have left, and nothing else."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from corral.cli.doctor import client_of, readable_settings
from corral.cli.output import say, say_error
from corral.errors import DataplaneError, UsageError

if TYPE_CHECKING:
    from corral.nft.leftovers import Leftovers

_ATTEMPTS = 5
# The kernel lets go of an ipset some time after the rules that refer to it are gone.
_TRIES, _PAUSE = 100, 0.02  # seconds
_SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on every user's path
_PROGRAMS = (("iptables-legacy-save", "iptables-legacy-restore"), ("iptables-save", "iptables-restore"))


def clean_legacy(agent: str | None, *, dry_run: bool, force: bool) -> bool:
    """Remove what is left, and tell; False when something stays. Raises DataplaneError."""
    return asyncio.run(_clean(agent, dry_run=dry_run, force=force))


async def _clean(agent: str | None, *, dry_run: bool, force: bool) -> bool:
    left = await _leftovers()
    if not left:
        say("nothing is left of the managers of Rancher and PastureStack: nothing to remove")
        return True
    if not dry_run and not force and (why := await _why_not(agent)) is not None:
        say_error(
            f"nothing removed: {why}; without the other manager's rules nothing would protect the containers here"
        )
        say_error("let corral enforce first (`corral doctor` helps), or use --force")
        return False
    for sentence in _sentences(left):
        say(f"{'would remove' if dry_run else 'removing'} {sentence}")
    return dry_run or await _remove(left)


async def _leftovers() -> Leftovers:
    from corral.dataplane.host.foreign import foreign_tables  # noqa: PLC0415 - as above
    from corral.dataplane.host.ipsets import ipset_names  # noqa: PLC0415 - as above
    from corral.nft.leftovers import find_leftovers  # noqa: PLC0415 - as above
    from corral.support.examination import all_foreign_chains  # noqa: PLC0415 - `--help` does without the daemon

    return find_leftovers(await all_foreign_chains(), await foreign_tables(), await ipset_names())


async def _why_not(agent: str | None) -> str | None:
    from corral.support.examination import see_agent, see_table  # noqa: PLC0415 - as above
    from corral.support.handover import why_unprotected  # noqa: PLC0415 - as above

    settings, error = readable_settings(agent)
    if error is not None:
        raise UsageError(error)
    seen, _ = await see_agent(client_of(settings))
    return why_unprotected(await see_table(), seen)


def _sentences(left: Leftovers) -> Iterator[str]:
    for chain, rule in left.jumps:
        yield f"the jump to {', '.join({verdict.chain for verdict in rule.verdicts})} from chain {chain.place}"
    for chain in left.chains:
        yield f"chain {chain.place} and its {len(chain.rules)} rules"
    for name in left.ipsets:
        yield f"ipset {name}"
    if left.pasturestack:
        yield "table inet pasturestack_policy"


async def _remove(left: Leftovers) -> bool:
    await _remove_from_nftables(left)
    if left.in_legacy:
        _remove_from_legacy(left)
    await _remove_ipsets(left.ipsets)
    stays = await _leftovers()
    for sentence in _sentences(stays):
        say_error(f"still there: {sentence}")
    return not stays


async def _remove_from_nftables(left: Leftovers) -> None:
    """Again, when the rules changed between looking and removing."""
    from corral.dataplane.host.removal import remove_from_nftables  # noqa: PLC0415 - as above

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await remove_from_nftables(left)
        except DataplaneError:
            if attempt == _ATTEMPTS:
                raise
        left = await _leftovers()
    return None


async def _remove_ipsets(names: tuple[str, ...]) -> None:
    from corral.dataplane.host.ipsets import destroy_ipset  # noqa: PLC0415 - as above

    for name in names:
        for _ in range(_TRIES):
            if await destroy_ipset(name):
                break
            await asyncio.sleep(_PAUSE)


def _remove_from_legacy(left: Leftovers) -> None:
    """By the host's own program, in one go for each table: netlink does not reach these rules."""
    programs = _programs()
    if programs is None:
        say_error("no iptables-legacy-restore here; run on the host:")
        for command in legacy_commands(left):
            say(f"  {command}")
        say_error("then run `corral cleanup --legacy` again, for the ipsets")
        return
    save, restore = programs
    for chain in left.in_legacy:
        saved = _run(save, "-t", chain.table)
        _run(restore, "-w", "-n", text=removal_script(chain.table, chain.name, saved))


def removal_script(table: str, chain: str, saved: str) -> str:
    """For iptables-restore, from what iptables-save has written: the rules that lead to a chain go, then the chain."""
    jumps = [line for line in saved.splitlines() if line.startswith("-A ") and _leads_to(chain, line)]
    lines = [f"*{table}", *(f"-D{line.removeprefix('-A')}" for line in jumps), f"-F {chain}", f"-X {chain}", "COMMIT"]
    return "\n".join(lines) + "\n"


def _leads_to(chain: str, line: str) -> bool:
    words = shlex.split(line)
    return any(word in {"-j", "-g"} and target == chain for word, target in pairwise(words))


def legacy_commands(left: Leftovers) -> list[str]:
    """What an operator runs where there is no program for us; rules by their number, the last first."""
    from corral.nft.foreign import LEGACY  # noqa: PLC0415 - as above

    theirs = [(chain, rule.handle) for chain, rule in left.jumps if chain.family == LEGACY]
    jumps = sorted(theirs, key=lambda jump: -jump[1])
    commands = [f"iptables-legacy -w -t {chain.table} -D {chain.name} {number}" for chain, number in jumps]
    for chain in left.in_legacy:
        commands += [f"iptables-legacy -w -t {chain.table} -{what} {chain.name}" for what in "FX"]
    return commands


def _programs() -> tuple[str, str] | None:
    """The programs that save and restore iptables-legacy's tables; those of iptables-nft do not see them."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM_FOLDERS])
    for names in _PROGRAMS:
        save, restore = (shutil.which(name, path=path) for name in names)
        if save and restore and "nf_tables" not in _run(restore, "--version"):
            return save, restore
    return None


def _run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise DataplaneError(f"{' '.join(command)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout
