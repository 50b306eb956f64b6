import { useEffect, useRef, useState } from "preact/hooks";
import { act, type Channel, type List, type PhoneText } from "./api.ts";
import { useAction, useLoad } from "./live.ts";
import { Choice, Empty, Field, Note } from "./parts.tsx";

/** A simulated phone: to try the agent without a carrier. */
export function Phone() {
  const channels = useLoad<List<Channel>>("/channels", { on: ["channel.status"] });
  const simulated = channels.data?.items.filter(({ provider }) => provider === "simulator") ?? [];
  const [picked, setPicked] = useState("");
  const [address, setAddress] = useState("+15557654321");
  const channel = simulated.find(({ id }) => id === picked) ?? simulated[0];
  return (
    <section>
      <h1>Phone</h1>
      <Note error={channels.error} />
      {channels.data !== undefined && channel === undefined && (
        <Empty>No channel is simulated. Give one `provider: simulator` to text it from here.</Empty>
      )}
      {channel !== undefined && (
        <>
          <div class="filters">
            <Field label="You hold the phone" value={address} onInput={setAddress} />
            <Choice
              label="and text"
              value={channel.id}
              options={simulated.map(({ id, number }) => [id, `${id} (${number})`] as const)}
              onChange={setPicked}
            />
          </div>
          {channel.pairing !== undefined && (
            <p class="note">
              Nobody is paired yet. Text <strong>{channel.pairing.code}</strong> to be let in.
            </p>
          )}
          <Screen address={address.trim()} channel={channel} />
        </>
      )}
    </section>
  );
}

function Screen({ address, channel }: { readonly address: string; readonly channel: Channel }) {
  const { data, error, reload } = useLoad<List<PhoneText>>(
    address === "" ? undefined : `/simulator/phones/${encodeURIComponent(address)}/messages`,
    { on: ["message.received", "message.status"], every: 1_500 },
  );
  const [body, setBody] = useState("");
  const sending = useAction(() => {
    setBody("");
    reload();
  });
  const end = useRef<HTMLLIElement>(null);
  const texts = (data?.items ?? []).filter(
    ({ from, to }) => from === channel.number || to === channel.number,
  );
  useEffect(() => end.current?.scrollIntoView({ block: "nearest" }), [texts.length]);
  return (
    <div class="phone">
      <ol class="thread" aria-live="polite">
        {texts.map((text) => (
          <li key={text.sid} class={text.from === address ? "outbound" : "inbound"}>
            <p>{text.text}</p>
          </li>
        ))}
        <li ref={end} class="end" aria-hidden="true" />
      </ol>
      <Note error={sending.error ?? (data === undefined ? error : undefined)} />
      <form
        class="composer"
        onSubmit={(event) => {
          event.preventDefault();
          if (body.trim() === "") return;
          sending.run(() => act("POST", "/simulator/inbound", { from: address, channel: channel.id, body }));
        }}
      >
        <input
          aria-label="Text"
          placeholder="Text message"
          autocomplete="off"
          value={body}
          onInput={(event) => setBody(event.currentTarget.value)}
        />
        <button type="submit" class="main" disabled={sending.busy}>
          Send
        </button>
      </form>
    </div>
  );
}
