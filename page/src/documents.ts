// The agent's answers, as far as the page reads them. The schema in the agent's documentation is the full story.

export type Verdict = "allow" | "deny" | "mixed" | "not judged";

export interface Party {
  name: string;
  stack: string | null;
  system: boolean;
  endpoints: number;
  local_endpoints: number;
  labels: Record<string, string[]>;
}

export interface PortDecision {
  ports: string;
  verdict: Verdict;
  decided_by: string;
  rule: number | null;
  /** The verdict and its reason, the rule as it is written. */
  sentence: string;
  /** Whether it holds only for some of the endpoints of these names. */
  partly: boolean;
}

export interface Decision {
  verdict: Verdict;
  ports: PortDecision[];
}

export interface Matrix {
  policy: string;
  rules: string[];
  default: "allow" | "deny";
  parties: Party[];
  decisions: Decision[];
  /** For each client the index of the decision for each server. */
  cells: number[][];
}

export interface Problem {
  where: string;
  message: string;
}

export interface Policy {
  in_force: boolean;
  digest: string | null;
  default: string | null;
  rules: string[];
  problems: Problem[];
}

export interface SourceState {
  connected: boolean;
  since: number;
  last_success: number | null;
  last_error: string | null;
  failures: number;
}

export interface State {
  version: string;
  mode: "enforce" | "audit" | "off";
  status: "starting" | "ready" | "degraded";
  reasons: string[];
  host: { uuid: string | null; name: string | null };
  network: { name: string; bridge: string | null; subnets: string[] } | null;
  policy: Policy;
  inventory: Record<string, number>;
  sources: Record<string, SourceState>;
  kernel: {
    programmed: boolean;
    pending: boolean;
    commits: number;
    failed_commits: number;
    repairs: number;
    last_repair: string | null;
    verified_age_seconds: number | null;
    last_commit_age_seconds: number | null;
    last_commit_seconds: number | null;
  };
  self_check: { runs: number; age_seconds: number | null; differences: number; differences_ever: number };
}

export interface Counted {
  text: string;
  action: string;
  packets: number;
  bytes: number;
  last_hit: string | null;
}

export interface Rules {
  policy: string;
  mode: string;
  since: string;
  rules: (Counted & { index: number; warnings: string[] })[];
  default: Counted;
  /** What is dropped without a rule. */
  others: Counted[];
  /** About the policy as a whole. */
  warnings: string[];
}

export interface LocalContainer {
  name: string;
  uuid: string;
  address: string;
  party: string;
  judged: boolean;
  programmed: boolean;
  since: string | null;
  policy: string | null;
  verified: string | null;
}

export interface Containers {
  policy: string | null;
  /** Why nothing is programmed at present. */
  reason: string | null;
  containers: LocalContainer[];
}

export interface Host {
  name: string;
  uuid: string;
  address: string | null;
  state: string;
  this: boolean;
  agent: "this" | "running" | "unhealthy" | "unknown" | "missing";
  endpoints: number;
}

export interface Hosts {
  how: string;
  hosts: Host[];
}

export interface FlowEnd {
  name: string | null;
  address: string;
  party: string;
}

export interface DeniedFlow {
  client: FlowEnd;
  server: FlowEnd;
  protocol: string;
  port: number | null;
  verdict: "deny" | "audit";
  decided_by: string;
  rule: number | null;
  rule_text: string | null;
  sentence: string;
  answered: boolean;
  count: number;
  first: string;
  last: string;
}

export interface Denied {
  mode: "enforce" | "audit" | "off";
  listening: boolean;
  since: string;
  lost: number;
  forgotten: number;
  flows: DeniedFlow[];
}

export interface ContainerChanges {
  count: number;
  names: string[];
}

export interface ChangeEvent {
  at: string;
  came: ContainerChanges;
  went: ContainerChanges;
  changed: ContainerChanges;
  policy: string | null;
  repair: string | null;
  latency_seconds: number | null;
}

export interface StateEvent {
  status: State["status"];
  reasons: string[];
}

export interface Suggestion {
  sentence: string;
  /** The rule to add, as Rancher takes it; null where a link is enough. */
  rule: unknown;
  index: number | null;
  also_opens: string[];
  also_opens_pairs: number;
}

export interface ExplainedFlow {
  sentence: string;
  count: number;
  steps: { rule: number; text: string; matched: boolean; why: string }[];
  enforced?: { sentence: string }[];
}

export interface Explanation {
  flows: ExplainedFlow[];
  notes?: string[];
  published?: { sentence: string }[];
  suggestions?: Suggestion[];
}
