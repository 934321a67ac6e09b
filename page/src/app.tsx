// The page: what is always shown (who, mode, readiness, how old the data is) and the view that is asked for.

import { useEffect } from "preact/hooks";
import { VIEWS, type View } from "./address";
import { containers, denied, hosts, matrix, type Resource, rules, show, state, stream, upgraded } from "./api";
import { Boundary } from "./boundary";
import type { State } from "./documents";
import { ago, clock } from "./format";
import { GraphView } from "./graph/view";
import { MatrixView } from "./matrix/view";
import { address, link, now, THEMES, theme } from "./store";
import { ContainersView } from "./views/containers";
import { LiveView } from "./views/live";
import { RulesView } from "./views/rules";
import { Reasons, StatusView } from "./views/status";

const TITLES: Record<View, string> = {
  matrix: "Matrix",
  graph: "Graph",
  rules: "Rules",
  containers: "Containers",
  live: "Live",
  status: "Status",
};

const NEEDS: Record<View, readonly Resource<unknown>[]> = {
  matrix: [matrix],
  graph: [matrix],
  rules: [rules],
  containers: [containers, hosts],
  live: [denied],
  status: [],
};

const SHOWN = {
  matrix: MatrixView,
  graph: GraphView,
  rules: RulesView,
  containers: ContainersView,
  live: LiveView,
  status: StatusView,
};

export function App() {
  const { view } = address.value;
  useEffect(() => show(NEEDS[view]), [view]);
  const host = state.data.value?.host.name;
  useEffect(() => {
    document.title = `${TITLES[view]} · ${host ?? "corral"}`;
  }, [view, host]);
  const Body = SHOWN[view];
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        Skip to the {TITLES[view].toLowerCase()}
      </button>
      <Head />
      <Notices view={view} />
      <main
        id="main"
        tabIndex={-1}
        class={`view view-${view} ${state.error.value === null ? "" : "old"}`}
        aria-label={TITLES[view]}
      >
        <h1 class="unseen">{TITLES[view]}</h1>
        <Boundary key={view} of={NEEDS[view]}>
          <Body />
        </Boundary>
      </main>
    </>
  );
}

function Head() {
  const document = state.data.value;
  const { view } = address.value;
  return (
    <header class="head">
      <div class="brand">
        <Mark />
        <span class="wordmark">corral</span>
        {document?.host.name && <span class="host">{document.host.name}</span>}
      </div>
      <nav aria-label="Views">
        {VIEWS.map((one) => (
          <a key={one} href={link(one)} aria-current={one === view ? "page" : undefined}>
            {TITLES[one]}
          </a>
        ))}
      </nav>
      <div class="standing">
        {document && <Standing document={document} />}
        <Theme />
      </div>
    </header>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M8 7v18M16 7v18M24 7v18M5 12h22M5 20h22" />
    </svg>
  );
}

/** How old what the agent knows is: the youngest of what its sources last said. */
function dataAge(document: State): number | null {
  const heard = Object.values(document.sources).flatMap((source) =>
    source.last_success === null ? [] : [source.last_success],
  );
  return heard.length ? Math.min(...heard) : null;
}

function Standing({ document }: { document: State }) {
  const age = dataAge(document);
  const asked = state.at.value === null ? 0 : Math.max(0, (now.value - state.at.value) / 1000);
  return (
    <>
      <span class="age quiet" title="since a source of the agent last said anything">
        {age === null ? "no data yet" : `data ${ago(age + asked)}`}
      </span>
      <span class={`dot stream-${stream.value}`} title={`events: ${stream.value}`}>
        <span class="unseen">events: </span>
        {stream.value === "live" ? "live" : stream.value === "lost" ? "no events" : "connecting"}
      </span>
      <span class={`badge mode-${document.mode}`}>
        {document.mode === "enforce" ? "enforcing" : document.mode.toUpperCase()}
      </span>
      {state.error.value === null ? (
        <a class={`badge status-${document.status}`} href={link("status")}>
          {document.status}
        </a>
      ) : (
        <span class="badge bad">no answer</span>
      )}
    </>
  );
}

function Theme() {
  return (
    <label class="theme">
      <span class="unseen">Colours</span>
      <select
        value={theme.value}
        onChange={(event) => {
          theme.value = event.currentTarget.value as typeof theme.value;
        }}
      >
        {THEMES.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Notices({ view }: { view: View }) {
  const document = state.data.value;
  const [error, at] = [state.error.value, state.at.value];
  return (
    <div class="notices">
      {error !== null && (
        <div class="notice notice-bad" role="alert">
          <strong>Connection lost:</strong> {error}.
          {at !== null && ` What is shown is from ${clock(new Date(at).toISOString(), now.value)}.`} Asking again every
          2 s.
        </div>
      )}
      {upgraded.value && (
        <div class="notice notice-warn" role="status">
          The agent is now version {document?.version}; this page is of the version before.{" "}
          <button type="button" class="plain" onClick={() => location.reload()}>
            Load the new page
          </button>
        </div>
      )}
      {document?.mode === "audit" && (
        <div class="notice notice-audit" role="status">
          <strong>AUDIT</strong> Nothing is dropped on this host. What the policy denies is counted and reported, and
          passes.
        </div>
      )}
      {document?.mode === "off" && (
        <div class="notice notice-audit" role="status">
          <strong>OFF</strong> Nothing is enforced on this host.
        </div>
      )}
      {document && document.reasons.length > 0 && view !== "status" && (
        <section
          class={`notice ${document.status === "ready" ? "" : "notice-warn"}`}
          aria-label="Reasons"
          role="status"
        >
          <strong>{document.status === "starting" ? "Starting" : "Not all is well"}</strong>
          <Reasons reasons={document.reasons.slice(0, 3)} />
          {document.reasons.length > 3 && <a href={link("status")}>{document.reasons.length - 3} more</a>}
        </section>
      )}
    </div>
  );
}
