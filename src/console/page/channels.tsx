import { Addresses } from "./addresses.tsx";
import { act, type Channel, type List } from "./api.ts";
import { useAction, useLoad } from "./live.ts";
import { PairingCode } from "./pairing.tsx";
import { Empty, Note, Pill } from "./parts.tsx";

/** Every channel: how it is, what to do about it, who is paired. */
export function Channels() {
  const { data, error, reload } = useLoad<List<Channel>>("/channels", {
    on: ["channel.status", "message.status"],
    every: 10_000,
  });
  return (
    <section>
      <h1>Channels</h1>
      <Note error={error} />
      {data?.items.length === 0 && <Empty>No channel is configured.</Empty>}
      <div class="cards">
        {data?.items.map((channel) => (
          <ChannelCard key={channel.id} channel={channel} changed={reload} />
        ))}
      </div>
    </section>
  );
}

function ChannelCard({ channel, changed }: { readonly channel: Channel; readonly changed: () => void }) {
  const path = `/channels/${encodeURIComponent(channel.id)}`;
  const action = useAction(changed);
  return (
    <article class="card">
      <header>
        <h2>{channel.id}</h2>
        <Pill state={channel.status} />
      </header>
      <p class="number">{channel.number}</p>
      <p class="quiet">
        {channel.provider}
        {channel.agent === undefined ? "" : ` → ${channel.agent}`}
      </p>
      {channel.status !== "pairing" && channel.reason !== undefined && (
        <p class={channel.status === "failed" ? "note bad" : "note"}>
          {channel.reason} {channel.fix}
        </p>
      )}
      {channel.warnings?.map(({ detail, fix }) => (
        <p class="note" key={detail}>
          {detail} {fix}
        </p>
      ))}
      <div class="row">
        <fieldset class="switch" disabled={action.busy}>
          <legend>Mode of {channel.id}</legend>
          {(["message", "signal"] as const).map((mode) => (
            <button
              type="button"
              key={mode}
              aria-pressed={channel.mode === mode}
              title={
                mode === "message"
                  ? "The agent answers"
                  : "Texts are captured for whoever waits; never answered"
              }
              onClick={() => channel.mode !== mode && action.run(() => act("PATCH", path, { mode }))}
            >
              {mode}
            </button>
          ))}
        </fieldset>
        <label class="toggle">
          <input
            type="checkbox"
            checked={channel.enabled}
            disabled={action.busy}
            onChange={(event) => {
              const enabled = event.currentTarget.checked;
              // The box shows what is, not what was asked for.
              event.currentTarget.checked = channel.enabled;
              action.run(() => act("PATCH", path, { enabled }));
            }}
          />
          enabled
        </label>
      </div>
      <Note error={action.error} />
      <PairingCode channel={channel} path={path} changed={changed} />
      <Addresses path={path} count={channel.paired_addresses} changed={changed} />
    </article>
  );
}
