// The agent's answers, kept fresh: asked for anew when events say that something changed, and now and then besides.

import { signal } from "@preact/signals";
import type { ChangeEvent, Containers, Denied, DeniedFlow, Hosts, Matrix, Rules, State, StateEvent } from "./documents";

const PATIENCE = 15_000;

export async function ask<T>(path: string): Promise<T> {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  const text = await answer.text();
  if (answer.ok) return JSON.parse(text) as T;
  let said = `${answer.status} ${answer.statusText}`;
  try {
    said = String((JSON.parse(text) as { error: unknown }).error ?? said);
  } catch {
    // Not JSON: the status says it.
  }
  throw new Error(said);
}

/** One document, the error of the last attempt to get it, and when it came (ms since the epoch). */
export class Resource<T> {
  readonly data = signal<T | null>(null);
  readonly error = signal<string | null>(null);
  readonly at = signal<number | null>(null);
  /** Whether what is there may be out of date. */
  stale = true;
  #busy: Promise<void> | null = null;
  #again = false;

  constructor(
    readonly path: string,
    /** Ask again after so many ms though nothing said that it changed; the page does while it shows it. */
    readonly interval: number,
  ) {}

  /** Ask now; while a question is under way, ask once more after it. */
  load(): Promise<void> {
    if (this.#busy) {
      this.#again = true;
      return this.#busy;
    }
    this.#busy = this.#ask().finally(() => {
      this.#busy = null;
    });
    return this.#busy;
  }

  async #ask(): Promise<void> {
    do {
      this.#again = false;
      this.stale = false;
      try {
        this.data.value = await ask<T>(this.path);
        this.at.value = Date.now();
        this.error.value = null;
      } catch (error) {
        this.error.value = explained(error);
        this.stale = true;
      }
    } while (this.#again);
  }
}

function explained(error: unknown): string {
  if (error instanceof TypeError) return "the agent does not answer";
  if (error instanceof DOMException && error.name === "TimeoutError") return "the agent did not answer in time";
  return error instanceof Error ? error.message : String(error);
}

export const state = new Resource<State>("v1/state", 2_000);
export const matrix = new Resource<Matrix>("v1/matrix", 30_000);
export const rules = new Resource<Rules>("v1/rules", 2_000);
export const containers = new Resource<Containers>("v1/containers", 5_000);
export const hosts = new Resource<Hosts>("v1/hosts", 10_000);
export const denied = new Resource<Denied>("v1/denied", 5_000);

/** What a change of the environment or of the policy concerns. */
const CHANGEABLE: readonly Resource<unknown>[] = [state, matrix, rules, containers, hosts];

export type Happening =
  | { id: number; kind: "change"; at: string; change: ChangeEvent }
  | { id: number; kind: "state"; at: string; state: StateEvent }
  | { id: number; kind: "denied"; at: string; flow: DeniedFlow }
  | { id: number; kind: "gap"; at: string; text: string };

type Fresh = Happening extends infer H ? (H extends Happening ? Omit<H, "id"> : never) : never;

const KEPT = 300;
export const happenings = signal<readonly Happening[]>([]);
/** `live` while the stream of events is open. */
export const stream = signal<"connecting" | "live" | "lost">("connecting");

let last = 0;
export function note(happening: Fresh): void {
  last += 1;
  happenings.value = [{ ...happening, id: last } as Happening, ...happenings.value].slice(0, KEPT);
}

/** What the present view shows, besides the state, which is always shown. */
let shown: readonly Resource<unknown>[] = [];

export function show(resources: readonly Resource<unknown>[]): void {
  shown = [state, ...resources];
  for (const resource of shown) if (resource.stale) void resource.load();
}

function outdated(resources: readonly Resource<unknown>[]): void {
  for (const resource of resources) {
    resource.stale = true;
    if (shown.includes(resource)) void resource.load();
  }
}

/** Asks for each resource that is shown when its interval is over; and for all of them after the page was hidden. */
function poll(): void {
  const due = new Map<Resource<unknown>, number>();
  const tick = (): void => {
    if (document.hidden) return;
    const now = Date.now();
    for (const resource of shown) {
      if (now < (due.get(resource) ?? 0)) continue;
      if (due.has(resource) || resource.stale) void resource.load();
      due.set(resource, now + resource.interval);
    }
  };
  setInterval(tick, 500);
}

const RETRY = 3_000;

/** Events, while the page can be seen: a browser keeps few connections to one agent. */
function listen(): void {
  let source: EventSource | null = null;
  let retry = 0;
  const open = (): void => {
    clearTimeout(retry);
    source = new EventSource("v1/events");
    source.addEventListener("open", () => {
      // What happened before is not told: look.
      if (stream.value !== "live") outdated([...CHANGEABLE, denied]);
      stream.value = "live";
    });
    source.addEventListener("error", () => {
      stream.value = "lost";
      // The browser gives up on an answer that is no stream; it may become one.
      if (source?.readyState === EventSource.CLOSED) retry = window.setTimeout(open, RETRY);
    });
    source.addEventListener("state", (event) => {
      note({ kind: "state", at: new Date().toISOString(), state: JSON.parse(event.data) as StateEvent });
      outdated([state]);
    });
    source.addEventListener("change", (event) => {
      const change = JSON.parse(event.data) as ChangeEvent;
      note({ kind: "change", at: change.at, change });
      outdated(CHANGEABLE);
    });
    source.addEventListener("denied", (event) => {
      const flow = JSON.parse(event.data) as DeniedFlow;
      note({ kind: "denied", at: flow.last, flow });
      outdated([denied]);
    });
    source.addEventListener("lost", (event) => {
      const { events } = JSON.parse(event.data) as { events: number };
      note({ kind: "gap", at: new Date().toISOString(), text: `${events} events were not told: too many at once` });
      outdated([...CHANGEABLE, denied]);
    });
  };
  const close = (): void => {
    clearTimeout(retry);
    source?.close();
    source = null;
    stream.value = "connecting";
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else if (!source) open();
  });
  open();
}

export function start(): void {
  poll();
  listen();
}
