// The view "status": what the agent knows, enforces and waits for.

import type { ComponentChildren } from "preact";
import { state } from "../api";
import type { SourceState, State } from "../documents";
import { ago, count, lasting } from "../format";
import { Empty, Panel, Shown } from "../parts";
import { splitReason } from "../reasons";

export function StatusView() {
  return <Shown of={state}>{(document) => <Told document={document} />}</Shown>;
}

function Facts({ of }: { of: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const age = (seconds: number | null): string => (seconds === null ? "never" : ago(seconds));

function Told({ document }: { document: State }) {
  const { kernel, self_check: check, network, inventory, policy } = document;
  return (
    <>
      <Panel title="Reasons">
        <Reasons reasons={document.reasons} />
      </Panel>
      <div class="panels">
        <Panel title="Agent">
          <Facts
            of={[
              ["Host", document.host.name ?? document.host.uuid ?? "not known yet"],
              ["Version", document.version],
              ["Mode", document.mode],
              ["Policy", policy.digest ? `${policy.digest}${policy.in_force ? "" : " (not in force)"}` : "none"],
              ["Default", policy.default ?? "none"],
              ["Network", network ? `${network.name} ${network.subnets.join(", ")}` : "none known"],
            ]}
          />
        </Panel>
        <Panel title="Kernel">
          <Facts
            of={[
              ["Programmed", kernel.programmed ? (kernel.pending ? "yes, changes are pending" : "yes") : "no"],
              ["Last commit", age(kernel.last_commit_age_seconds)],
              [
                "It took",
                kernel.last_commit_seconds === null ? "" : `${(kernel.last_commit_seconds * 1000).toFixed(1)} ms`,
              ],
              ["Verified", age(kernel.verified_age_seconds)],
              ["Commits", `${count(kernel.commits)}, ${count(kernel.failed_commits)} failed`],
              ["Repairs", count(kernel.repairs)],
              [
                "Self-check",
                check.runs ? `${age(check.age_seconds)}, ${count(check.differences)} differences` : "not yet",
              ],
            ]}
          />
          {kernel.last_repair && <p class="quiet">Last repair: {kernel.last_repair}</p>}
        </Panel>
        <Panel title="Sources">
          <Facts
            of={Object.entries(document.sources).map(([name, source]) => [name, sourceSentence(source)] as const)}
          />
        </Panel>
        <Panel title="Inventory">
          <Facts
            of={Object.entries(inventory).map(([name, number]) => [name.replaceAll("_", " "), count(number)] as const)}
          />
        </Panel>
      </div>
    </>
  );
}

function sourceSentence(source: SourceState): string {
  const heard = source.last_success === null ? "never heard" : `heard ${ago(source.last_success)}`;
  return source.connected ? heard : `not connected for ${lasting(source.since)}, ${heard}: ${source.last_error ?? ""}`;
}

export function Reasons({ reasons }: { reasons: readonly string[] }) {
  if (reasons.length === 0) return <Empty>Nothing is wrong.</Empty>;
  return (
    <ul class="reasons">
      {reasons.map((reason) => {
        const [what, remedy] = splitReason(reason);
        return (
          <li key={what}>
            {what}
            {remedy && <span class="remedy">{remedy}</span>}
          </li>
        );
      })}
    </ul>
  );
}
