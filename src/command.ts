import type { OptOutType } from "./message.ts";

/** Texts that are handled before the agent. */
export type Command = "new" | "help" | "status" | "stop";

const STOP = new Set(["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]);
const START = new Set(["START", "YES", "UNSTOP"]);
const HELP = new Set(["HELP", "INFO"]);
const LONGEST = Math.max(...[...STOP, ...START, ...HELP].map((word) => word.length));

/** The carrier's keywords, alone in the body and in any case, as Twilio matches them. */
export function optOutKeyword(body: string): OptOutType | undefined {
  const alone = body.trim();
  if (alone.length > LONGEST) return undefined;
  const word = alone.toUpperCase();
  if (STOP.has(word)) return "STOP";
  if (START.has(word)) return "START";
  return HELP.has(word) ? "HELP" : undefined;
}

/** `/new`, `/help`, `/status`, `/stop`; stray spaces and case do not matter. */
export function commandIn(body: string): Command | undefined {
  switch (
    body
      .trim()
      .replace(/^\/\s+/, "/")
      .toLowerCase()
  ) {
    case "/new":
      return "new";
    case "/help":
      return "help";
    case "/status":
      return "status";
    case "/stop":
      return "stop";
    default:
      return undefined;
  }
}

/** Asks for the next part of a reply that was held back. */
export function asksForMore(body: string): boolean {
  return body.trim().toUpperCase() === "MORE";
}
