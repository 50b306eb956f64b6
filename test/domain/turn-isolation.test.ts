import { describe, expect, test } from "bun:test";
import { AgentFailure } from "../../src/agent.ts";
import type { SplitTurn } from "../../src/store.ts";
import type { JournalEntry } from "../../src/tool.ts";
import { type ClaimedTurn, MAX_TURN_CRASHES } from "../../src/turn.ts";
import { isolate, type TurnTrouble } from "../../src/turn-isolation.ts";
import { manualClock } from "../support/clock.ts";

const TASK = { kind: "reminder", name: "rem_1", prompt: "say it", content: "it" } as const;

function claimed(texts: number, task?: typeof TASK): ClaimedTurn {
  return {
    turn: {
      id: "turn_1",
      channel: "sms",
      address: "+15551111111",
      agent: "assistant",
      conversationId: "conv_1",
      state: "running",
      attempt: 6,
      crashes: MAX_TURN_CRASHES,
      held: false,
      createdAt: 0,
      ...(task === undefined ? {} : { task }),
    },
    texts: Array.from({ length: texts }, (_, i) => ({
      messageId: `msg_${i}`,
      from: "+15551111111",
      text: `${i}`,
      media: [],
      receivedAt: i,
    })),
  };
}

/** Answers what the store was told, where it was. */
async function isolated(
  turn: ClaimedTurn,
  journal: readonly JournalEntry[] = [],
  trouble: TurnTrouble = { kind: "crashes", times: MAX_TURN_CRASHES },
) {
  const splits: SplitTurn[] = [];
  let ids = 0;
  const done = await isolate(
    turn,
    turn.texts.map((text) => ({ ...text, paired: true })),
    [],
    trouble,
    {
      store: {
        journal: async () => journal,
        splitTurn: async (split) => splits.push(split) > 0,
      },
      newId: () => `turn_new${++ids}`,
      clock: manualClock(0),
      log: { debug() {}, info() {}, warn() {}, error() {} },
    },
  );
  expect(splits).toHaveLength(done ? 1 : 0);
  return splits[0];
}

const STEP: JournalEntry = { kind: "step", step: 1, content: [] };
const STARTED: JournalEntry = { kind: "call_started", callId: "c1", tool: "home.unlock_door", input: {} };
const ASKED: JournalEntry = {
  kind: "call_parked",
  callId: "c1",
  until: "confirmation",
  tool: "home.unlock_door",
};
const REFUSED: JournalEntry = {
  kind: "call_result",
  callId: "c1",
  failed: true,
  text: "no",
  outcome: "refused",
};

describe("a turn over which the service has died too often", () => {
  test("has each of its texts run alone, twice at most", async () => {
    expect(await isolated(claimed(3))).toMatchObject({
      turnId: "turn_1",
      crashes: MAX_TURN_CRASHES - 2,
      parts: [
        { messageId: "msg_0", turnId: "turn_new1" },
        { messageId: "msg_1", turnId: "turn_new2" },
        { messageId: "msg_2", turnId: "turn_new3" },
      ],
    });
  });

  test("is set aside when it has one text only, or none but a task", async () => {
    expect(await isolated(claimed(1))).toBeUndefined();
    expect(await isolated(claimed(2, TASK))).toBeUndefined();
  });

  test("is set aside whole once a tool was called in it, or a code texted, which nobody may repeat unknowingly", async () => {
    expect(await isolated(claimed(2), [STEP, STARTED])).toBeUndefined();
    expect(await isolated(claimed(2), [STEP, ASKED])).toBeUndefined();
    expect(await isolated(claimed(2), [STEP, REFUSED])).toBeDefined();
  });
});

describe("a turn that its agent has failed", () => {
  const failure = (blamesText: boolean): TurnTrouble => ({
    kind: "failure",
    error: new AgentFailure("provider", "it answered 400", {
      blamesText,
      usage: { inputTokens: 9, outputTokens: 1 },
    }),
  });

  test("has each of its texts run alone where one of them may be the cause, with what it has cost", async () => {
    expect(await isolated(claimed(2), [STEP], failure(true))).toMatchObject({
      crashes: 0,
      error: { meaning: expect.stringContaining("it answered 400. So its 2 texts") },
      usage: { inputTokens: 9, outputTokens: 1 },
    });
  });

  test("is set aside whole where the agent is the cause, or has called a tool", async () => {
    expect(await isolated(claimed(2), [], failure(false))).toBeUndefined();
    expect(await isolated(claimed(2), [STEP, STARTED], failure(true))).toBeUndefined();
  });
});
