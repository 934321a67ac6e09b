"""May another manager's rules go? Only when corral's are in force: no moment without a policy. Pure."""

from __future__ import annotations

from corral.support.findings import AgentSeen, Maybe, TableSeen, Unread


def why_unprotected(table: Maybe[TableSeen | None], agent: Maybe[AgentSeen | None]) -> str | None:
    """Why corral does not protect this host by itself, as a sentence; None when it does."""
    if isinstance(table, Unread):
        return f"corral's table can not be read: {table.why}"
    if table is None:
        return "there is no table inet corral here"
    if table.base_chains != 1:
        return f"table inet corral has {table.base_chains} base chains where one is expected"
    if isinstance(agent, Unread):
        return agent.why
    if agent is not None and agent.mode != "enforce":
        return f"the agent's mode is {agent.mode}: it drops nothing"
    if agent is not None and not agent.ready:
        return f"the agent is not ready: {'; '.join(agent.reasons)}"
    if not table.drops:
        return "table inet corral drops nothing: an agent in audit mode made it"
    return None
