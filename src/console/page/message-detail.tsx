import { act, type Message } from "./api.ts";
import { useLoad } from "./live.ts";
import { Act, Note, Pill } from "./parts.tsx";

/** States in which a message can be tried again. */
const AGAIN = new Set(["unknown", "failed", "undelivered", "canceled"]);

/** One message with all that happened to it, and why. */
export function MessageDetail({ id, changed }: { readonly id: string; readonly changed: () => void }) {
  const path = `/messages/${encodeURIComponent(id)}`;
  const { data, error, reload } = useLoad<Message>(path, { on: ["message.status"], every: 5_000 });
  if (data === undefined) return <Note error={error} />;
  return (
    <div class="detail">
      {data.text !== undefined && <p class="body">{data.text}</p>}
      {data.error !== undefined && (
        <p class="note bad">
          {data.error.code === undefined ? "" : `${data.error.code}: `}
          {data.error.meaning} {data.error.fix}
        </p>
      )}
      <ol class="timeline">
        {data.events?.map((event) => (
          <li key={`${event.state}/${event.at}/${event.detail ?? ""}`}>
            <Pill state={event.state} />
            <time dateTime={event.at}>{new Date(event.at).toLocaleString()}</time>
            {event.detail !== undefined && <span>{event.detail}</span>}
          </li>
        ))}
      </ol>
      <dl>
        <Fact name="From" value={data.from} />
        <Fact name="To" value={data.to} />
        <Fact name="Route" value={data.route} />
        <Fact name="Policies" value={data.policies?.join(", ")} />
        <Fact name="Segments" value={data.segments?.toString()} />
        <Fact name="Media" value={data.media.map(({ content_type }) => content_type).join(", ")} />
        <Fact name="Turn" value={data.turn_id} />
        <Fact name="Conversation" value={data.conversation_id} />
        <Fact name="Carrier's id" value={data.provider_sid} />
        <Fact name="Id" value={data.id} />
      </dl>
      {AGAIN.has(data.state) && (
        <Act
          run={() => act("POST", `${path}/resend`)}
          done={() => {
            reload();
            changed();
          }}
          {...(data.state === "unknown" ? { sure: "It may have arrived already. Send it again?" } : {})}
        >
          {data.direction === "outbound" ? "Send again" : "Run again"}
        </Act>
      )}
    </div>
  );
}

function Fact({ name, value }: { readonly name: string; readonly value: string | undefined }) {
  return value === undefined || value === "" ? null : (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
