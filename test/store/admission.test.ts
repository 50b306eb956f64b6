import { describe, expect, test } from "bun:test";
import type { Pairing } from "../../src/pairing.ts";
import type { Effect } from "../../src/store.ts";
import { ALICE, BOB, heldOf, present, testStore } from "./support.ts";

const MINUTE = 60_000;

function pairing(now: number, changes: Partial<Pairing> = {}): Pairing {
  return {
    id: "pair_1",
    channel: "sms",
    code: "ABCD-2345",
    createdAt: now,
    expiresAt: now + 10 * MINUTE,
    ...changes,
  };
}

describe("admitting a text", () => {
  test("keeps it with everything that is known of it", async () => {
    const { store, admit, inbound } = testStore();
    const message = inbound({
      state: "received",
      route: "signal",
      media: [{ url: "https://api.twilio.com/m/1", contentType: "image/png" }],
      segments: 2,
      late: true,
      policies: ["all-signals"],
    });
    expect(await admit([], message)).toEqual({ kind: "admitted", sends: 0 });
    expect(await store.message(message.id)).toEqual({
      id: message.id,
      channel: "sms",
      direction: "inbound",
      from: ALICE,
      to: "+15550000001",
      text: "hello",
      media: [{ url: "https://api.twilio.com/m/1", contentType: "image/png" }],
      state: "received",
      route: "signal",
      providerSid: message.sid,
      segments: 2,
      policies: ["all-signals"],
      late: true,
      createdAt: message.createdAt,
      events: [{ state: "received", at: message.createdAt }],
    });
  });

  test("keeps every parameter beside it, and none where the text must not be kept", async () => {
    const { store, admit, inbound, client } = testStore();
    await admit([]);
    const { raw: _raw, text: _text, ...message } = inbound({ route: "dropped", state: "dropped" });
    await store.admit({ message, effects: [] });
    expect(client.prepare("SELECT parameters FROM raw_parameters").pluck().all()).toEqual([
      '{"Body":"hello"}',
    ]);
  });

  test("twenty copies at once give one message and one turn", async () => {
    const t = testStore();
    const sid = `SM${"c".repeat(32)}`;
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => t.text(ALICE, { message: { sid } })));
    const admitted = outcomes.filter(({ outcome }) => outcome.kind === "admitted");
    expect(admitted).toHaveLength(1);
    for (const { outcome } of outcomes) {
      if (outcome.kind === "admitted") continue;
      expect(outcome).toEqual({ kind: "duplicate", messageId: present(admitted[0]).id });
    }
    const { items } = await t.store.messages({ limit: 50 });
    expect(items).toHaveLength(1);
    expect(present((await t.claimTurns())[0]).texts).toHaveLength(1);
    const again = await t.text(ALICE, { message: { sid } });
    expect(again.outcome.kind).toBe("duplicate");
  });

  test("tells which carrier ids are known, of inbound texts only", async () => {
    const t = testStore();
    const { id } = await t.text();
    const sid = present(await t.store.message(id)).providerSid ?? "";
    await t.store.enqueue(t.outbound());
    await t.accepted(present((await t.claimSends())[0]), "SMout");
    expect(await t.store.knownSids([sid, "SMout", "SMnever"])).toEqual(new Set([sid]));
  });

  test("a duplicate changes nothing, its effects included", async () => {
    const t = testStore();
    const sid = `SM${"d".repeat(32)}`;
    await t.admit([], { sid });
    const effects: Effect[] = [
      { kind: "opt_out", channel: "sms", address: ALICE, at: t.clock.now() },
      { kind: "send", outbound: t.outbound() },
    ];
    expect((await t.admit(effects, { sid })).kind).toBe("duplicate");
    expect(await t.store.optedOut("sms", ALICE)).toBe(false);
    expect(await t.claimSends()).toEqual([]);
  });
});

test("what few senders have is known as soon as it is written, and not where that was undone", async () => {
  const t = testStore();
  const now = t.clock.now();
  const sender = { channel: "sms", address: ALICE };
  const facts = () => t.store.senderFacts({ ...sender, now });
  const spent: Effect = {
    kind: "redeem_pairing",
    pairingId: "pair_none",
    address: { ...sender, pairedAt: now },
  };
  expect(await facts()).toMatchObject({ optedOut: false });
  expect(await t.admit([{ kind: "opt_out", ...sender, at: now }, spent])).toEqual({ kind: "stale" });
  expect(await facts()).toMatchObject({ optedOut: false });
  await t.admit([{ kind: "opt_out", ...sender, at: now }]);
  expect(await facts()).toMatchObject({ optedOut: true });
  await t.admit([{ kind: "opt_in", ...sender }]);
  expect(await facts()).toMatchObject({ optedOut: false });
  const held = { ...heldOf("msg_held", now + 60_000), parts: ["more"] };
  await t.admit([{ kind: "hold", ...sender, held }]);
  expect(await facts()).toMatchObject({ held });
});

