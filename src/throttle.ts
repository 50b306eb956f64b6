import { type Clock, sleep } from "./clock.ts";
import { AppError } from "./errors.ts";

/**
 * Slows down who guesses credentials. A client that was wrong with several different ones waits before the next is
 * even looked at, longer each time and at most MAX_DELAY, right or wrong: whoever shares its address is slowed a
 * little, but never locked out, and how long an answer takes tells nothing. The same wrong credential again is no
 * guess and does not count.
 */
export interface Throttle {
  /**
   * Resolves when this client's next attempt may be looked at. Rejects with `unavailable` where too many wait: then it is
   * asked whether the credential is right, and one that is waits with the others all the same.
   */
  enter(client: string, isRight?: () => Promise<boolean>): Promise<void>;
  /** Notes a wrong credential, by its digest; answers how many different ones the client has tried lately. */
  failed(client: string, digest: string): number;
}

/** Wrong credentials that cost nothing: a person mistypes. */
const FREE = 4;
const FIRST_DELAY = 100;
const MAX_DELAY = 2_000;
/** A client that was not wrong for this long begins anew, ms. */
const FORGET = 10 * 60_000;
/** Wrong attempts of one client that wait at once. */
const MAX_WAITING = 256;
/** Clients and, for each, wrong credentials that are remembered; the oldest go first. */
const MAX_CLIENTS = 1_000;
const MAX_REMEMBERED = 64;

interface Client {
  failures: number;
  lastAt: number;
  waiting: number;
  readonly wrong: Set<string>;
}

export function createThrottle(clock: Clock): Throttle {
  const clients = new Map<string, Client>();

  function known(client: string): Client | undefined {
    const found = clients.get(client);
    if (found === undefined || clock.now() - found.lastAt <= FORGET) return found;
    clients.delete(client);
    return undefined;
  }

  function noted(client: string): Client {
    const found = known(client) ?? { failures: 0, lastAt: 0, waiting: 0, wrong: new Set<string>() };
    // Put last again, so that the first is the one that was quiet the longest.
    clients.delete(client);
    clients.set(client, found);
    dropFirst(clients, MAX_CLIENTS);
    return found;
  }

  return {
    async enter(name, isRight = async () => false) {
      const client = known(name);
      if (client === undefined || client.failures <= FREE) return;
      if (client.waiting >= MAX_WAITING && !(await isRight()))
        throw new AppError("unavailable", "Too many wrong credentials came from this address.", {
          fix: "Wait a few seconds.",
        });
      client.waiting += 1;
      try {
        await sleep(clock, Math.min(MAX_DELAY, FIRST_DELAY * 2 ** (client.failures - FREE - 1)));
      } finally {
        client.waiting -= 1;
      }
    },
    failed(name, digest) {
      const client = noted(name);
      client.lastAt = clock.now();
      if (!client.wrong.has(digest)) {
        client.failures += 1;
        client.wrong.add(digest);
        dropFirst(client.wrong, MAX_REMEMBERED);
      }
      return client.failures;
    },
  };
}

function dropFirst(kept: Map<string, unknown> | Set<string>, most: number): void {
  for (const key of kept.keys()) {
    if (kept.size <= most) return;
    kept.delete(key);
  }
}
