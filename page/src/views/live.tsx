// The view "live": denied flows, and what happens.

import { useState } from "preact/hooks";
import { denied, type Happening, happenings } from "../api";
import type { ChangeEvent, ContainerChanges, Denied, DeniedFlow, FlowEnd } from "../documents";
import { NameFilter } from "../filterbar";
import { count, lasting, plural, service } from "../format";
import { Ago, Clock, Empty, Name, Panel, Shown, VerdictBadge } from "../parts";
import { filters } from "../store";
import { Why } from "../why";

export function LiveView() {
  return (
    <>
      <NameFilter />
      <Shown of={denied}>{(document) => <DeniedFlows document={document} />}</Shown>
      <Happenings />
    </>
  );
}

const keyOf = (flow: DeniedFlow): string =>
  [flow.client.address, flow.server.address, flow.protocol, flow.port, flow.verdict, flow.decided_by, flow.rule].join(
    " ",
  );

const SHOWN = 200;

function DeniedFlows({ document }: { document: Denied }) {
  const [opened, open] = useState("");
  const text = filters.value.text.toLowerCase();
  const about = document.flows.filter((flow) =>
    `${flow.client.name ?? flow.client.address} ${flow.server.name ?? flow.server.address}`
      .toLowerCase()
      .includes(text),
  );
  const word = document.mode === "audit" ? "Flows that would be denied" : "Denied flows";
  return (
    <Panel
      title={word}
      note={
        <>
          To containers of this host, since <Clock time={document.since} />. The kernel limits how many packets it
          reports{document.lost > 0 ? `, and ${plural(document.lost, "report")} came too fast to be read` : ""}.
        </>
      }
    >
      {!document.listening && (
        <p class="trouble" role="status">
          The kernel's reports do not reach the agent.
        </p>
      )}
      {about.length === 0 ? (
        <Empty>{document.flows.length ? "None has that name." : "None so far."}</Empty>
      ) : (
        <table class="wide">
          <thead>
            <tr>
              <th scope="col">Last seen</th>
              <th scope="col">Client</th>
              <th scope="col">Server</th>
              <th scope="col">Port</th>
              <th scope="col">Verdict</th>
              <th scope="col" class="number">
                Packets
              </th>
              <th scope="col">
                <span class="unseen">Details</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {about.slice(0, SHOWN).map((flow) => {
              const key = keyOf(flow);
              const isOpen = opened === key;
              return <FlowRows key={key} flow={flow} isOpen={isOpen} toggle={() => open(isOpen ? "" : key)} />;
            })}
          </tbody>
        </table>
      )}
      {about.length > SHOWN && <p class="quiet">{plural(about.length - SHOWN, "older one")} not shown.</p>}
    </Panel>
  );
}

function End({ end }: { end: FlowEnd }) {
  return (
    <span title={end.address}>
      <Name of={end.name ?? end.address} />
    </span>
  );
}

function FlowRows({ flow, isOpen, toggle }: { flow: DeniedFlow; isOpen: boolean; toggle: () => void }) {
  return (
    <>
      <tr class={isOpen ? "opened" : ""}>
        <td>
          <Ago time={flow.last} />
        </td>
        <td>
          <End end={flow.client} />
        </td>
        <td>
          <End end={flow.server} />
        </td>
        <td class="mono">{service(flow.protocol, flow.port)}</td>
        <td>
          <VerdictBadge verdict={flow.verdict} />
        </td>
        <td class="number">{count(flow.count)}</td>
        <td class="number">
          <button type="button" class="plain" aria-expanded={isOpen} onClick={toggle}>
            {isOpen ? "Less" : "Details"}
          </button>
        </td>
      </tr>
      {isOpen && (
        <tr class="detail">
          <td colSpan={7}>
            <p>{flow.sentence}</p>
            {flow.rule_text !== null && (
              <p>
                Rule {flow.rule}: <code>{flow.rule_text}</code>
              </p>
            )}
            {flow.answered && <p class="caution">The server had answered before: this connection was open.</p>}
            <p class="quiet">
              {flow.client.address} → {flow.server.address}, first seen <Clock time={flow.first} />
            </p>
            <Why client={flow.client.address} server={flow.server.address} port={portOf(flow)} />
          </td>
        </tr>
      )}
    </>
  );
}

function portOf(flow: DeniedFlow): string | null {
  return flow.port !== null && (flow.protocol === "tcp" || flow.protocol === "udp")
    ? `${flow.port}/${flow.protocol}`
    : null;
}

function Happenings() {
  const all = happenings.value;
  return (
    <Panel title="Events" note="Since this page was opened, the latest first.">
      {all.length === 0 ? (
        <Empty>Nothing has happened yet.</Empty>
      ) : (
        <ol class="events">
          {all.map((happening) => (
            <li key={happening.id}>
              <Clock time={happening.at} />
              <Told happening={happening} />
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Told({ happening }: { happening: Happening }) {
  switch (happening.kind) {
    case "denied":
      return (
        <>
          <VerdictBadge verdict={happening.flow.verdict} />
          <span>
            <End end={happening.flow.client} /> → <End end={happening.flow.server} />{" "}
            <span class="mono">{service(happening.flow.protocol, happening.flow.port)}</span>
          </span>
        </>
      );
    case "state":
      return (
        <>
          <span class={`badge status-${happening.state.status}`}>{happening.state.status}</span>
          <span>{happening.state.reasons.join(" ") || "nothing is wrong"}</span>
        </>
      );
    case "gap":
      return (
        <>
          <span class="badge">gap</span>
          <span>{happening.text}</span>
        </>
      );
    case "change":
      return (
        <>
          <span class="badge">
            {happening.change.repair ? "repair" : happening.change.policy ? "policy" : "change"}
          </span>
          <span>{changeSentence(happening.change)}</span>
        </>
      );
  }
}

function listed(what: string, changes: ContainerChanges): string[] {
  if (changes.count === 0) return [];
  const more = changes.count > changes.names.length ? ` and ${changes.count - changes.names.length} more` : "";
  return [`${what} ${changes.names.join(", ")}${more}`];
}

function changeSentence(change: ChangeEvent): string {
  const parts = [
    ...(change.policy ? [`policy ${change.policy} is in force`] : []),
    ...listed("came:", change.came),
    ...listed("went:", change.went),
    ...listed("changed:", change.changed),
    ...(change.repair ? [`the table was repaired: ${change.repair}`] : []),
  ];
  const said = parts.join("; ") || "the table was brought up to date";
  const latency = change.latency_seconds;
  if (latency === null) return said;
  return `${said} (in ${latency < 1 ? `${Math.max(1, Math.round(latency * 1000))} ms` : lasting(latency)})`;
}
