// The agent's explanation of a flow, asked for when somebody wants to know.

import { useEffect, useRef, useState } from "preact/hooks";
import { ask } from "./api";
import type { ExplainedFlow, Explanation, Suggestion } from "./documents";
import { plural } from "./format";

interface WhyProps {
  client: string;
  server: string;
  /** Such as `80/tcp`; none asks for protocols without ports. */
  port: string | null;
}

export function Why({ client, server, port }: WhyProps) {
  const [answer, setAnswer] = useState<{ of: string; said: Explanation | string } | null>(null);
  const question = new URLSearchParams({ client, server });
  if (port !== null) question.set("port", port);
  const of = question.toString();
  const find = async (): Promise<void> => {
    setAnswer({ of, said: "Asking the agent…" });
    try {
      setAnswer({ of, said: await ask<Explanation>(`v1/explain?${of}`) });
    } catch (error) {
      setAnswer({ of, said: error instanceof Error ? error.message : String(error) });
    }
  };
  const place = useRef<HTMLDivElement>(null);
  const shown = answer?.of === of;
  // The button that had the focus is gone.
  useEffect(() => place.current?.focus({ preventScroll: true }), [shown]);
  if (!shown) {
    return (
      <button type="button" class="plain" onClick={() => void find()}>
        Explain
      </button>
    );
  }
  return (
    <div ref={place} class="why" role="status" tabIndex={-1}>
      {typeof answer.said === "string" ? <p class="quiet">{answer.said}</p> : <Explained said={answer.said} />}
    </div>
  );
}

function Explained({ said }: { said: Explanation }) {
  return (
    <>
      {said.flows.map((flow) => (
        <Flow key={flow.sentence} flow={flow} />
      ))}
      {said.published?.map((note) => (
        <p key={note.sentence} class="caution">
          {note.sentence}
        </p>
      ))}
      {said.suggestions && said.suggestions.length > 0 && <Suggestions all={said.suggestions} />}
      {said.notes?.map((note) => (
        <p key={note} class="caution">
          {note}
        </p>
      ))}
    </>
  );
}

function Flow({ flow }: { flow: ExplainedFlow }) {
  return (
    <section>
      <p>
        {flow.sentence}
        {flow.count > 1 && <span class="quiet"> ({plural(flow.count, "flow")})</span>}
      </p>
      {flow.steps.length > 0 && (
        <ul class="steps">
          {flow.steps.map((step) => (
            <li key={step.rule} class={step.matched ? "" : "quiet"}>
              Rule {step.rule}: {step.why}
            </li>
          ))}
        </ul>
      )}
      {flow.enforced?.map((place) => (
        <p key={place.sentence} class="quiet">
          {place.sentence}
        </p>
      ))}
    </section>
  );
}

function Suggestions({ all }: { all: readonly Suggestion[] }) {
  return (
    <section class="suggestions">
      <h3>What would allow it</h3>
      <ol>
        {all.map((suggestion) => (
          <li key={suggestion.sentence}>
            <p>{suggestion.sentence}</p>
            {suggestion.rule !== null && (
              <pre>
                <code>{JSON.stringify(suggestion.rule)}</code>
              </pre>
            )}
            <p class="quiet">
              {suggestion.also_opens_pairs === 0
                ? "Opens nothing else."
                : `Also opens ${plural(suggestion.also_opens_pairs, "pair")}: ${suggestion.also_opens.join("; ")}${
                    suggestion.also_opens.length < suggestion.also_opens_pairs ? "; …" : ""
                  }`}
            </p>
          </li>
        ))}
      </ol>
    </section>
  );
}