test("a text that no watch was offered is looked into when one asks, and only its category outlives its code", async () => {
  const t = testStore();
  const text = "Your code is 482913";
  const message = t.inbound({ text, route: "signal", state: "received", annotation: "unread" });
  await t.store.admit({ message, effects: [] });
  const recent = await t.store.recentSignals({ since: 0 });
  expect(recent.map(({ signal }) => signal.annotation.code)).toEqual(["482913"]);
  await t.store.purgeCodes(t.clock.now() + 1);
  const [erased] = await t.store.recentSignals({ since: 0 });
  expect(erased?.signal).toMatchObject({
    text: "",
    annotation: { category: "verification_code", candidates: [] },
  });
  expect(erased?.signal.annotation.code).toBeUndefined();
});

describe("pairing", () => {
  test("a code is redeemed once, by whoever is first", async () => {
    const t = testStore();
    const now = t.clock.now();
    await t.store.savePairing(pairing(now));
    const redeem = (address: string): Effect => ({
      kind: "redeem_pairing",
      pairingId: "pair_1",
      address: { channel: "sms", address, pairedAt: now },
    });
    const outcomes = await Promise.all([
      t.admit([redeem(ALICE)], { route: "pairing" }),
      t.admit([redeem(BOB), { kind: "send", outbound: t.outbound({ to: BOB }) }], { from: BOB }),
    ]);
    expect(outcomes).toEqual([{ kind: "admitted", sends: 0 }, { kind: "stale" }]);
    expect(await t.store.addresses("sms")).toEqual([{ channel: "sms", address: ALICE, pairedAt: now }]);
    expect(await t.store.pairing("sms")).toBeUndefined();
    expect((await t.store.messages({ limit: 10 })).items.map(({ from }) => from)).toEqual([ALICE]);
    expect(await t.claimSends()).toEqual([]);
  });

  test("an expired code, and one that was replaced, is stale", async () => {
    const t = testStore();
    const now = t.clock.now();
    const redeem = (at: number): Effect => ({
      kind: "redeem_pairing",
      pairingId: "pair_1",
      address: { channel: "sms", address: ALICE, pairedAt: at },
    });
    await t.store.savePairing(pairing(now));
    expect(await t.admit([redeem(now + 10 * MINUTE)])).toEqual({ kind: "stale" });
    await t.store.savePairing(pairing(now, { id: "pair_2", code: "WXYZ-6789" }));
    expect(await t.admit([redeem(now)])).toEqual({ kind: "stale" });
    expect(await t.store.pairing("sms")).toEqual(pairing(now, { id: "pair_2", code: "WXYZ-6789" }));
  });

  test("pairing again renews the time and keeps the label; labels and revocation work by address", async () => {
    const t = testStore();
    const pairNow = async (label?: string) => {
      await t.store.savePairing(pairing(t.clock.now()));
      const address = {
        channel: "sms",
        address: ALICE,
        pairedAt: t.clock.now(),
        ...(label ? { label } : {}),
      };
      await t.admit([{ kind: "redeem_pairing", pairingId: "pair_1", address }]);
    };
    await pairNow("Alice");
    await t.clock.advance(1_000);
    await pairNow();
    expect(await t.store.addresses("sms")).toEqual([
      { channel: "sms", address: ALICE, label: "Alice", pairedAt: t.clock.now() },
    ]);
    expect(await t.store.labelAddress("sms", ALICE, undefined)).toBe(true);
    expect(await t.store.addresses("sms")).toEqual([
      { channel: "sms", address: ALICE, pairedAt: t.clock.now() },
    ]);
    expect(await t.store.labelAddress("sms", BOB, "Bob")).toBe(false);
    expect(await t.store.revokeAddress("other", ALICE)).toBe(false);
    expect(await t.store.revokeAddress("sms", ALICE)).toBe(true);
    expect(await t.store.addresses("sms")).toEqual([]);
  });

  test("a deleted code cannot be redeemed", async () => {
    const t = testStore();
    await t.store.savePairing(pairing(t.clock.now()));
    expect(await t.store.deletePairing("sms")).toBe(true);
    expect(await t.store.deletePairing("sms")).toBe(false);
    const address = { channel: "sms", address: ALICE, pairedAt: t.clock.now() };
    expect(await t.admit([{ kind: "redeem_pairing", pairingId: "pair_1", address }])).toEqual({
      kind: "stale",
    });
  });

  test("the fifth wrong code within ten minutes locks that sender out for an hour, and no other", async () => {
    const t = testStore();
    const attempt = (address: string): Promise<unknown> =>
      t.admit([{ kind: "pairing_attempt", channel: "sms", address, at: t.clock.now() }]);
    const lockOf = async (address: string) => {
      const facts = await t.store.senderFacts({ channel: "sms", address, now: t.clock.now() });
      return facts.pairingLockedUntil;
    };
    for (let i = 0; i < 4; i++) await attempt(ALICE);
    expect(await lockOf(ALICE)).toBeUndefined();
    await attempt(ALICE);
    expect(await lockOf(ALICE)).toBe(t.clock.now() + 60 * MINUTE);
    expect(await lockOf(BOB)).toBeUndefined();
    await t.clock.advance(60 * MINUTE);
    expect(await lockOf(ALICE)).toBeUndefined();
    await attempt(ALICE);
    expect(await lockOf(ALICE)).toBeUndefined();
  });

  test("wrong codes that lie further apart do not lock anybody out", async () => {
    const t = testStore();
    for (let i = 0; i < 12; i++) {
      await t.admit([{ kind: "pairing_attempt", channel: "sms", address: ALICE, at: t.clock.now() }]);
      await t.clock.advance(3 * MINUTE);
    }
    const facts = await t.store.senderFacts({ channel: "sms", address: ALICE, now: t.clock.now() });
    expect(facts.pairingLockedUntil).toBeUndefined();
  });
});

