import type { Clock } from "./clock.ts";
import { AppError } from "./errors.ts";
import type { RandomBytes } from "./ids.ts";
import type { Identity } from "./tokens.ts";

export interface SessionsSeams {
  /** Whose credential it is. Rejects with AppError `unauthenticated`, slowly for who guesses. */
  readonly identify: (credential: string, client: string) => Promise<Identity>;
  readonly random: RandomBytes;
  readonly clock: Clock;
}

/** A browser that is signed in. */
export interface Session {
  /** What its cookie holds; 32 random bytes. */
  readonly id: string;
  /** Epoch ms. */
  readonly expiresAt: number;
}

export interface SignInLink {
  /** Signs in once, instead of a token. */
  readonly code: string;
  /** Epoch ms. */
  readonly expiresAt: number;
}

/**
 * Who is signed in to the console. A session stands for the credential it was opened with and is worth exactly as much
 * at every moment: it ends when the token is revoked, expires or is replaced. Sessions are kept in memory only, so a
 * restart ends them.
 */
export interface Sessions {
  /** Opens a session with a token or a code of a link. Rejects with AppError `unauthenticated`. */
  signIn(credential: string, client: string): Promise<Session>;
  /** Whose session it is. Rejects with AppError `unauthenticated` for what is none any more. */
  identify(session: string, client: string): Promise<Identity>;
  signOut(session: string): void;
  /** A link that signs in once as whoever has `credential`. */
  createLink(credential: string): SignInLink;
}

/** A session that is not used for this long ends, ms. */
const IDLE = 12 * 3_600_000;
/** The longest a session lasts, ms. */
const LONGEST = 7 * 24 * 3_600_000;
const LINK_LASTS = 5 * 60_000;
/** Of each kind; the oldest go first. */
const MOST = 100;
/** Of those one credential's: whoever has one token cannot sign out the others. */
const MOST_OF_ONE = 10;
const SESSION_BYTES = 32;
/** Short enough to be read out; it lives for minutes, and wrong ones are slowed down. */
const CODE_BYTES = 16;

interface Kept {
  readonly credential: string;
  readonly until: number;
  usedAt: number;
}

export function createSessions({ identify, random, clock }: SessionsSeams): Sessions {
  const sessions = new Map<string, Kept>();
  const links = new Map<string, Kept>();

  function keep(among: Map<string, Kept>, credential: string, bytes: number, lasts: number): string {
    const now = clock.now();
    const secret = hex(random(bytes));
    among.set(secret, { credential, until: now + lasts, usedAt: now });
    const own = [...among].filter(([, kept]) => kept.credential === credential);
    for (const [name] of own.slice(0, -MOST_OF_ONE)) among.delete(name);
    for (const [name, { until }] of among) if (until <= now || among.size > MOST) among.delete(name);
    return secret;
  }

  /** A code is worth the credential behind it, once. */
  function redeemed(code: string): string {
    const link = links.get(code);
    links.delete(code);
    return link === undefined || link.until <= clock.now() ? code : link.credential;
  }

  return {
    async signIn(given, client) {
      const credential = redeemed(given);
      await identify(credential, client);
      return { id: keep(sessions, credential, SESSION_BYTES, LONGEST), expiresAt: clock.now() + LONGEST };
    },
    async identify(session, client) {
      const found = sessions.get(session);
      const now = clock.now();
      if (found === undefined || found.until <= now || found.usedAt + IDLE <= now) {
        sessions.delete(session);
        throw new AppError("unauthenticated", "You are not signed in any more.", { fix: "Sign in again." });
      }
      found.usedAt = now;
      return identify(found.credential, client);
    },
    signOut: (session) => void sessions.delete(session),
    createLink: (credential) => ({
      code: keep(links, credential, CODE_BYTES, LINK_LASTS),
      expiresAt: clock.now() + LINK_LASTS,
    }),
  };
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
