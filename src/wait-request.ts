import { addressKind } from "./address.ts";
import type { Category } from "./annotation.ts";
import { parseDuration } from "./duration.ts";
import { AppError, type Problem } from "./errors.ts";
import { unknownChannel } from "./named-channel.ts";
import { nearest } from "./nearest.ts";
import type { Settings } from "./settings.ts";
import type { NewWatch } from "./signals.ts";
import { type Caller, reaches } from "./token.ts";
import {
  CATEGORIES,
  type CompilePattern,
  DEFAULT_BACKFILL,
  MAX_BACKFILL,
  type WatchFilters,
} from "./watch.ts";

/** A request to wait, checked completely. */
export interface WaitRequest {
  readonly watch: Omit<NewWatch, "owner" | "idempotency">;
  /** Set exactly when there are `instructions`. */
  readonly judge?: string;
}

/** Against what a request is checked. */
export interface WaitContext {
  readonly settings: Settings;
  readonly compile: CompilePattern;
  readonly caller: Caller;
  /** The agent that waits and so judges itself; absent for API, MCP and CLI. */
  readonly agent?: string;
}

/** How long a call waits when it does not say; well under the minute after which many clients give up. */
const DEFAULT_TIMEOUT = 25_000;
export const MAX_TIMEOUT = 300_000;
const DEFAULT_EXPIRY = 24 * 3_600_000;
const MIN_EXPIRY = 1_000;
const MAX_EXPIRY = 365 * 24 * 3_600_000;

const MAX_SENDERS = 50;
const MAX_INSTRUCTIONS = 2_000;

const FIELDS = [
  "channel",
  "from",
  "match",
  "category",
  "origin",
  "instructions",
  "mode",
  "consume",
  "backfill",
  "expires_in",
  "timeout",
] as const;
type Field = (typeof FIELDS)[number];

/**
 * Reads the fields of a wait as they come in JSON: durations as `25s` or as seconds, `from` one
 * address or several; null counts as absent. An `await` is over after `timeout` (and `expires_in`, where that is
 * less); a `watch` after `expires_in`. Throws AppError `invalid` with every problem at once, each under its
 * field's name.
 */
export function parseWait(kind: "await" | "watch", input: unknown, context: WaitContext): WaitRequest {
  const problems: Problem[] = [];
  const fields = fieldsOf(input, problems);
  const reader: Reader = {
    problems,
    get: (field) => fields[field] ?? undefined,
    wrong: (path, message) => void problems.push({ path, message }),
  };
  const channel = readChannel(reader, context);
  const from = readSenders(reader);
  const match = readPattern(reader, context.compile);
  const category = readChoice(reader, "category", CATEGORIES);
  const origin = readOrigin(reader);
  const instructions = readInstructions(reader);
  const judge = instructions === undefined ? undefined : findJudge(reader, channel, context);
  const mode = readMode(reader, kind);
  const consume = readChoice(reader, "consume", ["claim", "peek"]);
  const backfill = readDuration(reader, "backfill", { least: 0, most: MAX_BACKFILL });
  const expiresIn = readDuration(reader, "expires_in", { least: MIN_EXPIRY, most: MAX_EXPIRY });
  const timeout = readDuration(reader, "timeout", { least: 0, most: MAX_TIMEOUT });
  if (kind === "watch" && timeout !== undefined)
    reader.wrong("timeout", "A standing watch has no timeout; write expires_in.");
  if (problems.length > 0) throw new AppError("invalid", "This cannot be waited for as given.", { problems });

  const filters: WatchFilters = {
    ...(channel === undefined ? {} : { channel }),
    ...(from === undefined ? {} : { from }),
    ...(match === undefined ? {} : { match }),
    ...(isCategory(category) ? { category } : {}),
    ...(origin === undefined ? {} : { origin }),
    ...(instructions === undefined ? {} : { instructions }),
  };
  return {
    watch: {
      filters,
      mode,
      // A continuous watch never takes a signal from others.
      consume: consume === "peek" || (consume === undefined && mode === "continuous") ? "peek" : "claim",
      backfill: backfill ?? DEFAULT_BACKFILL,
      expiresIn:
        kind === "await"
          ? Math.min(timeout ?? DEFAULT_TIMEOUT, expiresIn ?? MAX_EXPIRY)
          : (expiresIn ?? DEFAULT_EXPIRY),
    },
    ...(judge === undefined ? {} : { judge }),
  };
}

