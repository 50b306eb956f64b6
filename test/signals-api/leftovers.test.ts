import { expect, test } from "bun:test";
import { maskMessage } from "../../src/token.ts";
import { openStack } from "./stack.ts";

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
  ])
    expect(maskMessage(reader, { ...message, text }).text).not.toContain("zzzz2");
});
