// The view "containers": those of this host with whether the kernel has them, and the hosts with their agents.

import { containers, hosts } from "../api";
import type { Host, LocalContainer } from "../documents";
import { NameFilter } from "../filterbar";
import { count, plural } from "../format";
import { Ago, Empty, Name, Panel, Shown } from "../parts";
import { filters } from "../store";

export function ContainersView() {
  return (
    <>
      <NameFilter />
      <Shown of={hosts}>
        {(document) => (
          <Panel title="Hosts" note={document.how}>
            <Hosts all={document.hosts} />
          </Panel>
        )}
      </Shown>
      <Shown of={containers}>
        {(document) => {
          const missing = document.containers.filter((container) => container.judged && !container.programmed).length;
          const note = document.containers.length
            ? `${plural(document.containers.length, "container")}, ${missing ? `${missing} not programmed` : "all programmed"}`
            : undefined;
          return (
            <Panel title="Containers of this host" note={document.reason ?? note}>
              <Containers all={document.containers} wanted={document.policy} />
            </Panel>
          );
        }}
      </Shown>
    </>
  );
}

const AGENTS: Record<Host["agent"], string> = {
  this: "this agent",
  running: "running",
  unhealthy: "unhealthy",
  unknown: "unknown",
  missing: "no agent",
};

function Hosts({ all }: { all: readonly Host[] }) {
  if (all.length === 0) return <Empty>No host is known.</Empty>;
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">Host</th>
          <th scope="col">Address</th>
          <th scope="col">State</th>
          <th scope="col">Agent</th>
          <th scope="col" class="number">
            Endpoints
          </th>
        </tr>
      </thead>
      <tbody>
        {all.map((host) => (
          <tr key={host.uuid}>
            <th scope="row">{host.name || host.uuid}</th>
            <td class="mono">{host.address}</td>
            <td>{host.state}</td>
            <td>
              <span class={`badge agent-${host.agent}`}>{AGENTS[host.agent] ?? host.agent}</span>
            </td>
            <td class="number">{count(host.endpoints)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Containers({ all, wanted }: { all: readonly LocalContainer[]; wanted: string | null }) {
  const text = filters.value.text.toLowerCase();
  const shown = all.filter((container) => `${container.party} ${container.name}`.toLowerCase().includes(text));
  if (all.length === 0) return <Empty>This host has no container in the managed network.</Empty>;
  if (shown.length === 0) return <Empty>None has “{filters.value.text}” in its name.</Empty>;
  return (
    <table class="wide">
      <thead>
        <tr>
          <th scope="col">Container</th>
          <th scope="col">Service</th>
          <th scope="col">Address</th>
          <th scope="col">Programmed</th>
          <th scope="col">Since</th>
          <th scope="col">Verified</th>
          <th scope="col">Policy</th>
        </tr>
      </thead>
      <tbody>
        {shown.map((container) => (
          <tr key={container.uuid}>
            <th scope="row">{container.name || container.uuid}</th>
            <td>
              <Name of={container.party} />
            </td>
            <td class="mono">{container.address}</td>
            <td>
              <Programmed container={container} />
            </td>
            <td>{container.programmed ? <Ago time={container.since} /> : ""}</td>
            <td>{container.programmed ? <Ago time={container.verified} /> : ""}</td>
            <td class={`mono ${container.policy === wanted ? "" : "caution"}`}>{container.policy ?? ""}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Programmed({ container }: { container: LocalContainer }) {
  if (!container.judged) return <span class="badge">system, not judged</span>;
  return container.programmed ? (
    <span class="badge good">programmed</span>
  ) : (
    <span class="badge bad">not programmed</span>
  );
}