interface Reader {
  readonly problems: readonly Problem[];
  /** Undefined where it is absent or null. */
  get(field: Field): unknown;
  wrong(path: string, message: string): void;
}

function fieldsOf(input: unknown, problems: Problem[]): Readonly<Record<string, unknown>> {
  if (typeof input !== "object" || input === null || Array.isArray(input)) {
    problems.push({ path: "", message: 'Write an object, as {"from": "+15551234567"}.' });
    return {};
  }
  for (const name of Object.keys(input)) {
    if (isField(name)) continue;
    const near = nearest(name, FIELDS);
    problems.push({
      path: name,
      message:
        near === undefined ? `There is no such field; there are: ${FIELDS.join(", ")}.` : `Write ${near}.`,
    });
  }
  return { ...input };
}

function isField(name: string): name is Field {
  return FIELDS.some((field) => field === name);
}

function isCategory(value: string | undefined): value is Category {
  return CATEGORIES.some((category) => category === value);
}

/** A text that is not empty, or undefined where the field is absent or was refused. */
function readText(reader: Reader, field: Field, most: number): string | undefined {
  const value = reader.get(field);
  if (value === undefined) return undefined;
  if (typeof value !== "string") reader.wrong(field, "Write a text.");
  else if (value.trim() === "") reader.wrong(field, "This is empty; leave the field out instead.");
  else if (value.length > most) reader.wrong(field, `At most ${most} characters; this has ${value.length}.`);
  else return value;
  return undefined;
}

function readChoice(reader: Reader, field: Field, choices: readonly string[]): string | undefined {
  const value = reader.get(field);
  if (value === undefined || (typeof value === "string" && choices.includes(value))) return value;
  const near = typeof value === "string" ? nearest(value, choices) : undefined;
  reader.wrong(field, `Write ${near ?? oneOf(choices)}.`);
  return undefined;
}

function oneOf(choices: readonly string[]): string {
  return choices.length > 1 ? `one of ${choices.join(", ")}` : choices.join("");
}

function readMode(reader: Reader, kind: "await" | "watch"): "once" | "continuous" {
  const mode = readChoice(reader, "mode", ["once", "continuous"]);
  if (mode !== "continuous") return "once";
  if (kind === "await")
    reader.wrong("mode", "A call ends with its first signal; for more than one make a standing watch.");
  return "continuous";
}

function readChannel(reader: Reader, { settings, caller }: WaitContext): string | undefined {
  const known = Object.keys(settings.channels).filter((channel) => reaches(caller, channel));
  const named = readText(reader, "channel", 200);
  if (named === undefined) {
    if (caller.channels === undefined || reader.get("channel") !== undefined) return undefined;
    // A token that is limited to channels waits on those only, and a watch has one channel or all.
    if (known.length !== 1)
      reader.wrong("channel", `This token is limited to channels; write ${oneOf(known) || "another token"}.`);
    return known[0];
  }
  if (!known.includes(named)) {
    reader.wrong("channel", unknownChannel(named, known));
    return undefined;
  }
  if (settings.channels[named]?.inbound === "none")
    reader.wrong("channel", `${named} only sends (inbound: none); no text ever arrives on it.`);
  return named;
}

function readSenders(reader: Reader): readonly string[] | undefined {
  const value = reader.get("from");
  if (value === undefined) return undefined;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) reader.wrong("from", "This is empty; leave the field out to wait for any sender.");
  if (list.length > MAX_SENDERS)
    reader.wrong("from", `At most ${MAX_SENDERS} senders; a trailing * matches all that begin alike.`);
  const senders: string[] = [];
  for (const [index, sender] of list.slice(0, MAX_SENDERS).entries()) {
    const path = Array.isArray(value) ? `from.${index}` : "from";
    const problem = senderProblem(sender);
    if (problem !== undefined) reader.wrong(path, problem);
    else if (typeof sender === "string") senders.push(sender);
  }
  return senders;
}

