import type { Carrier } from "./carrier.ts";
import { FAILED_RETRY, reconnectDelay } from "./channel.ts";
import type { ChannelLink } from "./channel-state.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { Log } from "./log.ts";
import { namedChannel } from "./named-channel.ts";
import type { ChannelSettings, Settings } from "./settings.ts";

export interface ChannelConnectionSeams {
  readonly settings: () => Settings;
  readonly carrier: (channel: string) => Carrier | undefined;
  /** Our inbound webhook for a channel; undefined with `inbound: poll | none`. */
  readonly webhookUrl: (channel: string) => string | undefined;
  /** Compares the carrier's list with what we have; started once the channel is connected. */
  readonly catchUp: (channel: ChannelSettings, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** One channel's way to its carrier, kept up by itself once it was launched. */
export interface ChannelConnection {
  readonly link: ChannelLink;
  /** Ends the present connection and begins another, which waits to be launched. */
  dial(): void;
  /** Connects, and goes on trying until the channel is taken down or dialled anew. */
  launch(): void;
  /** Aborts when the connection of now has ended. */
  signal(): AbortSignal;
  /** Runs `next` after `delay` ms, unless the connection has ended by then. */
  later(delay: number, next: () => void): void;
  /** The channel has another sender, whose numbers are not known yet. */
  forgetNumbers(): void;
  /** Ends the present connection and whatever was begun for it. */
  takeDown(): void;
  /** Ends the same when the service ends; `link` stays as it was. */
  stop(): void;
}

/** `onOutcome` is waited for whenever an attempt has ended; then `onChange` is told, where the connection still is the same. */
export function createChannelConnection(
  channel: string,
  seams: ChannelConnectionSeams,
  { onOutcome, onChange }: { readonly onOutcome: () => Promise<void>; readonly onChange: () => void },
): ChannelConnection {
  const { clock, log } = seams;
  let link: ChannelLink = { link: "down", numbers: [], warnings: [] };
  let failures = 0;
  let abort = new AbortController();
  let timer: CancelTimer | undefined;

  async function connect(signal: AbortSignal): Promise<void> {
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
        failures = 0;
        link = { link: "up", numbers: outcome.numbers, warnings: outcome.warnings };
        for (const { detail, fix } of outcome.warnings)
          log.warn("channel.warning", { channel, reason: detail, fix });
        await onOutcome();
        if (signal.aborted) return;
        onChange();
        await followList(signal);
        return;
      }
      case "failed":
      case "unreachable": {
        lost(outcome.kind === "failed" ? "failed" : "reconnecting", outcome.reason, outcome.fix);
        await onOutcome();
        if (signal.aborted) return;
        onChange();
        tryAgain();
      }
    }
  }

  /** Watches the connected channel's inbound list until something goes wrong with it. */
  async function followList(signal: AbortSignal): Promise<void> {
    try {
      await seams.catchUp(namedChannel(seams.settings(), channel), signal);
    } catch (error) {
      if (signal.aborted) return;
      const known = error instanceof AppError ? error : undefined;
      lost(
        known !== undefined && known.code !== "unavailable" ? "failed" : "reconnecting",
        known?.message ?? INTERNAL,
        known?.fix,
      );
      if (known === undefined) log.error("channel.catch_up", { channel, error: String(error) });
      onChange();
      tryAgain();
    }
  }

  function launch(): void {
    const { signal } = abort;
    connect(signal).catch((error: unknown) => {
      if (signal.aborted) return;
      log.error("channel.connect", { channel, error: String(error) });
      lost("reconnecting", INTERNAL);
      tryAgain();
    });
  }

  function lost(now: "reconnecting" | "failed", reason: string, fix = "It is tried again by itself."): void {
    failures += 1;
    link = { ...link, link: now, reason, fix };
  }

  function tryAgain(): void {
    later(link.link === "failed" ? FAILED_RETRY : reconnectDelay(failures), launch);
  }

  function later(delay: number, next: () => void): void {
    timer = clock.after(delay, next);
  }

  function stop(): void {
    abort.abort();
    timer?.();
    timer = undefined;
  }

  function takeDown(): void {
    stop();
    failures = 0;
    link = { ...link, link: "down" };
  }

  return {
    get link() {
      return link;
    },
    dial() {
      takeDown();
      abort = new AbortController();
      link = { ...link, link: "connecting" };
    },
    launch,
    signal: () => abort.signal,
    later,
    forgetNumbers() {
      link = { ...link, numbers: [] };
    },
    takeDown,
    stop,
  };
}

const INTERNAL = "internal error, see the log";