describe("what is known of a sender", () => {
  test("is of that channel and address only", async () => {
    const t = testStore();
    const now = t.clock.now();
    await t.store.savePairing(pairing(now));
    for (const address of [ALICE, BOB]) {
      await t.store.savePairing(pairing(now));
      await t.admit([
        { kind: "redeem_pairing", pairingId: "pair_1", address: { channel: "sms", address, pairedAt: now } },
      ]);
    }
    await t.store.savePairing(pairing(now, { id: "pair_9" }));
    const held = { ...heldOf("msg_held", now + MINUTE), parts: ["two", "three"] };
    await t.admit([
      { kind: "opt_out", channel: "sms", address: ALICE, at: now },
      { kind: "hold", channel: "sms", address: ALICE, held },
    ]);
    expect(await t.store.senderFacts({ channel: "sms", address: ALICE, now })).toEqual({
      paired: { channel: "sms", address: ALICE, pairedAt: now },
      pairedAddresses: [ALICE, BOB],
      optedOut: true,
      pairing: pairing(now, { id: "pair_9" }),
      held,
    });
    expect(await t.store.senderFacts({ channel: "other", address: ALICE, now })).toEqual({
      pairedAddresses: [],
      optedOut: false,
    });
    expect(
      (await t.store.senderFacts({ channel: "sms", address: ALICE, now: now + MINUTE })).held,
    ).toBeUndefined();
  });

  test("opting in lifts the opt-out", async () => {
    const t = testStore();
    const at = t.clock.now();
    await t.admit([{ kind: "opt_out", channel: "sms", address: ALICE, at }]);
    expect(await t.store.optedOut("sms", ALICE)).toBe(true);
    await t.admit([{ kind: "opt_in", channel: "sms", address: ALICE }]);
    expect(await t.store.optedOut("sms", ALICE)).toBe(false);
  });
});

describe("held parts of a reply", () => {
  test("are handed out once, even to two MORE at the same moment", async () => {
    const t = testStore();
    const expiresAt = t.clock.now() + MINUTE;
    const hold = (parts: readonly string[], expected?: string): Effect => ({
      kind: "hold",
      channel: "sms",
      address: ALICE,
      held: parts.length === 0 ? undefined : { ...heldOf("msg_held", expiresAt), parts },
      ...(expected === undefined ? {} : { expected }),
    });
    await t.admit([hold(["two", "three"])]);
    const more = await Promise.all([
      t.admit([hold(["three"], "msg_held"), { kind: "send", outbound: t.outbound({ text: "two" }) }]),
      t.admit([hold(["three"], "msg_held"), { kind: "send", outbound: t.outbound({ text: "two" }) }]),
    ]);
    expect(more.map(({ kind }) => kind)).toEqual(["admitted", "stale"]);
    const last = await Promise.all([t.admit([hold([], "msg_held")]), t.admit([hold([], "msg_held")])]);
    expect(last.map(({ kind }) => kind)).toEqual(["admitted", "stale"]);
    expect(await t.admit([hold([], "msg_other")])).toEqual({ kind: "stale" });
  });
});

describe("ending a conversation by command", () => {
  test("the next text starts a fresh one, and its cancelled turn does not run", async () => {
    const t = testStore();
    const first = await t.text();
    const key = `sms:${ALICE}`;
    const at = t.clock.now();
    await t.admit([
      { kind: "cancel_turns", key, at, reason: "The sender texted /new." },
      { kind: "end_conversation", key, at },
    ]);
    expect(await t.claimTurns()).toEqual([]);
    expect(await t.store.message(first.id)).toMatchObject({
      state: "dropped",
      text: "hello",
      error: { meaning: "The sender texted /new." },
    });
    await t.text();
    const { items } = await t.store.conversations({ limit: 10 });
    expect(items.map(({ endedAt }) => endedAt)).toEqual([undefined, at]);
  });
});
