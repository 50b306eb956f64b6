import { describe, expect, test } from "bun:test";
import type { ClaimedSend } from "../../src/store.ts";
import { ALICE, present, type TestStore, testStore } from "./support.ts";

async function sent(t: TestStore): Promise<ClaimedSend> {
  await t.store.enqueue(t.outbound());
  return present((await t.claimSends())[0]);
}

describe("callbacks", () => {
  test("move a message forward only; every one is kept with its time", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.accepted(send, "SM1");
    const states: string[] = [];
    for (const status of ["sending", "delivered", "sent", "queued", "delivered", "failed"]) {
      await t.clock.advance(10);
      states.push(await t.callback("SM1", status, send));
    }
    expect(states).toEqual(["queued", ...Array(5).fill("delivered")]);
    const { events } = present(await t.store.message(send.message.id));
    expect(events.map(({ state }) => state)).toEqual([
      "pending",
      "sending",
      "queued",
      "queued",
      "delivered",
      "sent",
      "queued",
      "delivered",
      "failed",
    ]);
    expect(events.at(-1)?.at).toBe(t.clock.now());
  });

  test("in another word for the same state are kept with the word", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.accepted(send, "SM1");
    for (const status of ["queued", "sending"]) await t.callback("SM1", status, send);
    const { events } = present(await t.store.message(send.message.id));
    expect(events.slice(2).map(({ state, detail }) => [state, detail])).toEqual([
      ["queued", undefined],
      ["queued", undefined],
      ["queued", 'The carrier says "sending".'],
    ]);
  });

  test("say whether the state moved, and to which message they belong", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.accepted(send, "SM1");
    const event = { kind: "status", sid: "SM1", status: "sent", at: t.clock.now() } as const;
    const outcome = { kind: "applied", messageId: send.message.id, channel: "sms", state: "sent" } as const;
    const once = { freed: false, doubled: false };
    expect(await t.store.recordStatus(event)).toEqual({ ...outcome, ...once, moved: true });
    expect(await t.store.recordStatus(event)).toEqual({ ...outcome, ...once, moved: false });
  });

  test("that only repeat an answer to our own asking leave no trace", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.accepted(send, "SM1");
    for (let i = 0; i < 5; i++) await t.callback("SM1", "queued");
    await t.callback("SM1", "sent");
    expect(await t.eventsOf(send.message.id)).toEqual(["pending", "sending", "queued", "sent"]);
  });

  test("with a word of the carrier that is not known are kept as said", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.accepted(send, "SM1", "sent");
    expect(await t.callback("SM1", "partially_delivered", send)).toBe("sent");
    const { events } = present(await t.store.message(send.message.id));
    expect(events.at(-1)?.detail).toContain("partially_delivered");
  });

  test("keep the error and its explanation", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.accepted(send, "SM1");
    const error = { code: 30003, meaning: "unreachable handset", fix: "try later" };
    const at = t.clock.now();
    await t.store.recordStatus({
      kind: "status",
      sid: "SM1",
      status: "undelivered",
      errorCode: 30003,
      error,
      at,
    });
    expect(await t.store.message(send.message.id)).toMatchObject({ state: "undelivered", error });
    expect((await t.store.message(send.message.id))?.events.at(-1)?.detail).toBe("unreachable handset");
  });

  test("with the error for unsubscribed people mark the opt-out", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.accepted(send, "SM1");
    const at = t.clock.now();
    await t.store.recordStatus({ kind: "status", sid: "SM1", status: "failed", errorCode: 21610, at });
    expect(await t.store.optedOut("sms", ALICE)).toBe(true);
  });
});

