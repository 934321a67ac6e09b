// The view "matrix": filters, the grid, and what it says of the pair that is looked at.

import { useMemo, useState } from "preact/hooks";
import { matrix } from "../api";
import type { Decision, Matrix, Party } from "../documents";
import { FilterBar, VerdictFilter } from "../filterbar";
import { plural } from "../format";
import { Empty, Name, Shown, VerdictBadge } from "../parts";
import { address, adjust, filters, passing } from "../store";
import { Why } from "../why";
import { Grid, type Pair } from "./grid";
import { type Selection, select } from "./select";
import { askedPort } from "./words";

export function MatrixView() {
  return <Shown of={matrix}>{(document) => <Explored matrix={document} />}</Shown>;
}

function Explored({ matrix }: { matrix: Matrix }) {
  const asked = filters.value;
  const selection = useMemo(() => select(matrix, asked), [matrix, asked]);
  const [looked, look] = useState<Pair | null>(null);
  const pinned = { client: address.value.client, server: address.value.server };
  const pair = looked ?? (pinned.client && pinned.server ? pinned : null);
  const nothing = selection.clients.length === 0 || selection.servers.length === 0;
  return (
    <>
      <FilterBar matrix={matrix} sides={true} />
      <div class="above">
        <VerdictFilter counts={selection.counts} />
        <Extent selection={selection} />
      </div>
      <div class="split">
        {nothing ? (
          <Empty>
            {matrix.parties.length === 0
              ? "No endpoint is known in the managed network."
              : "No pair is left by these filters."}
          </Empty>
        ) : (
          <Grid {...{ matrix, selection, wanted: asked.verdicts, pinned, look, pin: (to) => adjust(to) }} />
        )}
        <ReadOut matrix={matrix} pair={pair} />
      </div>
    </>
  );
}

function Extent({ selection }: { selection: Selection }) {
  const { clients, servers, hidden } = selection;
  return (
    <p class="quiet extent" role="status">
      {plural(clients.length, "client")} to {plural(servers.length, "server")}
      {hidden > 0 && `, ${plural(hidden, "system service")} hidden`}
    </p>
  );
}

function decisionOf(matrix: Matrix, pair: Pair): { decision: Decision | undefined; ends: (Party | undefined)[] } {
  const [client, server] = [pair.client, pair.server].map((name) =>
    matrix.parties.findIndex((party) => party.name === name),
  ) as [number, number];
  return {
    decision: matrix.decisions[matrix.cells[client]?.[server] ?? -1],
    ends: [matrix.parties[client], matrix.parties[server]],
  };
}

function ReadOut({ matrix, pair }: { matrix: Matrix; pair: Pair | null }) {
  if (pair === null) {
    return (
      <aside class="readout" aria-label="The pair that is looked at">
        <p class="quiet">
          Point at a cell, or go through them with the arrow keys: this says what decides. A click, or Enter, holds on
          to it, and puts it into the address of the page.
        </p>
        <PolicyText matrix={matrix} />
      </aside>
    );
  }
  const { decision, ends } = decisionOf(matrix, pair);
  return (
    <aside class="readout" aria-label="The pair that is looked at">
      <dl class="ends">
        <End end="from" name={pair.client} party={ends[0]} />
        <End end="to" name={pair.server} party={ends[1]} />
      </dl>
      {decision ? (
        <ul class="decisions">
          {decision.ports.map((port) => (
            <li key={`${port.ports} ${port.sentence}`}>
              <p class="decision-head">
                <VerdictBadge verdict={port.verdict} />
                <span class="ports">{port.ports === "any" ? "all ports and protocols" : port.ports}</span>
              </p>
              <p>{port.sentence}</p>
              {port.partly && <p class="quiet">Only for some of the endpoints: labels or links differ among them.</p>}
              <Why client={pair.client} server={pair.server} port={askedPort(port.ports)} />
            </li>
          ))}
        </ul>
      ) : (
        <Empty>One of them is not there (any more).</Empty>
      )}
      {passing.value !== null && <p class="quiet">{passing.value}: nothing is dropped.</p>}
    </aside>
  );
}

function End({ end, name, party }: { end: string; name: string; party: Party | undefined }) {
  const labels = Object.entries(party?.labels ?? {}).flatMap(([key, values]) =>
    values.map((value) => `${key}=${value}`),
  );
  return (
    <>
      <dt>{end}</dt>
      <dd>
        <Name of={name} />
        {party && (
          <span class="quiet">
            {" "}
            {plural(party.endpoints, "endpoint")}, {party.local_endpoints} here{party.system ? ", system" : ""}
          </span>
        )}
        {labels.length > 0 && (
          <span class="labels">
            {labels.map((label) => (
              <button
                key={label}
                type="button"
                class="label"
                title="Filter by this label"
                onClick={() => adjust({ filters: { label } })}
              >
                {label}
              </button>
            ))}
          </span>
        )}
      </dd>
    </>
  );
}

function PolicyText({ matrix }: { matrix: Matrix }) {
  return (
    <section class="policy-text">
      <h2>Policy</h2>
      {matrix.rules.length > 0 && (
        <ol start={0}>
          {matrix.rules.map((rule, index) => (
            <li key={index} value={index}>
              {rule}
            </li>
          ))}
        </ol>
      )}
      <p>
        Default: <span class={`badge verdict-${matrix.default}`}>{matrix.default}</span>
      </p>
    </section>
  );
}
