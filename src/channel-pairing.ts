import { redactAddress } from "./address.ts";
import { needsPairing } from "./channel.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import type { NewId, RandomBytes } from "./ids.ts";
import type { Log } from "./log.ts";
import { newPairingCode, PAIRING_TTL, type Pairing } from "./pairing.ts";
import type { ChannelSettings } from "./settings.ts";
import type { PairingStore } from "./store.ts";

export interface ChannelPairingSeams {
  readonly store: Pick<PairingStore, "addresses" | "pairing" | "savePairing" | "deletePairing">;
  readonly newId: NewId;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly log: Log;
  /** The channel as it is configured now; undefined once it is gone. */
  readonly settings: () => ChannelSettings | undefined;
  /** The number to text a code to, where it is known. */
  readonly number: () => string | undefined;
  /** Told when a code was looked at because its time was over. */
  readonly onRefreshed: () => void;
}

/** Who is paired with one channel, and its pending code. */
export interface ChannelPairing {
  /** As last read from the store. */
  addresses(): readonly string[];
  /** The pending code, where it is still valid. */
  pending(): Pairing | undefined;
  /** Reads what is kept, once. */
  load(): Promise<void>;
  /** Reads what is kept again; somebody else has changed it. */
  reload(): Promise<void>;
  /** While nobody may text the agent a code is always pending: a fresh one takes an expired one's place. */
  upkeep(): Promise<void>;
  /** Puts a fresh code in the place of whichever was pending. */
  fresh(): Promise<Pairing>;
  /** Takes the pending code back; false when there was none. */
  cancel(): Promise<boolean>;
  close(): void;
}

export function createChannelPairing(channel: string, seams: ChannelPairingSeams): ChannelPairing {
  const { store, clock, log } = seams;
  let addresses: readonly string[] = [];
  let pairing: Pairing | undefined;
  let loaded = false;
  /** The id of the code that the log shows. */
  let shown: string | undefined;
  let timer: CancelTimer | undefined;
  /** Upkeep is one at a time, or two codes would be made at once. */
  let latest: Promise<void> = Promise.resolve();
  let closed = false;

  async function reload(): Promise<void> {
    addresses = (await store.addresses(channel)).map(({ address }) => address);
    pairing = await store.pairing(channel);
  }

  async function load(): Promise<void> {
    if (loaded) return;
    await reload();
    loaded = true;
  }

  function upkeep(): Promise<void> {
    const done = latest.then(keepCode);
    latest = done.catch(() => {});
    return done;
  }

  async function keepCode(): Promise<void> {
    timer?.();
    timer = undefined;
    await load();
    const settings = seams.settings();
    if (closed || settings === undefined || !settings.enabled) return;
    const kept = pending();
    if (kept !== undefined) show(kept);
    else if (needsPairing(settings, addresses.length)) await fresh();
    if (closed || pairing === undefined || !needsPairing(settings, addresses.length)) return;
    timer = clock.after(Math.max(0, pairing.expiresAt - clock.now()), () => {
      upkeep()
        .then(seams.onRefreshed)
        .catch((error: unknown) => log.error("pairing.refresh", { channel, error: String(error) }));
    });
  }

  function pending(): Pairing | undefined {
    return pairing !== undefined && clock.now() < pairing.expiresAt ? pairing : undefined;
  }

  async function fresh(): Promise<Pairing> {
    const now = clock.now();
    const made: Pairing = {
      id: seams.newId("pair"),
      channel,
      code: newPairingCode(seams.random),
      createdAt: now,
      expiresAt: now + PAIRING_TTL,
    };
    await store.savePairing(made);
    pairing = made;
    show(made);
    return made;
  }

  /** Tells a code once per process: after a restart nobody reads the log of the one before. */
  function show({ id, code, expiresAt }: Pairing): void {
    if (id === shown) return;
    shown = id;
    const number = seams.number();
    log.info("pairing.code", {
      channel,
      code,
      ...(number === undefined ? {} : { number: redactAddress(number) }),
      expires: new Date(expiresAt).toISOString(),
    });
  }

  return {
    addresses: () => addresses,
    pending,
    load,
    reload,
    upkeep,
    fresh,
    async cancel() {
      const deleted = await store.deletePairing(channel);
      pairing = undefined;
      return deleted;
    },
    close() {
      closed = true;
      timer?.();
    },
  };
}
