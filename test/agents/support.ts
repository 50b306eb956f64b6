import { expect } from "bun:test";
import { AgentFailure, type TurnRequest } from "../../src/agent.ts";
import type { AgentSeams } from "../../src/agents/seams.ts";
import type { Log } from "../../src/log.ts";
import { systemClock } from "../support/clock.ts";

export interface LogLine {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Real fetch, the real time, and a log that is kept in `lines`. */
export function seams(over: Partial<AgentSeams> = {}): AgentSeams & { readonly lines: readonly LogLine[] } {
  const lines: LogLine[] = [];
  const keep = (event: string, fields: LogLine["fields"] = {}) => void lines.push({ event, fields });
  const log: Log = { debug: keep, info: keep, warn: keep, error: keep };
  return {
    fetch: (url, init) => fetch(url, init),
    clock: systemClock,
    log,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: "/home/sms", LANG: "C.UTF-8" },
    ...over,
    lines,
  };
}

/** One text, "How late is it?", in a conversation that has just begun. */
export function turn(over: Partial<TurnRequest> = {}): TurnRequest {
  const text = over.text ?? "How late is it?";
  const media = over.media ?? [];
  return {
    turnId: "turn_1",
    channel: "sms",
    agent: "assistant",
    conversationId: "conv_1",
    from: "+15551234567",
    text,
    media,
    messages: [{ role: "user", text, media }],
    timezone: "Europe/Berlin",
    now: Date.UTC(2026, 0, 1, 12),
    ...over,
  };
}

export const never = new AbortController().signal;

/** The AgentFailure that `run` rejects with. */
export async function failureOf(run: Promise<unknown>): Promise<AgentFailure> {
  const outcome = await run.then(
    (reply) => `it answered ${JSON.stringify(reply)}`,
    (error: unknown) => error,
  );
  expect(outcome).toBeInstanceOf(AgentFailure);
  if (outcome instanceof AgentFailure) return outcome;
  throw new Error(String(outcome));
}
