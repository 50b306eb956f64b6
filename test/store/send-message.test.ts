import { expect, test } from "bun:test";
import type { PolicyEngine } from "../../src/policy.ts";
import { createSendMessage } from "../../src/send-message.ts";
import type { ChannelSettings, Settings } from "../../src/settings.ts";
import { createTextTools } from "../../src/text/tools.ts";
import { BOB, quiet, type TestStore, testStore } from "./support.ts";

function tool(t: TestStore, decide: PolicyEngine["decide"]) {
  const sms: Partial<ChannelSettings> = {
    id: "sms",
    mode: "message",
    provider: "simulator",
    agent: "assistant",
    sender: { kind: "number", number: "+15550000001" },
    allowedSenders: [],
    reply: { maxMessages: 1, overflow: "more", economy: true },
  };
  const settings: Partial<Settings> = {
    channels: { sms: sms as ChannelSettings },
    limits: { senderPerMinute: 20, segmentsPerReply: 10, segmentsPerDay: 500 },
  };
  return createSendMessage({
    settings: () => settings as Settings,
    policy: () => ({ decide, list: () => [] }),
    countryOf: () => "US",
    channelState: () => ({ status: "connected", numbers: [], warnings: [] }),
    store: t.store,
    text: createTextTools(),
    newId: t.newId,
    clock: t.clock,
    log: quiet,
    onSend: () => {},
  });
}

const context = {
  turnId: "turn_1",
  callId: "call_1",
  channel: "sms",
  agent: "assistant",
  conversationId: "conv_1",
  from: "+15559990000",
};
const never = new AbortController().signal;

/** A turn the messages can belong to. */
async function turn(t: TestStore) {
  await t.text("+15559990000", { turn: { turnId: "turn_1" } });
}

test("a call that is made again after a crash sends nothing more, and answers as the first one did", async () => {
  const t = testStore();
  await turn(t);
  const send = tool(t, () => ({ decision: "allow", policies: ["p"], errors: [] }));
  const first = await send.call({ to: BOB, text: "hello" }, context, never);
  expect(await send.call({ to: BOB, text: "hello" }, context, never)).toEqual(first);
  expect(await t.claimSends()).toHaveLength(1);
  await send.call({ to: BOB, text: "hello" }, { ...context, callId: "call_2" }, never);
  expect((await t.store.messages({ direction: "outbound", limit: 10 })).items).toHaveLength(2);
  const other = send.call({ to: BOB, text: "goodbye" }, context, never);
  await expect(other).rejects.toThrow("sent another message already");
});

test("a policy that cannot be evaluated is a refusal, and the facts it is asked with are true", async () => {
  const t = testStore();
  await turn(t);
  const asked: unknown[] = [];
  const send = tool(t, (question) => {
    asked.push(question);
    return { decision: "error", policies: ["broken"], errors: ["broken: type error"] };
  });
  await expect(send.call({ to: BOB, text: "hello" }, context, never)).rejects.toThrow("may not text");
  expect(await t.claimSends()).toEqual([]);
  await t.text(BOB);
  await expect(
    send.call({ to: BOB, text: "hello" }, { ...context, callId: "call_2" }, never),
  ).rejects.toThrow("may not text");
  expect(asked).toMatchObject([
    { action: "send_message", agent: "assistant", recipient: { inConversation: false, paired: false } },
    { action: "send_message", agent: "assistant", recipient: { inConversation: true, paired: false } },
  ]);
});
