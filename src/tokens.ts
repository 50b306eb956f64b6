import type { CancelTimer, Clock } from "./clock.ts";
import { AppError, type Problem } from "./errors.ts";
import type { NewId, RandomBytes } from "./ids.ts";
import type { Log } from "./log.ts";
import { unknownChannel } from "./named-channel.ts";
import type { Settings } from "./settings.ts";
import { createThrottle } from "./throttle.ts";
import { ADMIN, type Caller, demandEverywhere, type Scope } from "./token.ts";
import type { StoredToken, TokenStore } from "./token-store.ts";

export interface TokensSeams {
  readonly settings: () => Settings;
  readonly store: TokenStore;
  /** True for the admin token; compares in a time that tells nothing. */
  readonly isAdmin: (credential: string) => boolean;
  /** SHA-256, hexadecimal. */
  readonly digest: (text: string) => string;
  readonly newId: NewId;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly log: Log;
  /** Told when a client keeps trying credentials that are none. */
  readonly onGuessing: (client: string) => void;
}

export interface NewToken {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly channels?: readonly string[];
  /** When it ends. */
  readonly expiry?: TokenExpiry;
}

/** An instant, epoch ms, or a time from now on, ms. */
export type TokenExpiry = { readonly at: number } | { readonly in: number };

/** Who a request comes from, and when that ends. */
export interface Identity {
  readonly caller: Caller;
  /** Aborts when the token is revoked or expires, so that what is still open for it ends too. */
  readonly ended?: AbortSignal;
}

/** API tokens. All but `identify` are for callers with `admin` on every channel. */
export interface Tokens {
  /** Rejects with AppError `unauthenticated`. `client` is the address the request comes from. */
  identify(credential: string, client: string): Promise<Identity>;
  /** Answers the token and, this once, what it is. */
  create(token: NewToken, by: Caller): Promise<{ readonly token: StoredToken; readonly secret: string }>;
  list(by: Caller): Promise<readonly StoredToken[]>;
  revoke(id: string, by: Caller): Promise<void>;
  stop(): void;
}

/** Told by its beginning, so that scanners for leaked secrets find it. */
const PREFIX = "sms_";
const SECRET_BYTES = 32;
/** The time of the last use is kept to this, ms: not every request shall write. */
const USE_INTERVAL = 60_000;
/** A client with so many different wrong credentials is guessing. */
const GUESSING = 20;

/** Refusals of a minute that are each told in the log; the others are counted, or anybody could fill the disk. */
const TOLD_PER_MINUTE = 30;

interface Open {
  readonly abort: AbortController;
  readonly cancel: CancelTimer;
}