describe("a callback faster than the answer of the API", () => {
  test("settles the send by its reference, and the answer does not undo it", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.store.enqueue(t.outbound({ text: "next" }));
    expect(await t.callback("SM1", "delivered", send)).toBe("delivered");
    expect(await t.store.message(send.message.id)).toMatchObject({ state: "delivered", providerSid: "SM1" });
    // The message is with the carrier, so the next one need not wait for the answer.
    expect((await t.claimSends()).map(({ message }) => message.text)).toEqual(["next"]);
    await t.accepted(send, "SM1");
    expect(await t.stateOf(send.message.id)).toBe("delivered");
    // A callback without the reference finds it by the sid from now on.
    expect(await t.callback("SM1", "read")).toBe("read");
  });

  for (const kind of ["ambiguous", "refused", "retry"] as const) {
    test(`is not undone by an answer that says ${kind}`, async () => {
      const t = testStore();
      const send = await sent(t);
      await t.callback("SM1", "sent", send);
      const outcome =
        kind === "refused"
          ? { kind, error: { meaning: "x", fix: "y" }, optedOut: false }
          : { kind, reason: "time-out" };
      const at = t.clock.now();
      await t.store.settleSend({ messageId: send.message.id, attempt: 1, outcome, at, dueAt: at });
      expect(await t.stateOf(send.message.id)).toBe("sent");
      expect(await t.claimSends()).toEqual([]);
      const attempts = t.client.prepare("SELECT attempt, sid, outcome FROM attempts").all();
      expect(attempts).toEqual([{ attempt: 1, sid: "SM1", outcome: "accepted" }]);
    });
  }

  test("without a reference is kept by its sid and applied when the answer names the sid", async () => {
    const t = testStore();
    const send = await sent(t);
    expect(await t.callback("SM1", "sent")).toBe("kept");
    expect(await t.callback("SM1", "delivered")).toBe("kept");
    await t.accepted(send, "SM1");
    expect(await t.stateOf(send.message.id)).toBe("delivered");
    expect(await t.eventsOf(send.message.id)).toEqual(["pending", "sending", "queued", "sent", "delivered"]);
    expect(await t.callback("SM1", "sent")).toBe("delivered");
  });

  test("of nothing of ours is kept for a day", async () => {
    const t = testStore();
    expect(await t.callback("SMother", "sent")).toBe("kept");
    const count = t.client.prepare<[], number>("SELECT count(*) FROM early_callbacks").pluck();
    await t.clock.advance(24 * 3_600_000 - 1);
    await t.store.sweep(t.clock.now());
    expect(count.get()).toBe(1);
    await t.clock.advance(1);
    await t.store.sweep(t.clock.now());
    expect(count.get()).toBe(0);
  });

  test("settles a send whose answer was lost with the process", async () => {
    const t = testStore();
    const send = await sent(t);
    await t.store.enqueue(t.outbound({ text: "next" }));
    await t.store.recover(t.clock.now());
    expect(await t.stateOf(send.message.id)).toBe("unknown");
    expect(await t.callback("SM1", "sent", send)).toBe("sent");
    expect((await t.claimSends()).map(({ message }) => message.text)).toEqual(["next"]);
    expect((await t.store.message(send.message.id))?.providerSid).toBe("SM1");
  });

  test("of an earlier try settles the message while it waits to be tried again", async () => {
    const t = testStore();
    const send = await sent(t);
    const at = t.clock.now();
    await t.store.settleSend({
      messageId: send.message.id,
      attempt: 1,
      outcome: { kind: "retry", reason: "429" },
      dueAt: at,
      at,
    });
    expect(await t.callback("SM1", "sent", send)).toBe("sent");
    expect(await t.claimSends()).toEqual([]);
  });

  test("naming an inbound text, or a message that is not there, is kept like any unknown one", async () => {
    const t = testStore();
    const { id } = await t.text();
    const event = { kind: "status", sid: "SMx", status: "sent", at: t.clock.now() } as const;
    expect(await t.store.recordStatus({ ...event, ref: { messageId: id, attempt: 1 } })).toEqual({
      kind: "kept",
    });
    const ref = { messageId: "msg_none", attempt: 1 };
    expect(await t.store.recordStatus({ ...event, ref })).toEqual({ kind: "kept" });
    expect(await t.stateOf(id)).toBe("queued");
  });
});

describe("what is with the carrier", () => {
  test("is listed oldest first until its end is known, a page at a time", async () => {
    const t = testStore();
    const start = t.clock.now();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      await t.store.enqueue(t.outbound({ to: `+1555333000${i}` }));
      const [send] = await t.claimSends();
      await t.accepted(present(send), `SM${i}`);
      ids.push(present(send).message.id);
      await t.clock.advance(1_000);
    }
    await t.store.enqueue(t.outbound());
    await t.store.enqueue(t.outbound({ channel: "other" }));
    await t.callback("SM1", "delivered");
    await t.callback("SM2", "sent");
    const sids = async (since: number, limit: number, after?: string) =>
      (await t.store.openDeliveries("sms", since, limit, after)).map(({ sid }) => sid);
    expect(await sids(0, 10)).toEqual(["SM0", "SM2", "SM3", "SM4"]);
    expect(await sids(start + 3_000, 10)).toEqual(["SM3", "SM4"]);
    expect(await sids(0, 2)).toEqual(["SM0", "SM2"]);
    expect(await sids(0, 2, ids[2])).toEqual(["SM3", "SM4"]);
    expect(await sids(0, 2, ids[4])).toEqual([]);
  });
});
