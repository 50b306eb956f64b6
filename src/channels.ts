import { redactNumbers } from "./address.ts";
import type { Carrier } from "./carrier.ts";
import { type ChannelState, channelNumber, FAILED_RETRY, reconnectDelay } from "./channel.ts";
import { type ChannelPairing, createChannelPairing } from "./channel-pairing.ts";
import { type ChannelLink, channelState } from "./channel-state.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { NewId, RandomBytes } from "./ids.ts";
import type { Log } from "./log.ts";
import { namedChannel } from "./named-channel.ts";
import type { Pairing } from "./pairing.ts";
import type { ChannelSettings, Sender, Settings } from "./settings.ts";
import type { Store } from "./store.ts";

export interface ChannelsSeams {
  readonly settings: () => Settings;
  readonly carrier: (channel: string) => Carrier | undefined;
  /** Our inbound webhook for a channel; undefined with `inbound: poll | none`. */
  readonly webhookUrl: (channel: string) => string | undefined;
  /** Compares the carrier's list with what we have; started once the channel is connected. */
  readonly catchUp: (channel: ChannelSettings, signal: AbortSignal) => Promise<void>;
  readonly store: Store;
  readonly newId: NewId;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly log: Log;
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
  /** Makes a fresh code; rejects with AppError `conflict` for a disabled channel. */
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

interface Entry extends ChannelLink {
  link: ChannelLink["link"];
  /** The status that was last told. */
  told: ChannelState["status"];
  reason?: string;
  fix?: string;
  /** What `numbers` are the numbers of. */
  sender?: Sender;
  numbers: readonly string[];
  warnings: readonly string[];
  failures: number;
  readonly pairing: ChannelPairing;
  /** Ends everything that was begun for the present connection. */
  abort: AbortController;
  timer?: CancelTimer | undefined;
}

/** Brings channels up, keeps them up, and keeps a pairing code pending for as long as one is needed. */
export function createChannels(seams: ChannelsSeams): Channels {
  const { clock, log } = seams;
  const entries = new Map<string, Entry>();
  let stopped = false;

  function settingsOf(channel: string): ChannelSettings {
    return namedChannel(seams.settings(), channel);
  }

  function entryOf(channel: string): Entry {
    let entry = entries.get(channel);
    if (entry === undefined) {
      entry = {
        link: "down",
        told: "connecting",
        numbers: [],
        warnings: [],
        failures: 0,
        pairing: pairingOf(channel),
        abort: new AbortController(),
      };
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
    return channelState(settings, entry, entry.pairing);
  }

  function changed(channel: string): void {
    const state = stateOf(channel);
    entryOf(channel).told = state.status;
    const level = state.status === "failed" ? "error" : state.status === "reconnecting" ? "warn" : "info";
    log[level]("channel.status", {
      channel,
      status: state.status,
      ...(state.reason === undefined ? {} : { reason: redactNumbers(state.reason) }),
      // While pairing the code has a line of its own.
      ...(state.fix === undefined || state.status === "pairing" ? {} : { fix: redactNumbers(state.fix) }),
    });
    seams.onChange(channel, state);
  }

  async function connect(channel: string, entry: Entry, signal: AbortSignal): Promise<void> {
    const settings = seams.settings().channels[channel];
    if (signal.aborted || settings === undefined) return;
    const carrier = seams.carrier(channel);
    if (carrier === undefined) return;
    const webhookUrl = seams.webhookUrl(channel);
    const outcome = await carrier.connect(
      { ...(webhookUrl === undefined ? {} : { webhookUrl }), register: settings.registerWebhook },
      signal,
    );
    if (signal.aborted) return;
    switch (outcome.kind) {
      case "ready": {
        entry.link = "up";
        entry.failures = 0;
        entry.numbers = outcome.numbers;
        entry.warnings = outcome.warnings;
        for (const warning of outcome.warnings)
          log.warn("channel.warning", { channel, reason: redactNumbers(warning) });
        await entry.pairing.upkeep();
        if (signal.aborted) return;
        changed(channel);
        await followList(channel, entry, signal);
        return;
      }
      case "failed":
      case "unreachable": {
        lost(entry, outcome.kind === "failed" ? "failed" : "reconnecting", outcome.reason, outcome.fix);
        await entry.pairing.upkeep();
        if (signal.aborted) return;
        changed(channel);
        tryAgain(channel, entry);
      }
    }
  }

  /** Watches the connected channel's inbound list until something goes wrong with it. */
  async function followList(channel: string, entry: Entry, signal: AbortSignal): Promise<void> {
    try {
      await seams.catchUp(settingsOf(channel), signal);
    } catch (error) {
      if (signal.aborted) return;
      const known = error instanceof AppError ? error : undefined;
      lost(
        entry,
        known !== undefined && known.code !== "unavailable" ? "failed" : "reconnecting",
        known?.message ?? INTERNAL,
        known?.fix,
      );
      if (known === undefined) log.error("channel.catch_up", { channel, error: String(error) });
      changed(channel);
      tryAgain(channel, entry);
    }
  }

  function launch(channel: string, entry: Entry): void {
    const { signal } = entry.abort;
    connect(channel, entry, signal).catch((error: unknown) => {
      if (signal.aborted) return;
      log.error("channel.connect", { channel, error: String(error) });
      lost(entry, "reconnecting", INTERNAL);
      tryAgain(channel, entry);
    });
  }

  function lost(
    entry: Entry,
    link: "reconnecting" | "failed",
    reason: string,
    fix = "It is tried again by itself.",
  ): void {
    entry.failures += 1;
    entry.link = link;
    entry.reason = reason;
    entry.fix = fix;
  }

  function tryAgain(channel: string, entry: Entry): void {
    const delay = entry.link === "failed" ? FAILED_RETRY : reconnectDelay(entry.failures);
    entry.timer = clock.after(delay, () => launch(channel, entry));
  }

  /** Ends the present connection and whatever was begun for it. */
  function takeDown(entry: Entry): void {
    entry.abort.abort();
    entry.timer?.();
    entry.timer = undefined;
    entry.link = "down";
    entry.failures = 0;
  }

  function dial(entry: Entry): void {
    takeDown(entry);
    entry.abort = new AbortController();
    entry.link = "connecting";
  }

  function forget(channel: string, entry: Entry): void {
    takeDown(entry);
    entry.pairing.close();
    entries.delete(channel);
    log.info("channel.removed", { channel });
  }

  /** Makes the channel's code and status what its settings now want, then connects it where it is to be. */
  async function settle(channel: string, entry: Entry, dialled: boolean): Promise<void> {
    const { signal } = entry.abort;
    try {
      await entry.pairing.upkeep();
    } catch (error) {
      log.error("channel.follow", { channel, error: String(error) });
      if (dialled && !signal.aborted)
        entry.timer = clock.after(reconnectDelay(1), () => void settle(channel, entry, dialled));
      return;
    }
    if (stopped || entries.get(channel) !== entry) return;
    if (stateOf(channel).status !== entry.told) changed(channel);
    if (dialled && !signal.aborted) launch(channel, entry);
  }

  return {
    async follow(renewed) {
      const { channels } = seams.settings();
      if (stopped) return;
      for (const [channel, entry] of entries) if (!Object.hasOwn(channels, channel)) forget(channel, entry);
      const settling = Object.values(channels).map(({ id, enabled, sender }) => {
        const entry = entryOf(id);
        // Who asks for the settings to be read again may have mended what a failed channel waits for.
        const again = entry.link === "down" || entry.link === "failed" || renewed.has(id);
        if (!isSameSender(entry.sender, sender)) entry.numbers = [];
        entry.sender = sender;
        if (!enabled) takeDown(entry);
        else if (again) dial(entry);
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
      const entry = entryOf(channel);
      dial(entry);
      changed(channel);
      launch(channel, entry);
    },
    async stop() {
      stopped = true;
      for (const entry of entries.values()) {
        entry.abort.abort();
        entry.timer?.();
        entry.pairing.close();
      }
    },
  };
}

function isSameSender(a: Sender | undefined, b: Sender): boolean {
  if (a?.kind === "number") return b.kind === "number" && a.number === b.number;
  return a?.kind === b.kind && b.kind === "service" && a.sid === b.sid;
}

const INTERNAL = "internal error, see the log";
