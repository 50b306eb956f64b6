import { parseDuration } from "../duration.ts";
import { AppError, type Problem } from "../errors.ts";
import type {
  CallbackFault,
  Fault,
  FaultEffect,
  FaultMatch,
  InboundFault,
  RequestFault,
  SendFault,
} from "../simulated.ts";

/**
 * The faults on order. A place of the simulator asks with `take`, naming the kinds it can make happen there;
 * the first fault that fits is used up by one.
 */
export interface Faults {
  add(input: unknown): Fault;
  list(): readonly Fault[];
  remove(id: string): boolean;
  clear(): void;
  takeRequest(facts: FaultFacts): RequestFault | undefined;
  takeSend<K extends SendFault["kind"]>(kinds: readonly K[], facts: FaultFacts): SendFaultOf<K> | undefined;
  takeCallback<K extends CallbackFault["kind"]>(kind: K, facts: FaultFacts): CallbackFaultOf<K> | undefined;
  takeInbound<K extends InboundFault["kind"]>(kind: K, facts: FaultFacts): InboundFaultOf<K> | undefined;
}

type SendFaultOf<K> = Extract<SendFault, { readonly kind: K }>;
export type CallbackFaultOf<K> = Extract<CallbackFault, { readonly kind: K }>;
type InboundFaultOf<K> = Extract<InboundFault, { readonly kind: K }>;

/** What a fault's `match` is held against. */
type FaultFacts = { readonly [K in keyof FaultMatch]?: string | undefined };

export function createFaults(): Faults {
  let faults: readonly Fault[] = [];
  let count = 0;

  const take = <E extends FaultEffect>(
    fits: (effect: FaultEffect) => effect is E,
    facts: FaultFacts,
  ): E | undefined => {
    for (const fault of faults) {
      const { effect } = fault;
      if (!fits(effect) || !matches(fault.match, facts)) continue;
      if (fault.times !== undefined) {
        const left = fault.times - 1;
        faults = faults.flatMap((other) =>
          other !== fault ? [other] : left > 0 ? [{ ...fault, times: left }] : [],
        );
      }
      return effect;
    }
    return undefined;
  };

  return {
    add(input) {
      const fault = { id: `fault-${count + 1}`, ...parseFault(input) };
      count += 1;
      faults = [...faults, fault];
      return fault;
    },
    list: () => faults,
    remove(id) {
      const before = faults.length;
      faults = faults.filter((fault) => fault.id !== id);
      return faults.length < before;
    },
    clear() {
      faults = [];
    },
    takeRequest: (facts) => take((effect): effect is RequestFault => effect.on === "request", facts),
    takeSend: <K extends SendFault["kind"]>(kinds: readonly K[], facts: FaultFacts) =>
      take(
        (effect): effect is SendFaultOf<K> =>
          effect.on === "send" && kinds.some((kind) => kind === effect.kind),
        facts,
      ),
    takeCallback: <K extends CallbackFault["kind"]>(kind: K, facts: FaultFacts) =>
      take((effect): effect is CallbackFaultOf<K> => effect.on === "callback" && effect.kind === kind, facts),
    takeInbound: <K extends InboundFault["kind"]>(kind: K, facts: FaultFacts) =>
      take((effect): effect is InboundFaultOf<K> => effect.on === "inbound" && effect.kind === kind, facts),
  };
}

function matches(match: FaultMatch | undefined, facts: FaultFacts): boolean {
  if (match === undefined) return true;
  for (const name of MATCH_FIELDS) {
    const wanted = match[name];
    if (wanted === undefined) continue;
    const value = facts[name];
    if (value === undefined) return false;
    if (wanted.endsWith("*") ? !value.startsWith(wanted.slice(0, -1)) : value !== wanted) return false;
  }
  return true;
}

const MATCH_FIELDS = ["from", "to", "body", "path", "method"] as const;

/** Makes the effect out of the fields; one entry per kind, which also is the list for error messages. */
type Parser = (fields: Fields) => FaultEffect;

