import { expect, test } from "bun:test";
import type { ServerContext } from "@modelcontextprotocol/server";
import { createCancellations } from "../../src/mcp/cancellation.ts";
import { maskMessage } from "../../src/token.ts";
import { ALICE } from "../store/support.ts";
import { openStack } from "./stack.ts";

const DAY = 24 * 3_600_000;

test("an ended wait that caught nothing is gone after an hour; one that caught something stays", async () => {
  const stack = openStack();
  const { store, clock } = stack.t;
  await stack.signals.start();
  const wanted = { filters: { from: ["22000"] }, mode: "once", consume: "claim", backfill: 0 } as const;
  const empty = await stack.signals.create({ ...wanted, expiresIn: 1_000, owner: { kind: "api" } });
  await clock.advance(2_000);
  const lucky = await stack.signals.create({ ...wanted, expiresIn: 60_000, owner: { kind: "api" } });
  await stack.arrive("Your code is 482913");
  await store.sweep(clock.now());
  expect((await store.watch(empty.id))?.state).toBe("expired");
  await store.sweep(clock.now() + 2 * 3_600_000);
  expect(await store.watch(empty.id)).toBeUndefined();
  expect((await store.watch(lucky.id))?.state).toBe("matched");
  stack.signals.stop();
});

test("an ended wait that caught something is gone after a week, with the record of what it caught", async () => {
  const stack = openStack();
  const { store, clock, client } = stack.t;
  await stack.signals.start();
  const wanted = { filters: {}, mode: "once", consume: "claim", backfill: 0 } as const;
  const { id } = await stack.signals.create({ ...wanted, expiresIn: 60_000, owner: { kind: "api" } });
  const { messageId } = await stack.arrive("Your code is 482913");
  const caught = () => client.prepare("select count(*) as n from watch_signals").get();
  await store.sweep(clock.now() + 7 * DAY - 1);
  expect((await store.watch(id))?.state).toBe("matched");
  expect(caught()).toEqual({ n: 1 });
  await store.sweep(clock.now() + 7 * DAY);
  expect(await store.watch(id)).toBeUndefined();
  expect(caught()).toEqual({ n: 0 });
  expect((await store.message(messageId))?.id).toBe(messageId);
  stack.signals.stop();
});

test("a wait stays as long as its key lives, and both go then", async () => {
  const stack = openStack();
  const { store, clock, client } = stack.t;
  await stack.signals.start();
  const wanted = { filters: {}, mode: "once", consume: "claim", backfill: 0 } as const;
  const idempotency = { key: "k", fingerprint: "f", keepFor: 8 * DAY };
  const owner = { kind: "api" } as const;
  const start = clock.now();
  const empty = await stack.signals.create({ ...wanted, expiresIn: 1_000, owner, idempotency });
  await clock.advance(2_000);
  expect((await store.watch(empty.id))?.state).toBe("expired");
  const keys = () => client.prepare("select count(*) as n from watch_keys").get();
  await store.sweep(start + 8 * DAY - 1);
  expect((await store.watch(empty.id))?.state).toBe("expired");
  expect(keys()).toEqual({ n: 1 });
  await store.sweep(start + 8 * DAY);
  expect(keys()).toEqual({ n: 0 });
  expect(await store.watch(empty.id)).toBeUndefined();
  stack.signals.stop();
});

test("an ended wait of a turn that has not ended stays", async () => {
  const stack = openStack();
  const { t } = stack;
  await stack.signals.start();
  await t.text();
  const [claimed] = await t.claimTurns();
  if (claimed === undefined) throw new Error("no turn");
  const turnId = claimed.turn.id;
  const wanted = { filters: {}, mode: "once", consume: "claim", backfill: 0, expiresIn: 1_000 } as const;
  const owner = { kind: "agent", agent: "a", turnId, callId: "1.0", channel: "sms", address: ALICE } as const;
  const { id } = await stack.signals.create({ ...wanted, owner });
  await t.clock.advance(2_000);
  await t.store.sweep(t.clock.now() + 30 * DAY);
  expect((await t.store.watch(id))?.state).toBe("expired");
  await t.reply(claimed, "done");
  await t.store.sweep(t.clock.now() + 30 * DAY);
  expect(await t.store.watch(id)).toBeUndefined();
  stack.signals.stop();
});

test("a call that is cancelled is the canceller's own, though another uses the same session and number", () => {
  const cancellations = createCancellations(() => "never");
  const request = (token: string) =>
    new Request("http://127.0.0.1/mcp", {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "mcp-session-id": "shared" },
    });
  const call = (token: string) => {
    const own = { mcpReq: { id: 1, signal: new AbortController().signal }, http: { req: request(token) } };
    // The rest of a context has nothing to do with it.
    return cancellations.signalOf(own as unknown as ServerContext).signal;
  };
  const one = call("one");
  const two = call("two");
  const body = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } };
  cancellations.notice(request("three"), body);
  expect([one.aborted, two.aborted]).toEqual([false, false]);
  cancellations.notice(request("one"), body);
  expect([one.aborted, two.aborted]).toEqual([true, false]);
});

test("who may only read sees no link that could sign somebody in, whatever the words around it", () => {
  const reader = { id: "tok_1", scopes: ["read"] } as const;
  const message = {
    id: "msg_1",
    channel: "sms",
    direction: "inbound",
    from: "+15557654321",
    to: "+15550100001",
    media: [],
    state: "handled",
    route: "message",
    createdAt: 0,
  } as const;
  for (const text of [
    "Tap to sign in: https://x.example.com/a/zzzz2",
    "log in with this magic link https://x.example.com/m?t=zzzz2 now",
    "https://x.example.com#zzzz2",
    "Your page:https://x.example.com:8443/zzzz2",
    "Openhttps://x.example.com/zzzz2",
    "Your page: x.example.com/zzzz2",
    "Your page: www.x.example.com:8443?t=zzzz2",
    "app://x.example.com/zzzz2",
  ])
    expect(maskMessage(reader, { ...message, text }).text).not.toContain("zzzz2");
  const text =
    "See https://x.example.com/a/b?c=d and x.example.com/e. Are you there.Yes? And/or x.example.com";
  expect(maskMessage(reader, { ...message, text }).text).toBe(
    "See https://x.example.com/*** and x.example.com/*** Are you there.Yes? And/or x.example.com",
  );
  expect(maskMessage({ ...reader, scopes: ["signals:await"] }, { ...message, text }).text).toBe(text);
});
