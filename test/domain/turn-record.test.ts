import { describe, expect, test } from "bun:test";
import { maskTurn } from "../../src/token.ts";
import type { JournalEntry } from "../../src/tool.ts";
import { callsOf, type TurnRecord, turnRecordJson } from "../../src/turn-record.ts";

const started = (callId: string, tool = "remind"): JournalEntry => ({
  kind: "call_started",
  callId,
  tool,
  input: { secret: "of the input" },
  policies: ["everybody"],
});
const result = (callId: string, text: string, failed = false): JournalEntry => ({
  kind: "call_result",
  callId,
  failed,
  text,
});

describe("the calls of a turn", () => {
  test("are read from its journal, each with how far it came and who decided", () => {
    const journal: readonly JournalEntry[] = [
      { kind: "step", step: 1, content: [] },
      started("1.0"),
      result("1.0", "Set."),
      started("1.1"),
      result("1.1", "No such day.", true),
      {
        kind: "call_result",
        callId: "1.2",
        failed: true,
        text: "Refused: no",
        outcome: "refused",
        tool: "home.door",
        policies: ["no-doors"],
      },
      started("2.0", "home.lamp"),
      { kind: "call_result", callId: "2.0", failed: true, text: "Outcome unknown", outcome: "unknown" },
      started("2.1", "await_signal"),
      { kind: "call_parked", callId: "2.1", until: "result", tool: "await_signal" },
      { kind: "call_parked", callId: "2.2", until: "confirmation", tool: "home.door" },
      started("2.3", "home.lamp"),
    ];
    expect(callsOf(journal)).toEqual([
      { id: "1.0", tool: "remind", outcome: "done", policies: ["everybody"] },
      { id: "1.1", tool: "remind", outcome: "failed", policies: ["everybody"], reason: "No such day." },
      { id: "1.2", tool: "home.door", outcome: "refused", policies: ["no-doors"], reason: "Refused: no" },
      {
        id: "2.0",
        tool: "home.lamp",
        outcome: "unknown",
        policies: ["everybody"],
        reason: "Outcome unknown",
      },
      { id: "2.1", tool: "await_signal", outcome: "waiting", policies: ["everybody"] },
      { id: "2.2", tool: "home.door", outcome: "confirmation" },
      { id: "2.3", tool: "home.lamp", outcome: "running", policies: ["everybody"] },
    ]);
  });

  test("never show what was given to a tool or what it answered, and cut what it failed with", () => {
    const journal = [
      started("1.0"),
      result("1.0", "a secret answer"),
      started("1.1"),
      result("1.1", "x".repeat(9_000), true),
    ];
    const shown = JSON.stringify(callsOf(journal));
    expect(shown).not.toContain("of the input");
    expect(shown).not.toContain("a secret answer");
    expect(shown.length).toBeLessThan(1_000);
  });
});

test("a caller who may not see codes sees none in a turn", () => {
  const turn: TurnRecord = {
    id: "turn_1",
    channel: "sms",
    agent: "assistant",
    state: "failed",
    attempt: 1,
    task: { kind: "reminder", name: "rem_1", prompt: "p", content: "Enter the verification code 482913" },
    createdAt: 0,
    calls: callsOf([started("1.0"), result("1.0", "Your verification code is 482913.", true)]),
  };
  const seen = turnRecordJson(maskTurn({ id: "t", scopes: ["read"] }, turn));
  expect(JSON.stringify(seen)).not.toContain("482913");
  expect(seen.calls[0]).toMatchObject({ tool: "remind", outcome: "failed", policies: ["everybody"] });
  const waiting = turnRecordJson(maskTurn({ id: "t", scopes: ["read", "signals:await"] }, turn));
  expect(JSON.stringify(waiting).match(/482913/g)).toHaveLength(2);
});
