import { describe, expect, test } from "bun:test";
import { CONFIRMATION_TTL, type NewConfirmation } from "../../src/confirmation.ts";
import { ALICE, type TestStore, testStore } from "./support.ts";

/** A running turn, and what asks for the confirmation of one of its calls. */
async function asking(t: TestStore) {
  await t.text();
  const [claimed] = await t.claimTurns();
  if (claimed === undefined) throw new Error("no turn is due");
  const now = t.clock.now();
  const confirmation = (changes: Partial<NewConfirmation> = {}): NewConfirmation => ({
    turnId: claimed.turn.id,
    callId: "1.0",
    channel: "sms",
    address: ALICE,
    code: "482913",
    createdAt: now,
    expiresAt: now + CONFIRMATION_TTL,
    ...changes,
  });
  const ask = (changes: Partial<NewConfirmation> = {}) =>
    t.store.askConfirmation(confirmation(changes), t.outbound());
  return { turnId: claimed.turn.id, ask };
}

describe("a confirmation that is asked for", () => {
  test("again for the same call sends no second code", async () => {
    const t = testStore();
    const { ask } = await asking(t);
    expect(await ask()).toEqual({ kind: "asked" });
    expect(await ask({ code: "111111" })).toEqual({ kind: "known", state: "pending" });
    expect(await t.claimSends()).toHaveLength(1);
    const facts = await t.store.senderFacts({ channel: "sms", address: ALICE, now: t.clock.now() });
    expect(facts.confirmations).toMatchObject([{ callId: "1.0", code: "482913" }]);
  });

  test("with the code of another waiting call is to draw another", async () => {
    const t = testStore();
    const { ask } = await asking(t);
    await ask();
    expect(await ask({ callId: "1.1" })).toEqual({ kind: "taken" });
  });

  test("by a sender with three calls waiting is refused", async () => {
    const t = testStore();
    const { ask } = await asking(t);
    for (const i of [1, 2, 3]) await ask({ callId: `1.${i}`, code: `00000${i}` });
    expect(await ask({ callId: "1.4", code: "000004" })).toEqual({ kind: "refused", why: "too_many" });
  });

  test("and answered twice at once is confirmed once", async () => {
    const t = testStore();
    const { ask, turnId } = await asking(t);
    await ask();
    const effect = { kind: "confirm_call", turnId, callId: "1.0", at: t.clock.now() } as const;
    const outcomes = await Promise.all([t.admit([effect]), t.admit([effect])]);
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual(["admitted", "stale"]);
    const entries = await t.store.journal(turnId);
    expect(entries).toEqual([{ kind: "call_confirmed", callId: "1.0" }]);
    expect(await ask()).toEqual({ kind: "known", state: "confirmed" });
  });

  test("and not answered in time gives the call a failed result, once", async () => {
    const t = testStore();
    const { ask, turnId } = await asking(t);
    await ask();
    await t.clock.advance(CONFIRMATION_TTL);
    expect(await t.store.expireConfirmations(t.clock.now())).toBe(1);
    expect(await t.store.expireConfirmations(t.clock.now())).toBe(0);
    expect(await t.store.journal(turnId)).toMatchObject([{ kind: "call_result", failed: true }]);
    const effect = { kind: "confirm_call", turnId, callId: "1.0", at: t.clock.now() } as const;
    expect(await t.admit([effect])).toEqual({ kind: "stale" });
  });
});
