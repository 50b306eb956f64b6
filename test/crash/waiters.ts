import { z } from "zod";
import type { Dice } from "./dice.ts";
import type { Rig, RigChannel } from "./rig.ts";

/** Programs that wait for codes through the API while the service is killed, and the codes that are texted. */
export interface Waiters {
  /** What each was given, by its Idempotency-Key; undefined while it waits. */
  readonly claims: ReadonlyMap<string, string | undefined>;
  readonly codes: readonly string[];
  readonly waiting: () => number;
  /** Makes no more of them. */
  stop(): void;
  /** Lets those that still wait go. */
  close(): Promise<void>;
}

const Answer = z.object({
  status: z.enum(["matched", "timeout"]),
  signal: z.object({ code: z.string().optional() }).optional(),
});

/** A fresh group this often, ms: a sender, some who wait for its codes, and as many codes. */
const EVERY = 700;

export function startWaiters(rig: Rig, channel: RigChannel, dice: Dice): Waiters {
  const claims = new Map<string, string | undefined>();
  const codes: string[] = [];
  const closing = new AbortController();
  const open = new Set<Promise<void>>();
  let groups = 0;

  /** Repeats the call under its key until it has a code, as a client with a cut connection does. */
  async function wait(key: string, from: string): Promise<void> {
    claims.set(key, undefined);
    while (!closing.signal.aborted) {
      try {
        const given = Answer.parse(
          await rig.api(
            "POST",
            "/signals/await",
            { channel: channel.name, from, timeout: "20s", backfill: "10m" },
            { "idempotency-key": key },
          ),
        );
        if (given.signal !== undefined) {
          claims.set(key, given.signal.code ?? "");
          return;
        }
      } catch {
        // The service is down, or went down meanwhile: the next call finds what this one was given.
        await Bun.sleep(100);
      }
    }
  }

  async function group(): Promise<void> {
    const index = groups++;
    const from = `+1556${String(2_000_000 + index)}`;
    const size = Math.round(dice.between(1, 3));
    const waiting = Array.from({ length: size }, (_, i) => wait(`waiter-${index}-${i}`, from));
    for (let i = 0; i < size; i++) {
      await Bun.sleep(dice.between(0, 400));
      const code = String(100_003 + codes.length * 7);
      codes.push(code);
      await rig.carrier.text(from, channel.number, `Your verification code is ${code}`);
    }
    await Promise.all(waiting);
  }

  const timer = setInterval(() => {
    const work = group();
    open.add(work);
    work.catch(() => {}).finally(() => open.delete(work));
  }, EVERY);

  return {
    claims,
    codes,
    waiting: () => [...claims.values()].filter((code) => code === undefined).length,
    stop: () => clearInterval(timer),
    async close() {
      clearInterval(timer);
      closing.abort();
      await Promise.allSettled([...open]);
    },
  };
}