function senderProblem(sender: unknown): string | undefined {
  const forms = 'Write "+15551234567", a short code, a sender name, or the beginning of one and a *.';
  if (typeof sender !== "string" || sender.length > 120) return forms;
  if (sender === "*") return "This matches every sender; leave the field out instead.";
  if (sender.endsWith("*"))
    return sender.indexOf("*") < sender.length - 1 ? "A * stands only at the end." : undefined;
  if (addressKind(sender) !== undefined) return undefined;
  const digits = sender.replace(/[\s().-]/g, "");
  const meant = digits.startsWith("+") ? digits : `+${digits}`;
  return addressKind(meant) === undefined ? forms : `Write "${meant}".`;
}

function readPattern(reader: Reader, compile: CompilePattern): string | undefined {
  const source = readText(reader, "match", 2_000);
  if (source === undefined) return undefined;
  const pattern = compile(source);
  if ("refused" in pattern) reader.wrong("match", `The pattern cannot be run. ${pattern.refused}`);
  return source;
}

const HOST =
  /^(?=.{1,253}$)[\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?(\.[\p{L}\p{N}]([\p{L}\p{N}-]*[\p{L}\p{N}])?)*$/u;

function readOrigin(reader: Reader): string | undefined {
  const given = readText(reader, "origin", 300);
  if (given === undefined) return undefined;
  const host = given.trim().replace(/^@/, "").toLowerCase();
  if (HOST.test(host)) return host;
  const inside = /^[a-z][a-z0-9+.-]*:\/\/([^/?#:@]+)/.exec(host)?.[1] ?? /^([^/?#:@]+)[/:]/.exec(host)?.[1];
  const meant = inside !== undefined && HOST.test(inside) ? inside : "a host name, as example.com";
  reader.wrong("origin", `Write ${meant}.`);
  return undefined;
}

function readInstructions(reader: Reader): string | undefined {
  return readText(reader, "instructions", MAX_INSTRUCTIONS)?.trim();
}

/** The agent that is to judge: the one that waits, else the one of the channel. */
function findJudge(reader: Reader, channel: string | undefined, context: WaitContext): string | undefined {
  const { settings, agent } = context;
  const candidate = agent ?? (channel === undefined ? undefined : settings.channels[channel]?.agent);
  const found = candidate === undefined ? undefined : settings.agents[candidate];
  if (found?.type === "llm") return found.id;
  if (reader.problems.some((problem) => problem.path === "channel")) return undefined;
  const why =
    candidate !== undefined
      ? `the agent ${candidate} is no llm agent`
      : channel !== undefined
        ? `the channel ${channel} has no agent`
        : "without a channel there is no agent to ask";
  const judges = Object.values(settings.channels)
    .filter((one) => reaches(context.caller, one.id) && isLlm(settings, one.agent))
    .map((one) => one.id);
  const instead =
    agent === undefined && judges.length > 0
      ? `name a channel with an llm agent (${judges.join(", ")}), or use match, category or from`
      : "use match, category or from";
  reader.wrong("instructions", `Instructions are judged by an llm agent, and ${why}; ${instead}.`);
  return undefined;
}

function isLlm(settings: Settings, agent: string | undefined): boolean {
  return agent !== undefined && settings.agents[agent]?.type === "llm";
}

function readDuration(
  reader: Reader,
  field: Field,
  range: { readonly least: number; readonly most: number },
): number | undefined {
  const value = reader.get(field);
  if (value === undefined) return undefined;
  if (typeof value !== "string" && typeof value !== "number") {
    reader.wrong(field, "Write a duration, as 30s, or a number of seconds.");
    return undefined;
  }
  const parsed = parseDuration(value);
  if (!parsed.ok) reader.wrong(field, `This ${parsed.message}; ${parsed.fix}.`);
  else if (parsed.ms < range.least) reader.wrong(field, `At least ${range.least / 1000} s.`);
  else if (parsed.ms > range.most) reader.wrong(field, `At most ${range.most / 1000} s.`);
  else return parsed.ms;
  return undefined;
}