const KINDS: Readonly<Record<FaultEffect["on"], Readonly<Record<string, Parser>>>> = {
  request: {
    error: (f) => ({ on: "request", kind: "error", ...f.refusal() }),
    throttle: (f) => ({ on: "request", kind: "throttle", ...f.retryAfter() }),
    server_error: (f) => ({ on: "request", kind: "server_error", status: f.serverStatus() }),
    timeout: () => ({ on: "request", kind: "timeout" }),
    cut: () => ({ on: "request", kind: "cut" }),
    slow: (f) => ({ on: "request", kind: "slow", delay: f.delay() }),
  },
  send: {
    error: (f) => ({ on: "send", kind: "error", ...f.refusal() }),
    throttle: (f) => ({ on: "send", kind: "throttle", ...f.retryAfter() }),
    server_error: (f) => ({ on: "send", kind: "server_error", status: f.serverStatus() }),
    server_error_after: (f) => ({ on: "send", kind: "server_error_after", status: f.serverStatus() }),
    timeout_before: () => ({ on: "send", kind: "timeout_before" }),
    timeout_after: () => ({ on: "send", kind: "timeout_after" }),
    cut_before: () => ({ on: "send", kind: "cut_before" }),
    cut_after: () => ({ on: "send", kind: "cut_after" }),
    slow: (f) => ({ on: "send", kind: "slow", delay: f.delay() }),
    undelivered: (f) => ({ on: "send", kind: "undelivered", code: f.code(30_003) }),
    failed: (f) => ({ on: "send", kind: "failed", code: f.code(30_008) }),
    read: () => ({ on: "send", kind: "read" }),
    list_lag: (f) => ({ on: "send", kind: "list_lag", delay: f.delay() }),
  },
  callback: {
    lost: (f) => ({ on: "callback", kind: "lost", ...f.states() }),
    late: (f) => ({ on: "callback", kind: "late", delay: f.delay(), ...f.states() }),
    duplicate: (f) => ({ on: "callback", kind: "duplicate", count: f.copies(), ...f.states() }),
    reorder: () => ({ on: "callback", kind: "reorder" }),
    before_answer: (f) => ({ on: "callback", kind: "before_answer", ...f.state() }),
  },
  inbound: {
    lost: () => ({ on: "inbound", kind: "lost" }),
    slow: (f) => ({ on: "inbound", kind: "slow", delay: f.delay() }),
    duplicate: (f) => ({ on: "inbound", kind: "duplicate", count: f.copies() }),
    list_lag: (f) => ({ on: "inbound", kind: "list_lag", delay: f.delay() }),
    bad_signature: () => ({ on: "inbound", kind: "bad_signature" }),
  },
};

const isPlace = (on: unknown): on is FaultEffect["on"] => typeof on === "string" && Object.hasOwn(KINDS, on);

/** Throws AppError `invalid` with every problem of the input. */
function parseFault(input: unknown): Omit<Fault, "id"> {
  if (!isRecord(input))
    throw invalid([
      { path: "", message: 'must be an object such as {"on": "send", "kind": "timeout_after"}' },
    ]);
  const fields = new Fields(input);
  const on = fields.take("on");
  if (!isPlace(on)) {
    throw invalid([{ path: "on", message: `must be one of ${Object.keys(KINDS).join(", ")}` }]);
  }
  const kinds = KINDS[on];
  const kind = fields.take("kind");
  const parse = typeof kind === "string" && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (!parse) {
    throw invalid([{ path: "kind", message: `must be one of ${Object.keys(kinds).join(", ")} (on: ${on})` }]);
  }
  const effect = parse(fields);
  const fault = { effect, ...fields.times(), ...fields.match() };
  const problems = [...fields.problems, ...fields.unknown(`the fault ${on}/${String(kind)}`)];
  if (problems.length > 0) throw invalid(problems);
  return fault;
}

