"""The change of a policy in Rancher, step by step, so that whoever interrupts it is told what was done."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from corral.cli.asking import client_of, stranger
from corral.cli.policy.history import History
from corral.cli.policy.network import RancherNetwork, network_of, rancher
from corral.config import Settings
from corral.errors import CorralError, PolicyError, UnreachableError
from corral.policy.document import PolicyDocument

if TYPE_CHECKING:
    from corral.sources.agent import AgentClient
    from corral.sources.rancher import RancherClient

POLL = 0.02
UNCHANGED = "nothing was changed"
OFF = "its mode is off: it follows the policy, and enforces nothing"


class RefusedChangeError(Exception):
    """The answer is "no": the policy changed meanwhile, Rancher refuses it, or it does not come into force."""


@dataclass(slots=True)
class Progress:
    """What was done, at any moment."""

    statement: str = UNCHANGED


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """From what the plan was made of, to what is to be.

    `wait` is how many seconds to wait for the agent at `agent` (None: the settings' one); None does not wait.
    """

    network: RancherNetwork
    document: PolicyDocument
    history: History
    agent: str | None
    wait: float | None


async def make_change(settings: Settings, change: Change, progress: Progress, tell: Callable[[str], None]) -> None:
    """Make it so; `tell` is called with a sentence for each step. Raises RefusedChangeError and CorralError."""
    network = change.network
    async with rancher(settings) as client:
        kept = change.history.keep(network.document, datetime.now(UTC))
        try:
            await _check_unchanged(client, network)
            began = time.monotonic()
            await _put(client, change, kept, progress)
        except BaseException:
            if progress.statement == UNCHANGED:  # a former policy is one that was replaced
                change.history.drop(kept)
            raise
        change.history.forget_old()
        progress.statement = f"Rancher has the new policy; the former one is in {kept}"
        tell(progress.statement)
        await _check_taken(client, change)
    if change.wait is not None:
        await _in_force(change, began, change.wait, tell)


async def _check_unchanged(client: RancherClient, network: RancherNetwork) -> None:
    """Right before the change: what is there must be what the plan was made from."""
    present = await _read(client, network)
    if present != network.document:
        raise RefusedChangeError(
            f"the policy of {network} changed since the plan was made ({network.document.digest} is now "
            f"{present.digest}): {UNCHANGED}; look at a new plan"
        )


async def _read(client: RancherClient, network: RancherNetwork) -> PolicyDocument:
    for one in await client.network_policies():
        if one.id == network.id:
            return network_of(one).document
    raise UnreachableError(f"{network} is not there any more")


async def _put(client: RancherClient, change: Change, kept: Path, progress: Progress) -> None:
    from corral.sources.rancher import ApiError  # noqa: PLC0415 - `--help` does without aiohttp

    document = change.document.tidied()  # the API takes no rules that are texts, as the metadata writes them
    progress.statement = (
        f"the change was sent, and Rancher's answer is not known: look with `corral policy show`; "
        f"the former policy is in {kept}"
    )
    try:
        await client.put_network(change.network.id, document.policy, document.default_policy_action)
    except ApiError as error:
        progress.statement = UNCHANGED
        field = f" (field {error.field})" if error.field else ""
        raise RefusedChangeError(f"Rancher refuses the policy{field}: {error}; {UNCHANGED}") from error
    except CorralError as error:
        raise UnreachableError(f"{error}; {progress.statement}") from error


async def _check_taken(client: RancherClient, change: Change) -> None:
    """What Rancher holds now must mean the same; it may write it in other words."""
    present = await _read(client, change.network)
    try:
        same = _meaning(present) == _meaning(change.document)
    except PolicyError:
        same = False
    if not same:
        raise RefusedChangeError(
            f"Rancher took the policy, but holds another one now:\n{present.as_text()}"
            "somebody changed it at the same moment, or this Rancher does not know a form that was used"
        )


def _meaning(document: PolicyDocument) -> tuple[object, ...]:
    """No default action is `allow`, and a Rancher may write down what it means."""
    policy = document.parse()
    return policy.rules, policy.default


async def _in_force(change: Change, began: float, patience: float, tell: Callable[[str], None]) -> None:
    """Wait until the local agent has it in the kernel."""
    client, standing = client_of(change.agent), "it did not answer"
    try:
        async with asyncio.timeout(patience):
            while True:
                standing = await _standing(client, change.document.digest)
                if standing in ("", OFF):
                    break
                await asyncio.sleep(POLL)
    except TimeoutError:
        raise RefusedChangeError(
            f"Rancher has the new policy, but the agent at {client.address} has not put it in force within "
            f"{patience:g} s ({standing}): `corral status` says more"
        ) from None
    except CorralError as error:
        raise UnreachableError(f"Rancher has the new policy; whether it is in force is not known: {error}") from error
    if standing:
        tell(f"the agent at {client.address} has it, but {standing}")
        return
    tell(f"in force on this host {(time.monotonic() - began) * 1000:.0f} ms after the request")


async def _standing(client: AgentClient, digest: str) -> str:
    """Why the policy is not in force; nothing when it is. OFF when nothing would bring it in force."""
    try:
        state = json.loads((await asyncio.to_thread(client.get, "/v1/state")).body)
        policy, pending = state["policy"], state["kernel"]["pending"]
        if policy["digest"] == digest and policy["in_force"] and not pending:
            return ""
        if policy["digest"] == digest and state.get("mode") == "off":
            return OFF
        told: list[str] = state["reasons"] or [f"it works with the policy {policy['digest']}"]
    except (ValueError, LookupError, TypeError):
        raise stranger("/v1/state") from None
    return "; ".join(told)
