// The filters that the matrix and the graph share.

import { useMemo } from "preact/hooks";
import { NO_FILTERS, type Side, VERDICTS } from "./address";
import type { Matrix, Verdict } from "./documents";
import { count } from "./format";
import { choices } from "./matrix/select";
import { VERDICT_WORDS } from "./matrix/words";
import { adjust, filters, passing } from "./store";

function Choice(props: {
  label: string;
  value: string;
  all: string;
  options: readonly string[];
  choose: (value: string) => void;
}) {
  // A shared view may name what is not there (any more): it has to show, or nobody knows why nothing else does.
  const options = props.value && !props.options.includes(props.value) ? [props.value, ...props.options] : props.options;
  return (
    <label class="field">
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => props.choose(event.currentTarget.value)}>
        <option value="">{props.all}</option>
        {options.map((option) => (
          <option key={option} value={option}>
            {option}
          </option>
        ))}
      </select>
    </label>
  );
}

function Name() {
  return (
    <label class="field">
      <span>Name</span>
      <input
        type="search"
        value={filters.value.text}
        placeholder="part of a name"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => adjust({ filters: { text: event.currentTarget.value } })}
      />
    </label>
  );
}

/** For views of which the name is all that can be chosen; it stays when somebody goes from one view to another. */
export function NameFilter() {
  return (
    <search class="filters">
      <Name />
    </search>
  );
}

export function FilterBar({ matrix, sides }: { matrix: Matrix; sides: boolean }) {
  const { stacks, labels } = useMemo(() => choices(matrix.parties), [matrix]);
  const now = filters.value;
  const changed = now !== NO_FILTERS && JSON.stringify(now) !== JSON.stringify(NO_FILTERS);
  return (
    <search class="filters">
      <Name />
      <Choice
        label="Stack"
        value={now.stack}
        all="all stacks"
        options={stacks}
        choose={(stack) => adjust({ filters: { stack } })}
      />
      <Choice
        label="Label"
        value={now.label}
        all="any label"
        options={labels}
        choose={(label) => adjust({ filters: { label } })}
      />
      {sides && (
        <label class="field">
          <span>Applies to</span>
          <select
            value={now.side}
            onChange={(event) => adjust({ filters: { side: event.currentTarget.value as Side } })}
          >
            <option value="both">clients and servers</option>
            <option value="client">clients</option>
            <option value="server">servers</option>
          </select>
        </label>
      )}
      <label class="tick">
        <input
          type="checkbox"
          checked={now.system}
          onChange={(event) => adjust({ filters: { system: event.currentTarget.checked } })}
        />
        System services
      </label>
      <button type="button" class="plain" disabled={!changed} onClick={() => adjust({ filters: NO_FILTERS })}>
        Clear
      </button>
    </search>
  );
}

const swatch = (verdict: Verdict): string =>
  passing.value !== null && verdict === "deny" ? "passing" : verdict.replace(" ", "-");

/** The legend of the matrix, which filters by verdict, too. */
export function VerdictFilter({ counts }: { counts: Readonly<Record<Verdict, number>> }) {
  const wanted = filters.value.verdicts;
  const toggle = (verdict: Verdict): void => {
    const verdicts = wanted.includes(verdict) ? wanted.filter((one) => one !== verdict) : [...wanted, verdict];
    adjust({ filters: { verdicts } });
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset wants a legend and a box; this is a row of buttons.
    <div class="legend" role="group" aria-label="Filter by verdict">
      {VERDICTS.filter((verdict) => verdict !== "not judged" || counts[verdict] > 0).map((verdict) => (
        <button
          key={verdict}
          type="button"
          class="chip"
          aria-pressed={wanted.includes(verdict)}
          onClick={() => toggle(verdict)}
        >
          <span class={`swatch swatch-${swatch(verdict)}`} aria-hidden="true" />
          {passing.value !== null && verdict === "deny" ? `${passing.value}: would be denied` : VERDICT_WORDS[verdict]}
          <span class="chip-count">{count(counts[verdict])}</span>
        </button>
      ))}
    </div>
  );
}
