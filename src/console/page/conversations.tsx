import { useState } from "preact/hooks";
import { act, type Conversation, type List, type Message, withQuery } from "./api.ts";
import { useLoad } from "./live.ts";
import { Act, Empty, Note, Pill, Time } from "./parts.tsx";

const EVENTS = ["message.received", "message.status", "conversation.ended"];

/** Who talks with the agent; one of them opened as the phone shows it. */
export function Conversations() {
  const { data, error, reload } = useLoad<List<Conversation>>("/conversations?limit=100", { on: EVENTS });
  const [chosen, setChosen] = useState<string>();
  const opened = data?.items.find(({ id }) => id === chosen);
  return (
    <section>
      <h1>Conversations</h1>
      <Note error={error} />
      {data?.items.length === 0 && <Empty>Nobody has talked with an agent yet.</Empty>}
      <div class={opened === undefined ? "split" : "split opened"}>
        <ol class="log">
          {data?.items.map((item) => (
            <li key={item.id}>
              <button
                type="button"
                class="line"
                aria-expanded={item.id === chosen}
                onClick={() => setChosen(item.id === chosen ? undefined : item.id)}
              >
                <span class="who">
                  <span class="number">{item.address}</span>
                  <span class="quiet">
                    {item.channel} → {item.agent}
                  </span>
                </span>
                <span class="text quiet">
                  {item.messages} {item.messages === 1 ? "message" : "messages"}
                </span>
                <span class="how">
                  {item.ended_at === undefined ? <span class="pill good">open</span> : <Pill state="ended" />}
                  <Time at={item.last_at} />
                </span>
              </button>
            </li>
          ))}
        </ol>
        {opened !== undefined && (
          <div>
            <Thread key={opened.id} id={opened.id} />
            {opened.ended_at === undefined && (
              <Act
                run={() => act("POST", `/conversations/${encodeURIComponent(opened.id)}/end`)}
                done={reload}
                sure="The next text will start afresh. End it?"
              >
                End conversation
              </Act>
            )}
          </div>
        )}
      </div>
    </section>
  );
}

function Thread({ id }: { readonly id: string }) {
  const { data, error } = useLoad<List<Message>>(
    withQuery("/messages", { conversation_id: id, limit: "100" }),
    { on: EVENTS },
  );
  return (
    <>
      <Note error={error} />
      <ol class="thread">
        {[...(data?.items ?? [])].reverse().map((message) => (
          <li key={message.id} class={message.direction}>
            <p>{message.text ?? "(not kept)"}</p>
            <span class="quiet">
              <Time at={message.created_at} /> · {message.state}
            </span>
          </li>
        ))}
      </ol>
    </>
  );
}
