// The view "rules": each with what it has decided, when last, and what is strange about it.

import { rules } from "../api";
import type { Counted, Rules } from "../documents";
import { bytes, count } from "../format";
import { Ago, Clock, Panel, Shown } from "../parts";
import { passing } from "../store";

export function RulesView() {
  return <Shown of={rules}>{(document) => <Counters document={document} />}</Shown>;
}

function Counters({ document }: { document: Rules }) {
  const { rules: all, others } = document;
  const most = Math.max(1, document.default.packets, ...[...all, ...others].map((counted) => counted.packets));
  return (
    <Panel
      title="Rules"
      note={
        <>
          The first that matches decides. Packets to containers of this host, watched since{" "}
          <Clock time={document.since} />.
        </>
      }
    >
      <Cautions of={document.warnings} />
      <table class="wide rules">
        <thead>
          <tr>
            <th scope="col" class="number">
              #
            </th>
            <th scope="col">Rule</th>
            <th scope="col">Action</th>
            <th scope="col" class="number">
              Packets
            </th>
            <th scope="col" class="number">
              Bytes
            </th>
            <th scope="col">Last hit</th>
          </tr>
        </thead>
        <tbody>
          {all.map((rule) => (
            <Row key={rule.index} name={String(rule.index)} rule={rule} most={most} warnings={rule.warnings} />
          ))}
          <Row name="default" rule={document.default} most={most} />
          {others.map((other) => (
            <Row key={other.text} name="" rule={other} most={most} />
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

interface RowProps {
  name: string;
  rule: Counted;
  most: number;
  warnings?: readonly string[];
}

function Row({ name, rule, most, warnings = [] }: RowProps) {
  const passes = rule.action === "deny" ? passing.value : null;
  return (
    <tr data-rule={name}>
      <td class="number quiet">{name}</td>
      <td>
        {rule.text}
        <Cautions of={warnings} />
      </td>
      <td>
        <span class={`badge verdict-${passes === null ? rule.action : "audit"}`}>
          {passes === null ? rule.action : `${passes}: ${rule.action}`}
        </span>
      </td>
      <td class="number packets" data-packets={rule.packets}>
        {count(rule.packets)}
        <progress class="share" value={rule.packets} max={most} aria-hidden="true" />
      </td>
      <td class="number">{bytes(rule.bytes)}</td>
      <td>
        <Ago time={rule.last_hit} />
      </td>
    </tr>
  );
}

function Cautions({ of }: { of: readonly string[] }) {
  return (
    <>
      {of.map((sentence) => (
        <p key={sentence} class="caution">
          {sentence}
        </p>
      ))}
    </>
  );
}
