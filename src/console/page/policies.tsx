import { useState } from "preact/hooks";
import { act, type Channel, type Decision, type List, type Policy } from "./api.ts";
import { useAction, useLoad } from "./live.ts";
import { Choice, Field, Note, Pill } from "./parts.tsx";

/** The rules in force, and what they would say. */
export function Policies() {
  const { data, error } = useLoad<List<Policy>>("/policies", { every: 10_000 });
  return (
    <section>
      <h1>Policies</h1>
      <Tester />
      <Note error={error} />
      <ol class="log">
        {data?.items.map((policy) => (
          <li key={policy.id} class="entry">
            <details>
              <summary class="line">
                <span class="who">{policy.id}</span>
                <span class="text quiet">{policy.source}</span>
                <span class="how">
                  <Pill state={policy.effect} />
                  <span class="quiet">
                    {policy.hits} {policy.hits === 1 ? "decision" : "decisions"}
                  </span>
                </span>
              </summary>
              <pre>{policy.text}</pre>
            </details>
          </li>
        ))}
      </ol>
    </section>
  );
}

const ACTIONS = [
  ["receive_message", "reach the agent"],
  ["receive_signal", "be caught by a watch"],
  ["send_message", "be texted by the agent"],
] as const;

/** Would this sender get through, and why. */
function Tester() {
  const channels = useLoad<List<Channel>>("/channels");
  const [action, setAction] = useState<string>("receive_message");
  const [picked, setPicked] = useState("");
  const [from, setFrom] = useState("");
  const [decision, setDecision] = useState<Decision>();
  const asking = useAction();
  const channel = picked === "" ? (channels.data?.items[0]?.id ?? "") : picked;
  return (
    <form
      class="filters"
      onSubmit={(event) => {
        event.preventDefault();
        setDecision(undefined);
        asking.run(async () => {
          const answer = await act<Decision>("POST", "/policies/check", {
            action,
            channel,
            from: from.trim(),
          });
          setDecision(answer);
        });
      }}
    >
      <Field label="Would" value={from} onInput={setFrom} placeholder="+15551234567" required />
      <Choice label="do this" value={action} options={ACTIONS} onChange={setAction} />
      <Choice
        label="on"
        value={channel}
        options={(channels.data?.items ?? []).map(({ id }) => [id, id] as const)}
        onChange={setPicked}
      />
      <button type="submit" class="main" disabled={asking.busy}>
        Ask
      </button>
      <Note error={asking.error} />
      {decision !== undefined && (
        <p class="note" role="status">
          <Pill state={decision.decision} />{" "}
          {decision.policies.length === 0 ? "No policy permits it." : `By ${decision.policies.join(", ")}.`}{" "}
          {decision.errors.join(" ")}
        </p>
      )}
    </form>
  );
}
