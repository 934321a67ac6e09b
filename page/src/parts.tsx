// Small parts that several views use.

import type { ComponentChildren } from "preact";
import { type Resource, state } from "./api";
import { clock, since } from "./format";
import { VERDICT_WORDS } from "./matrix/words";
import { now, passing } from "./store";

/** A party's name with its stack held back: the service is what tells rows apart. */
export function Name({ of }: { of: string }) {
  const cut = of.includes(" + ") ? -1 : of.indexOf("/");
  return (
    <span class="name">
      {cut >= 0 && <span class="name-stack">{of.slice(0, cut + 1)}</span>}
      <span class="name-own">{of.slice(cut + 1)}</span>
    </span>
  );
}

/** Says in the modes "audit" and "off" that nothing is dropped. */
export function VerdictBadge({ verdict }: { verdict: string }) {
  const passes = verdict === "audit" ? "AUDIT" : verdict === "deny" ? passing.value : null;
  return (
    <span
      class={`badge verdict-${passes === null ? verdict.replaceAll(" ", "-") : "audit"}`}
      title={passes === null ? undefined : "would be denied; passes"}
    >
      {passes ?? VERDICT_WORDS[verdict as keyof typeof VERDICT_WORDS] ?? verdict}
    </span>
  );
}

export function Ago({ time }: { time: string | null }) {
  if (time === null) return <span class="quiet">never</span>;
  return (
    <time dateTime={time} title={time}>
      {since(time, now.value)}
    </time>
  );
}

export function Clock({ time }: { time: string }) {
  return (
    <time dateTime={time} title={time}>
      {clock(time, now.value)}
    </time>
  );
}

/** What is shown of a document: itself, that it is asked for, or why there is none. */
export function Shown<T>({ of, children }: { of: Resource<T>; children: (document: T) => ComponentChildren }) {
  const [document, error, at] = [of.data.value, of.error.value, of.at.value];
  return (
    <>
      {error !== null && error !== state.error.value && (
        <p class="trouble" role="status">
          <strong>{of.path}</strong>: {error}
          {at !== null && ` (what is shown is from ${clock(new Date(at).toISOString(), now.value)})`}
        </p>
      )}
      {document === null
        ? error === null && (
            <p class="quiet" role="status">
              Asking the agent…
            </p>
          )
        : children(document)}
    </>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Panel({
  title,
  note,
  children,
}: {
  title: string;
  note?: ComponentChildren;
  children: ComponentChildren;
}) {
  const id = `panel-${title.toLowerCase().replace(/\W+/g, "-")}`;
  return (
    <section class="panel" aria-labelledby={id}>
      <header class="panel-head">
        <h2 id={id}>{title}</h2>
        {note !== undefined && <p class="quiet">{note}</p>}
      </header>
      {children}
    </section>
  );
}
