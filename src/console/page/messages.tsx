import { useEffect, useState } from "preact/hooks";
import { type Channel, get, type List, type Message, withQuery } from "./api.ts";
import { useAction, useLoad } from "./live.ts";
import { MessageDetail } from "./message-detail.tsx";
import { Choice, Empty, Field, Note, Pill, Time } from "./parts.tsx";

const EVENTS = ["message.received", "message.status", "signal.matched"];

/** What came in and went out, newest first, as it happens. */
export function Messages({ query }: { readonly query: URLSearchParams }) {
  const channel = query.get("channel") ?? "";
  const direction = query.get("direction") ?? "";
  const state = query.get("state") ?? "";
  const address = query.get("address") ?? "";
  const [typed, setTyped] = useState(address);
  const channels = useLoad<List<Channel>>("/channels");
  const filters = { channel, direction, state, address };
  const go = (changed: Readonly<Record<string, string>>) => {
    location.hash = withQuery("/messages", { ...filters, ...changed });
  };
  return (
    <section>
      <h1>Messages</h1>
      <form
        class="filters"
        onSubmit={(event) => {
          event.preventDefault();
          go({ address: typed.trim() });
        }}
      >
        <Choice
          label="Channel"
          value={channel}
          options={[["", "all"], ...(channels.data?.items ?? []).map(({ id }) => [id, id] as const)]}
          onChange={(value) => go({ channel: value })}
        />
        <Choice
          label="Direction"
          value={direction}
          options={[
            ["", "both"],
            ["inbound", "in"],
            ["outbound", "out"],
          ]}
          onChange={(value) => go({ direction: value })}
        />
        <Choice
          label="State"
          value={state}
          options={[["", "any"], ...STATES.map((name) => [name, name] as const)]}
          onChange={(value) => go({ state: value })}
        />
        <Field label="Address" value={typed} onInput={setTyped} placeholder="+15551234567" />
        <button type="submit">Show</button>
      </form>
      <MessageList key={JSON.stringify(filters)} filters={filters} />
    </section>
  );
}

const STATES = [
  "queued",
  "handled",
  "dropped",
  "failed",
  "pending",
  "sending",
  "sent",
  "delivered",
  "undelivered",
  "suppressed",
  "unknown",
];

function MessageList({ filters }: { readonly filters: Readonly<Record<string, string>> }) {
  const { data, error, reload } = useLoad<List<Message>>(
    withQuery("/messages", { ...filters, limit: "50" }),
    {
      on: EVENTS,
      // A text that is kept from the agent has no event.
      every: 5_000,
    },
  );
  const [older, setOlder] = useState<readonly Message[]>([]);
  const [cursor, setCursor] = useState<string | null>();
  const [opened, setOpened] = useState<string>();
  const more = useAction();
  const next = cursor === undefined ? data?.next_cursor : (cursor ?? undefined);
  const shown = [...(data?.items ?? [])];
  const seen = new Set(shown.map(({ id }) => id));
  shown.push(...older.filter(({ id }) => !seen.has(id)));
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => event.key === "Escape" && setOpened(undefined);
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
  return (
    <>
      <Note error={error ?? more.error} />
      {data !== undefined && shown.length === 0 && <Empty>Nothing here yet.</Empty>}
      <ol class="log">
        {shown.map((message) => (
          <li key={message.id}>
            <button
              type="button"
              class="line"
              aria-expanded={opened === message.id}
              onClick={() => setOpened(opened === message.id ? undefined : message.id)}
            >
              <MessageLine message={message} />
            </button>
            {opened === message.id && <MessageDetail id={message.id} changed={reload} />}
          </li>
        ))}
      </ol>
      {next !== undefined && (
        <button
          type="button"
          disabled={more.busy}
          onClick={() =>
            more.run(async () => {
              const page = await get<List<Message>>(
                withQuery("/messages", { ...filters, limit: "50", cursor: next }),
              );
              setOlder([...shown.slice(data?.items.length ?? 0), ...page.items]);
              setCursor(page.next_cursor ?? null);
            })
          }
        >
          Older
        </button>
      )}
    </>
  );
}

function MessageLine({ message }: { readonly message: Message }) {
  const inbound = message.direction === "inbound";
  return (
    <>
      <span class={`way ${message.direction}`} role="img" aria-label={inbound ? "came in" : "went out"}>
        {inbound ? "↓" : "↑"}
      </span>
      <span class="who">
        <span class="number">{inbound ? message.from : message.to}</span>
        <span class="quiet">{message.channel}</span>
      </span>
      <span class={message.text === undefined ? "text quiet" : "text"}>
        {message.text ?? whyNoText(message)}
      </span>
      <span class="how">
        <Pill state={message.state} />
        <Time at={message.created_at} />
      </span>
    </>
  );
}

function whyNoText({ media, route }: Message): string {
  if (media.length > 0) return media.map(({ content_type }) => content_type).join(", ");
  return route === undefined ? "no text" : `not kept (${route})`;
}
