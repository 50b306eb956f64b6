import { type SentText, textOf } from "./accounts.ts";
import type { Carrier } from "./carrier.ts";
import type { Dice } from "./dice.ts";
import { nextFault } from "./faults.ts";

/** Phones that text all the time, while things go wrong. */
export interface Load {
  readonly texts: readonly SentText[];
  /** Every phone there ever was, also those whose last text was long ago. */
  readonly phones: () => readonly string[];
  /** Phones that texted STOP, with its sid. */
  readonly stops: ReadonlyMap<string, string>;
  readonly faults: () => number;
  /** Sends no more, and resolves when the last text is with the carrier. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  readonly carrier: Carrier;
  readonly dice: Dice;
  /** Channels by how often they are texted. */
  readonly channels: readonly (readonly [
    weight: number,
    channel: { readonly name: string; readonly number: string },
  ])[];
  /** Texts per second. */
  readonly rate: number;
  /** Faults per text. */
  readonly faults: number;
  /** The share of faults that leave open whether a reply was sent. */
  readonly unclear: number;
  /** The share of phones that text STOP. */
  readonly stopping: number;
  /** Phones that text at a time; each is replaced after `textsPerPhone` of them on average. */
  readonly phones: number;
  readonly textsPerPhone: number;
  /** While true, the phones keep quiet: a slow machine is not buried. */
  readonly hold?: () => boolean;
  /** Told of every text the carrier has. */
  readonly sent?: (text: SentText) => void;
  /** Whether `texts` and `phones` are kept. Default: true. */
  readonly keep?: boolean;
}

interface Phone {
  readonly address: string;
  readonly channel: { readonly name: string; readonly number: string };
  /** True for one that will text STOP. */
  readonly stops: boolean;
  texts: number;
}

/** The load comes in portions this far apart, ms. */
const TICK = 20;

export function startLoad(options: LoadOptions): Load {
  const { carrier, dice } = options;
  const keep = options.keep ?? true;
  const texts: SentText[] = [];
  const phones: string[] = [];
  const stops = new Map<string, string>();
  const open = new Set<Promise<void>>();
  let [number, made, faults] = [0, 0, 0];

  const newPhone = (): Phone => {
    const address = `+1555${String(2_000_000 + made++)}`;
    if (keep) phones.push(address);
    return {
      address,
      channel: dice.weighted(options.channels),
      stops: dice.chance(options.stopping),
      texts: 0,
    };
  };
  const active = Array.from({ length: options.phones }, newPhone);

  async function send(phone: Phone): Promise<void> {
    const { address, channel } = phone;
    phone.texts += 1;
    if (phone.stops && phone.texts === 3) {
      stops.set(address, await carrier.text(address, channel.number, "STOP"));
      return;
    }
    const mine = number++;
    const at = Date.now();
    const sid = await carrier.text(address, channel.number, textOf(mine));
    const text = { number: mine, phone: address, channel: channel.name, sid, at };
    if (keep) texts.push(text);
    options.sent?.(text);
  }

  function track(work: Promise<void>): void {
    open.add(work);
    work.finally(() => open.delete(work));
  }

  let failure: unknown;
  let last = performance.now();
  let due = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    if (options.hold?.() !== true) due += ((now - last) / 1000) * options.rate;
    last = now;
    for (; due >= 1; due--) {
      const index = Math.floor(dice.next() * active.length);
      const phone = active[index];
      if (phone === undefined) continue;
      if (phone.texts > 0 && dice.chance(1 / options.textsPerPhone)) active[index] = newPhone();
      track(
        send(phone).catch((error: unknown) => {
          failure ??= error;
        }),
      );
      if (dice.chance(options.faults)) {
        faults += 1;
        track(carrier.fault(nextFault(dice, options.unclear)).catch(() => {}));
      }
    }
  }, TICK);

  return {
    texts,
    phones: () => phones,
    stops,
    faults: () => faults,
    async stop() {
      clearInterval(timer);
      await Promise.all([...open]);
      if (failure !== undefined) throw failure;
    },
  };
}