export function createTokens(seams: TokensSeams): Tokens {
  const { store, clock, log } = seams;
  const throttle = createThrottle(clock);
  const open = new Map<string, Open>();
  const used = new Map<string, number>();
  let refusals = { since: 0, count: 0 };

  /** The signal of a token's end, shared by all of its requests. */
  function endOf({ id, expiresAt }: StoredToken): AbortSignal {
    let found = open.get(id);
    if (found === undefined) {
      const abort = new AbortController();
      const cancel =
        expiresAt === undefined ? () => {} : clock.after(expiresAt - clock.now(), () => close(id, EXPIRED));
      found = { abort, cancel };
      open.set(id, found);
    }
    return found.abort.signal;
  }

  function close(id: string, reason: AppError): void {
    const found = open.get(id);
    open.delete(id);
    used.delete(id);
    found?.cancel();
    found?.abort.abort(reason);
  }

  function noteRefusal(client: string, failures: number): void {
    const now = clock.now();
    const { since, count } = refusals;
    const untold = Math.max(0, count - TOLD_PER_MINUTE);
    const isNew = now - since >= 60_000;
    refusals = isNew ? { since: now, count: 1 } : { since, count: count + 1 };
    if (refusals.count > TOLD_PER_MINUTE) return;
    log.warn("auth.refused", { client, failures, ...(isNew && untold > 0 ? { more: untold } : {}) });
  }

  function noteUse({ id, lastUsedAt }: StoredToken): void {
    const now = clock.now();
    if (now - (used.get(id) ?? lastUsedAt ?? 0) < USE_INTERVAL) return;
    used.set(id, now);
    store.noteTokenUse(id, now).catch((error: unknown) => {
      log.warn("token.use", { token: id, error: String(error) });
    });
  }

  return {
    async identify(credential, client) {
      const digest = seams.digest(credential);
      await throttle.enter(
        client,
        async () => seams.isAdmin(credential) || (await store.tokenByHash(digest)) !== undefined,
      );
      // Both are always asked, so that the time does not tell which kind of credential was nearly right.
      const isAdmin = seams.isAdmin(credential);
      const token = await store.tokenByHash(digest);
      if (isAdmin) return { caller: ADMIN };
      if (token === undefined) {
        const failures = throttle.failed(client, digest);
        noteRefusal(client, failures);
        if (failures >= GUESSING) seams.onGuessing(client);
        throw new AppError("unauthenticated", "The token is not valid.", { fix: ASK });
      }
      if (token.expiresAt !== undefined && token.expiresAt <= clock.now()) throw EXPIRED;
      noteUse(token);
      const { id, scopes, channels } = token;
      return { caller: { id, scopes, ...(channels === undefined ? {} : { channels }) }, ended: endOf(token) };
    },
    async create(wanted, by) {
      demandEverywhere(by, "admin");
      const { name, expiry } = wanted;
      const now = clock.now();
      check(wanted, Object.keys(seams.settings().channels), now);
      const secret = PREFIX + base64url(seams.random(SECRET_BYTES));
      const token: StoredToken = {
        id: seams.newId("tok"),
        name,
        scopes: [...new Set(wanted.scopes)],
        ...(wanted.channels === undefined ? {} : { channels: [...new Set(wanted.channels)] }),
        createdAt: now,
        ...(expiry === undefined ? {} : { expiresAt: "at" in expiry ? expiry.at : now + expiry.in }),
      };
      await store.addToken(token, seams.digest(secret));
      log.info("token.created", {
        token: token.id,
        scopes: token.scopes,
        channels: token.channels,
        by: by.id,
      });
      return { token, secret };
    },
    async list(by) {
      demandEverywhere(by, "admin");
      return store.tokens();
    },
    async revoke(id, by) {
      demandEverywhere(by, "admin");
      if (!(await store.deleteToken(id)))
        throw new AppError("not_found", `There is no token ${id.slice(0, 64)}.`);
      close(id, REVOKED);
      log.info("token.revoked", { token: id, by: by.id });
    },
    stop() {
      for (const { cancel } of open.values()) cancel();
    },
  };
}

const ASK =
  "Ask the operator for a token (sms-agent token create); the admin token is in <data_dir>/admin-token.";
const EXPIRED = new AppError("unauthenticated", "The token has expired.", { fix: ASK });
const REVOKED = new AppError("unauthenticated", "The token was revoked.", { fix: ASK });

/** Throws AppError `invalid` with everything that is wrong. */
function check({ scopes, channels, expiry }: NewToken, known: readonly string[], now: number): void {
  const problems: Problem[] = [];
  if (scopes.length === 0) problems.push({ path: "scopes", message: "Name at least one." });
  if (channels?.length === 0)
    problems.push({ path: "channels", message: "Name at least one, or leave it out for all." });
  for (const [index, channel] of (channels ?? []).entries()) {
    if (known.includes(channel)) continue;
    problems.push({ path: `channels.${index}`, message: unknownChannel(channel, known) });
  }
  if (expiry !== undefined && "at" in expiry && expiry.at <= now)
    problems.push({ path: "expires_at", message: "This is in the past." });
  if (expiry !== undefined && "in" in expiry && expiry.in <= 0)
    problems.push({
      path: "expires_in",
      message: "It would have ended already; write a longer time, as 30d.",
    });
  if (problems.length > 0) throw new AppError("invalid", "The token cannot be made as given.", { problems });
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