function invalid(problems: readonly Problem[]): AppError {
  const first = problems[0];
  return new AppError(
    "invalid",
    `Not a fault: ${first?.path ? `\`${first.path}\` ` : "it "}${first?.message ?? ""}`,
    {
      problems,
    },
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads fields one by one, collects problems, and knows at the end which fields nobody asked for. */
class Fields {
  readonly problems: Problem[] = [];
  private readonly taken = new Set<string>();
  constructor(private readonly input: Readonly<Record<string, unknown>>) {}

  take(name: string): unknown {
    this.taken.add(name);
    return Object.hasOwn(this.input, name) ? this.input[name] : undefined;
  }
  unknown(what: string): readonly Problem[] {
    return Object.keys(this.input)
      .filter((name) => !this.taken.has(name))
      .map((path) => ({ path, message: `is not a field of ${what}` }));
  }

  private integer(name: string, min: number, max: number, absent: number | undefined): number {
    const value = this.take(name);
    if (value === undefined && absent !== undefined) return absent;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
    this.problems.push({ path: name, message: `must be a whole number from ${min} to ${max}` });
    return min;
  }
  private duration(name: string): number | undefined {
    const value = this.take(name);
    if (value === undefined) return undefined;
    if (typeof value === "string" || typeof value === "number") {
      const parsed = parseDuration(value);
      if (parsed.ok) return parsed.ms;
      this.problems.push({ path: name, message: `${parsed.message}; ${parsed.fix}` });
    } else {
      this.problems.push({
        path: name,
        message: 'must be a duration such as "500ms", or a number of seconds',
      });
    }
    return 0;
  }

  refusal(): { readonly code: number; readonly status: number; readonly message?: string } {
    const code = this.integer("code", 10_000, 99_999, undefined);
    const status = this.integer("status", 400, 599, 400);
    const message = this.take("message");
    if (message !== undefined && typeof message !== "string") {
      this.problems.push({ path: "message", message: "must be a text" });
    }
    return { code, status, ...(typeof message === "string" ? { message } : {}) };
  }
  retryAfter(): { readonly retryAfter?: number } {
    const retryAfter = this.duration("retry_after");
    return retryAfter === undefined ? {} : { retryAfter };
  }
  serverStatus(): number {
    return this.integer("status", 500, 599, 503);
  }
  code(absent: number): number {
    return this.integer("code", 10_000, 99_999, absent);
  }
  copies(): number {
    return this.integer("count", 2, 1000, 2);
  }
  delay(): number {
    const delay = this.duration("delay");
    if (delay === undefined)
      this.problems.push({ path: "delay", message: 'is missing; write for example "2s"' });
    return delay ?? 0;
  }
  states(): { readonly states?: readonly string[] } {
    const value = this.take("states");
    if (value === undefined) return {};
    if (Array.isArray(value) && value.every((state) => typeof state === "string")) return { states: value };
    this.problems.push({ path: "states", message: 'must be a list such as ["sent", "delivered"]' });
    return {};
  }
  state(): { readonly state?: string } {
    const value = this.take("state");
    if (typeof value === "string") return { state: value };
    if (value !== undefined)
      this.problems.push({ path: "state", message: 'must be a state such as "delivered"' });
    return {};
  }
  times(): { readonly times?: number } {
    if (!Object.hasOwn(this.input, "times")) return {};
    return { times: this.integer("times", 1, 1_000_000, undefined) };
  }
  match(): { readonly match?: FaultMatch } {
    const value = this.take("match");
    if (value === undefined) return {};
    if (!isRecord(value)) {
      this.problems.push({ path: "match", message: 'must be an object such as {"to": "+1555*"}' });
      return {};
    }
    const match: { -readonly [K in keyof FaultMatch]: string } = {};
    for (const [name, wanted] of Object.entries(value)) {
      const field = MATCH_FIELDS.find((known) => known === name);
      if (field === undefined) {
        this.problems.push({ path: `match.${name}`, message: `is not one of ${MATCH_FIELDS.join(", ")}` });
      } else if (typeof wanted !== "string") {
        this.problems.push({ path: `match.${name}`, message: "must be a text" });
      } else match[field] = wanted;
    }
    return { match };
  }
}
