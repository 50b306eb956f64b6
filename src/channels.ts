import { type ChannelState, channelNumber, reconnectDelay } from "./channel.ts";
import {
  type ChannelConnection,
  type ChannelConnectionSeams,
  createChannelConnection,
} from "./channel-connection.ts";
import { type ChannelPairing, createChannelPairing } from "./channel-pairing.ts";
import { channelState } from "./channel-state.ts";
import { AppError } from "./errors.ts";
import type { NewId, RandomBytes } from "./ids.ts";
import { namedChannel } from "./named-channel.ts";
import type { Pairing } from "./pairing.ts";
import type { ChannelSettings, Sender } from "./settings.ts";
import type { Store } from "./store.ts";

export interface ChannelsSeams extends ChannelConnectionSeams {
  readonly store: Store;
  readonly newId: NewId;
  readonly random: RandomBytes;
  /** Told when a channel's state changed, so that waiting turns and sends are looked at again. */
  readonly onChange: (channel: string, state: ChannelState) => void;
}

export interface Channels {
  /**
   * Follows the settings, at the start and whenever they have changed: connects what is new, was switched on or
   * is in `renewed`, takes down what is gone or was switched off, and leaves every other connection as it is.
   * Links are taken down before it returns. Resolves when the pairing codes are as they should be; never rejects.
   */
  follow(renewed: ReadonlySet<string>): Promise<void>;
  state(channel: string): ChannelState;
  /** The pending code, where it is still valid. */
  pairing(channel: string): Pairing | undefined;
  /**
   * Makes a fresh code; rejects with AppError `conflict` for a disabled channel, and while it is not known which number
   * the code is to be texted to.
   */
  beginPairing(channel: string): Promise<Pairing>;
  /** False when none was pending. While nobody may text the agent, a fresh code takes its place. */
  cancelPairing(channel: string): Promise<boolean>;
  /** Reads the paired addresses again; called when one was added or revoked. Nothing for a channel that is gone. */
  addressesChanged(channel: string): Promise<void>;
  pairedCount(channel: string): number;
  /** As last read from the store; empty for a channel that is not known. */
  pairedAddresses(channel: string): readonly string[];
  /** Reads what is kept of every channel; before the first text can come in. */
  load(): Promise<void>;
  /** Connects again now, whatever the state. */
  reconnect(channel: string): void;
  stop(): Promise<void>;
}

interface Entry {
  /** The status that was last told. */
  told: ChannelState["status"];
  /** What the connection's numbers are the numbers of. */
  sender?: Sender;
  readonly connection: ChannelConnection;
  readonly pairing: ChannelPairing;
}

