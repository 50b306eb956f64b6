import { annotate, redactCodes } from "./annotation.ts";
import { withoutConfirmationCode } from "./confirmation-text.ts";
import { AppError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { Signal } from "./signal.ts";
import type { TurnRecord } from "./turn-record.ts";

/** What a token allows. `read` shows no codes and no texts of signals; `admin` allows everything. */
export const SCOPES = ["read", "messages:send", "signals:await", "admin"] as const;

export type Scope = (typeof SCOPES)[number];

/** Whoever stands behind a request, after its credential was checked. */
export interface Caller {
  /** The token's id, or `admin`. Keeps the Idempotency-Keys of different callers apart. */
  readonly id: string;
  readonly scopes: readonly Scope[];
  /** The channels it is limited to; absent for all. */
  readonly channels?: readonly string[];
}

/** The holder of the admin token. */
export const ADMIN: Caller = { id: "admin", scopes: ["admin"] };

/** True when the caller may do what `scope` stands for, on this channel where one is named. */
export function can(caller: Caller, scope: Scope, channel?: string): boolean {
  if (!caller.scopes.includes(scope) && !caller.scopes.includes("admin")) return false;
  return channel === undefined || reaches(caller, channel);
}

/** True for a channel the caller is not kept from. */
export function reaches(caller: Caller, channel: string): boolean {
  return caller.channels === undefined || caller.channels.includes(channel);
}

/** Rejects with AppError `forbidden` where `can` says no. */
export function demand(caller: Caller, scope: Scope, channel?: string): void {
  if (!can(caller, scope))
    throw new AppError("forbidden", `This token does not have the scope ${scope}.`, {
      fix: `Use a token with the scope ${scope}.`,
    });
  if (channel !== undefined && !reaches(caller, channel))
    throw new AppError("forbidden", `This token is not for the channel ${channel}.`, {
      fix: `Name one of its channels: ${caller.channels?.join(", ")}.`,
    });
}

/** As `demand`, for what concerns the whole service: a caller who is kept to some channels is rejected too. */
export function demandEverywhere(caller: Caller, scope: Scope): void {
  demand(caller, scope);
  if (caller.channels !== undefined)
    throw new AppError("forbidden", "This token is limited to channels, and this concerns all of them.", {
      fix: "Use a token without channels.",
    });
}

/** True for callers who may see codes and the texts of signals: those who may wait for them anyway. */
export function seesCodes(caller: Caller): boolean {
  return can(caller, "signals:await");
}

const MASK = "***";

/** A signal as this caller may see it. */
export function maskSignal(caller: Caller, signal: Signal): Signal {
  if (seesCodes(caller)) return signal;
  const { category, confidence, origin } = signal.annotation;
  const annotation = { category, confidence, candidates: [], ...(origin === undefined ? {} : { origin }) };
  return { ...signal, text: MASK, annotation };
}

/**
 * A message as this caller may see it: a signal's text is masked as a whole, elsewhere what may be a code. In what is
 * sent too: an agent that has waited for a code hands it on. The code that confirms a call is for the phone it went
 * to, and proves nothing once another reads it: who may wait for codes does not see that one either.
 */
export function maskMessage<Kept extends Message>(caller: Caller, message: Kept): Kept {
  if (message.text === undefined || can(caller, "admin")) return message;
  const text = message.direction === "outbound" ? withoutConfirmationCode(message.text) : message.text;
  if (seesCodes(caller)) return { ...message, text };
  if (message.route === "signal") return { ...message, text: MASK };
  return { ...message, text: maskText(text, message.from) };
}

/** A turn as this caller may see it: what tools said may hold a code. */
export function maskTurn(caller: Caller, turn: TurnRecord): TurnRecord {
  if (seesCodes(caller)) return turn;
  const { task } = turn;
  return {
    ...turn,
    ...(task === undefined ? {} : { task: { ...task, content: maskText(task.content) } }),
    calls: turn.calls.map((call) =>
      call.reason === undefined ? call : { ...call, reason: maskText(call.reason) },
    ),
  };
}

function maskText(text: string, from = ""): string {
  return maskLinks(redactCodes(text, annotate(text, from)));
}

/** Addresses with a path, a query or a fragment; after a full stop and a name, a scheme is not needed for one. */
const LINK = /([a-z]:\/\/[^\s/?#]+)[/?#]\S*|([\p{L}\p{N}-]\.\p{L}{2,24}(?::\d{1,5})?)[/?#]\S+/giu;

/** A link may sign somebody in, whatever the words around it: only its host is shown. */
function maskLinks(text: string): string {
  return text.replace(LINK, (_, schemed?: string, bare?: string) => `${schemed ?? bare}/${MASK}`);
}
