import { useState } from "preact/hooks";
import { act, type Channel, type List, type Watch } from "./api.ts";
import { useAction, useLoad } from "./live.ts";
import { Act, Choice, Empty, Field, Note, Pill, Time } from "./parts.tsx";

/** Who waits for a text, and what they got. */
export function Watches() {
  const { data, error, reload } = useLoad<List<Watch>>("/watches?limit=100", {
    on: ["signal.matched"],
    every: 5_000,
  });
  return (
    <section>
      <h1>Watches</h1>
      <p class="quiet">A watch waits for a text: a verification code, a confirmation link, a parcel.</p>
      <NewWatch made={reload} />
      <Note error={error} />
      {data?.items.length === 0 && <Empty>Nobody waits for anything.</Empty>}
      <ol class="log">
        {data?.items.map((watch) => (
          <li key={watch.id} class="entry">
            <div class="line">
              <span class="who">{filters(watch)}</span>
              <span class="text quiet">
                {watch.mode}, {watch.consume}
                {watch.agent === undefined ? "" : `, for ${watch.agent}`}
              </span>
              <span class="how">
                <Pill state={watch.state} />
                <Time at={watch.created_at} />
              </span>
            </div>
            {watch.signals.map((signal) => (
              <p key={signal.id} class="signal">
                {signal.code !== undefined && <strong class="code small">{signal.code}</strong>}
                <span class="number">{signal.from}</span> {signal.text}
              </p>
            ))}
            {watch.state === "pending" && (
              <div class="row">
                <span class="quiet">until {new Date(watch.expires_at).toLocaleString()}</span>
                <Act run={() => act("DELETE", `/watches/${encodeURIComponent(watch.id)}`)} done={reload}>
                  Cancel
                </Act>
              </div>
            )}
          </li>
        ))}
      </ol>
    </section>
  );
}

function filters({ channel, from, match, category, origin, instructions }: Watch): string {
  const parts = [
    channel,
    from === undefined ? undefined : `from ${from.join(", ")}`,
    match === undefined ? undefined : `/${match}/`,
    category,
    origin,
    instructions === undefined ? undefined : `“${instructions}”`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? "any text" : parts.join(" · ");
}

function NewWatch({ made }: { readonly made: () => void }) {
  const channels = useLoad<List<Channel>>("/channels");
  const [channel, setChannel] = useState("");
  const [from, setFrom] = useState("");
  const [match, setMatch] = useState("");
  const [category, setCategory] = useState("verification_code");
  const action = useAction(made);
  const given = Object.entries({ channel, from, match, category }).filter(([, value]) => value.trim() !== "");
  return (
    <form
      class="filters"
      onSubmit={(event) => {
        event.preventDefault();
        action.run(() => act("POST", "/watches", { ...Object.fromEntries(given), expires_in: "10m" }));
      }}
    >
      <Choice
        label="Channel"
        value={channel}
        options={[["", "any"], ...(channels.data?.items ?? []).map(({ id }) => [id, id] as const)]}
        onChange={setChannel}
      />
      <Field label="From" value={from} onInput={setFrom} placeholder="22000 or MYBANK*" />
      <Field label="Matches" value={match} onInput={setMatch} placeholder="regular expression" />
      <Choice
        label="What"
        value={category}
        options={[
          ["verification_code", "a code"],
          ["confirmation_link", "a link"],
          ["", "anything"],
        ]}
        onChange={setCategory}
      />
      <button type="submit" class="main" disabled={action.busy}>
        Wait 10 minutes
      </button>
      <Note error={action.error} />
    </form>
  );
}