/** Brings channels up, keeps them up, and keeps a pairing code pending for as long as one is needed. */
export function createChannels(seams: ChannelsSeams): Channels {
  const { log } = seams;
  const entries = new Map<string, Entry>();
  let stopped = false;

  function settingsOf(channel: string): ChannelSettings {
    return namedChannel(seams.settings(), channel);
  }

  function entryOf(channel: string): Entry {
    let entry = entries.get(channel);
    if (entry === undefined) {
      const pairing = pairingOf(channel);
      const connection = createChannelConnection(channel, seams, {
        onOutcome: pairing.upkeep,
        onChange: () => changed(channel),
      });
      entry = { told: "connecting", connection, pairing };
      if (stopped) entry.pairing.close();
      entries.set(channel, entry);
    }
    return entry;
  }

  function pairingOf(channel: string): ChannelPairing {
    return createChannelPairing(channel, {
      ...seams,
      settings: () => seams.settings().channels[channel],
      number: () => channelNumber(settingsOf(channel), stateOf(channel)),
      onRefreshed: () => seams.onChange(channel, stateOf(channel)),
    });
  }

  function stateOf(channel: string): ChannelState {
    const settings = settingsOf(channel);
    const entry = entryOf(channel);
    return channelState(settings, entry.connection.link, entry.pairing);
  }

  function changed(channel: string): void {
    const state = stateOf(channel);
    entryOf(channel).told = state.status;
    const level = state.status === "failed" ? "error" : state.status === "reconnecting" ? "warn" : "info";
    log[level]("channel.status", {
      channel,
      status: state.status,
      ...(state.reason === undefined ? {} : { reason: state.reason }),
      // While pairing the code has a line of its own.
      ...(state.fix === undefined || state.status === "pairing" ? {} : { fix: state.fix }),
    });
    seams.onChange(channel, state);
  }

  function forget(channel: string, entry: Entry): void {
    entry.connection.takeDown();
    entry.pairing.close();
    entries.delete(channel);
    log.info("channel.removed", { channel });
  }

  /** Makes the channel's code and status what its settings now want, then connects it where it is to be. */
  async function settle(channel: string, entry: Entry, dialled: boolean): Promise<void> {
    const { connection } = entry;
    const signal = connection.signal();
    try {
      await entry.pairing.upkeep();
    } catch (error) {
      log.error("channel.follow", { channel, error: String(error) });
      if (dialled && !signal.aborted)
        connection.later(reconnectDelay(1), () => void settle(channel, entry, dialled));
      return;
    }
    if (stopped || entries.get(channel) !== entry) return;
    if (stateOf(channel).status !== entry.told) changed(channel);
    if (dialled && !signal.aborted) connection.launch();
  }

  return {
    async follow(renewed) {
      const { channels } = seams.settings();
      if (stopped) return;
      for (const [channel, entry] of entries) if (!Object.hasOwn(channels, channel)) forget(channel, entry);
      const settling = Object.values(channels).map(({ id, enabled, sender }) => {
        const entry = entryOf(id);
        // Who asks for the settings to be read again may have mended what a failed channel waits for.
        const { connection } = entry;
        const { link } = connection.link;
        const again = link === "down" || link === "failed" || renewed.has(id);
        if (!isSameSender(entry.sender, sender)) connection.forgetNumbers();
        entry.sender = sender;
        if (!enabled) connection.takeDown();
        else if (again) connection.dial();
        return settle(id, entry, enabled && again);
      });
      await Promise.all(settling);
    },
    state: stateOf,
    pairing: (channel) => entryOf(channel).pairing.pending(),
    async beginPairing(channel) {
      const settings = settingsOf(channel);
      if (!settings.enabled)
        throw new AppError("conflict", `The channel ${channel} is disabled, so no code could reach it.`, {
          fix: "Enable the channel first.",
        });
      const state = stateOf(channel);
      if (channelNumber(settings, state) === undefined)
        throw new AppError(
          "conflict",
          `The number of the channel ${channel} is not known yet, so nobody could tell where to text a code. Its status is ${state.status}: ${state.reason ?? "its Messaging Service has no number."}`,
          { fix: state.fix ?? "Add a number to the Messaging Service's sender pool." },
        );
      const { pairing } = entryOf(channel);
      const code = await pairing.fresh();
      await pairing.upkeep();
      seams.onChange(channel, stateOf(channel));
      return code;
    },
    async cancelPairing(channel) {
      settingsOf(channel);
      const { pairing } = entryOf(channel);
      const deleted = await pairing.cancel();
      await pairing.upkeep();
      seams.onChange(channel, stateOf(channel));
      return deleted;
    },
    async addressesChanged(channel) {
      const entry = entries.get(channel);
      if (entry === undefined) return;
      await entry.pairing.reload();
      await entry.pairing.upkeep();
      if (entries.get(channel) === entry) changed(channel);
    },
    pairedCount: (channel) => entryOf(channel).pairing.addresses().length,
    pairedAddresses: (channel) => entries.get(channel)?.pairing.addresses() ?? [],
    async load() {
      for (const channel of Object.keys(seams.settings().channels)) await entryOf(channel).pairing.load();
    },
    reconnect(channel) {
      settingsOf(channel);
      const { connection } = entryOf(channel);
      connection.dial();
      changed(channel);
      connection.launch();
    },
    async stop() {
      stopped = true;
      for (const entry of entries.values()) {
        entry.connection.stop();
        entry.pairing.close();
      }
    },
  };
}

function isSameSender(a: Sender | undefined, b: Sender): boolean {
  if (a?.kind === "number") return b.kind === "number" && a.number === b.number;
  return a?.kind === b.kind && b.kind === "service" && a.sid === b.sid;
}
