// The agent's answers, kept fresh: asked for anew when events say that something changed, and now and then besides.

import { computed, signal } from "@preact/signals";
import type { ChangeEvent, Containers, Denied, DeniedFlow, Hosts, Matrix, Rules, State, StateEvent } from "./documents";

const PATIENCE = 15_000;

export async function ask<T>(path: string): Promise<T> {
  return JSON.parse(await asked(path)) as T;
}

async function asked(path: string): Promise<string> {
  const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
  const text = await answer.text();
  if (answer.ok) return text;
  let said = `${answer.status} ${answer.statusText}`;
  try {
    said = String((JSON.parse(text) as { error: unknown }).error ?? said);
  } catch {
    // Not JSON: the status says it.
  }
  throw new Error(said);
}

/** However much happens, a document is asked for no more often than this, and most of the time is left for people. */
const REST = 400;
const REST_SHARE = 4;

/** One document, the error of the last attempt to get it, and when it came (ms since the epoch). */
export class Resource<T> {
  readonly data = signal<T | null>(null);
  readonly error = signal<string | null>(null);
  readonly at = signal<number | null>(null);
  /** Whether what is there may be out of date. */
  stale = true;
  #busy = false;
  #again = false;
  #rested = 0;
  #timer = 0;
  /** What `data` was made of: the same answer again is no reason to draw anything. */
  #text = "";

  constructor(
    readonly path: string,
    /** Ask again after so many ms though nothing said that it changed; the page does while it shows it. */
    readonly interval: number,
  ) {}

  /** Ask now, or once the last question is answered and a rest is over. */
  load(): void {
    if (this.#busy) {
      this.#again = true;
      return;
    }
    if (this.#timer) return;
    const wait = this.#rested - performance.now();
    if (wait <= 0) {
      void this.#ask();
      return;
    }
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      void this.#ask();
    }, wait);
  }

  async #ask(): Promise<void> {
    const began = performance.now();
    this.#busy = true;
    this.#again = false;
    this.stale = false;
    try {
      const text = await asked(this.path);
      if (text !== this.#text || this.data.value === null) this.data.value = JSON.parse(text) as T;
      this.#text = text;
      this.at.value = Date.now();
      this.error.value = null;
    } catch (error) {
      this.error.value = explained(error);
      this.stale = true;
    }
    this.#busy = false;
    const now = performance.now();
    this.#rested = now + Math.max(REST, REST_SHARE * (now - began));
    if (this.#again) this.load();
  }
}

function explained(error: unknown): string {
  if (error instanceof TypeError) return "the agent does not answer";
  if (error instanceof DOMException && error.name === "TimeoutError") return "the agent did not answer in time";
  return error instanceof Error ? error.message : String(error);
}

export const state = new Resource<State>("v1/state", 2_000);

let first: string | null = null;
/** Whether the agent that answers is of another version than the one that this page came from. */
export const upgraded = computed(() => {
  const version = state.data.value?.version ?? null;
  first ??= version;
  return version !== first;
});

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
let waiting: Happening[] = [];
let telling = 0;

/** Told with what else happens in the next moment, so that a flood of events is not drawn one by one. */
export function note(happening: Fresh): void {
  last += 1;
  waiting.push({ ...happening, id: last } as Happening);
  if (waiting.length > KEPT) waiting.shift();
  if (telling) return;
  telling = window.setTimeout(() => {
    happenings.value = [...waiting.reverse(), ...happenings.value].slice(0, KEPT);
    waiting = [];
    telling = 0;
  }, 200);
}

/** What the present view shows, besides the state, which is always shown. */
let shown: readonly Resource<unknown>[] = [];

export function show(resources: readonly Resource<unknown>[]): void {
  shown = [state, ...resources];
  for (const resource of shown) if (resource.stale) resource.load();
}

function outdated(resources: readonly Resource<unknown>[]): void {
  for (const resource of resources) {
    resource.stale = true;
    if (shown.includes(resource)) resource.load();
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
      if (due.has(resource) || resource.stale) resource.load();
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
