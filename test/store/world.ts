import { expect } from "bun:test";
import fc from "fast-check";
import type { SendOutcome } from "../../src/carrier.ts";
import { advance, isFinal } from "../../src/delivery.ts";
import type { DeliveryState } from "../../src/message.ts";
import type { ClaimedSend } from "../../src/store.ts";
import type { ClaimedTurn } from "../../src/turn.ts";
import { ALICE, BOB, present, type TestStore, testStore } from "./support.ts";

// Random histories of everything that happens to a store, checked against what must hold whatever the order.
// Longer than most files, since the steps, what is remembered of them and the checks only make sense together.

type Step =
  | { readonly kind: "text"; readonly from: string; readonly agent: string; readonly debounce: number }
  | { readonly kind: "claim_turns"; readonly limit: number }
  | { readonly kind: "finish"; readonly pick: number; readonly replies: number; readonly fails: boolean }
  | { readonly kind: "enqueue"; readonly to: string }
  | { readonly kind: "claim_sends"; readonly limit: number }
  | { readonly kind: "settle"; readonly pick: number; readonly as: SendOutcome["kind"] }
  | { readonly kind: "status"; readonly pick: number; readonly status: string; readonly byRef: boolean }
  | { readonly kind: "cancel"; readonly from: string }
  | { readonly kind: "opt"; readonly from: string; readonly out: boolean }
  | { readonly kind: "crash" }
  | { readonly kind: "wait"; readonly ms: number };

export const people = fc.constantFrom(ALICE, BOB);
const pick = fc.nat(20);
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("text" as const),
      from: people,
      agent: fc.constantFrom("assistant", "assistant", "assistant", "other"),
      debounce: fc.constantFrom(0, 0, 1_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("claim_turns" as const),
      limit: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("finish" as const),
      pick,
      replies: fc.nat(2),
      fails: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("enqueue" as const), to: people }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("claim_sends" as const),
      limit: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      pick,
      as: fc.constantFrom(
        "accepted" as const,
        "accepted" as const,
        "refused" as const,
        "retry" as const,
        "ambiguous" as const,
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("status" as const),
      pick,
      status: fc.constantFrom("queued", "sent", "delivered", "undelivered", "failed", "nonsense"),
      byRef: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), from: people }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("opt" as const), from: people, out: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 1_000, 70_000, 200_000),
    }),
  },
);

export class World {
  readonly t: TestStore = testStore();
  running: ClaimedTurn[] = [];
  sends: ClaimedSend[] = [];
  /** Every attempt that was ever handed out, by message. */
  readonly attempts = new Map<string, number[]>();
  /** Why a further attempt of a message is allowed. */
  readonly retries = new Map<string, number>();
  readonly texts: string[] = [];
  /** Which turns ran a text to an end. */
  readonly answeredBy = new Map<string, string>();
  /** Which messages the carrier is known to have. */
  readonly withCarrier = new Set<string>();
  readonly seen = new Map<string, DeliveryState>();
  count = 0;

  async run(step: Step): Promise<void> {
    const { t } = this;
    const at = t.clock.now();
    switch (step.kind) {
      case "text": {
        const turn = { agent: step.agent, debounce: step.debounce };
        this.texts.push((await t.text(step.from, { turn })).id);
        return;
      }
      case "claim_turns": {
        const claimed = await t.claimTurns(step.limit);
        expect(claimed.length).toBeLessThanOrEqual(step.limit);
        this.running = this.running.filter(({ turn }) => !claimed.some((one) => one.turn.id === turn.id));
        this.running.push(...claimed);
        return;
      }
      case "finish": {
        const claimed = this.take(this.running, step.pick);
        if (claimed === undefined) return;
        const replies = Array.from({ length: step.replies }, () =>
          t.outbound({
            to: claimed.turn.address,
            turnId: claimed.turn.id,
            conversationId: claimed.turn.conversationId,
          }),
        );
        const error = { meaning: "failed", fix: "none" };
        const state = t.client.prepare("SELECT state FROM turns WHERE id = ?").pluck().get(claimed.turn.id);
        const ended = await t.store.finishTurn({
          turnId: claimed.turn.id,
          end: step.fails ? { kind: "failed", error } : { kind: "done" },
          replies,
          held: "keep",
          rerouted: [],
          at,
        });
        expect(ended).toBe(state === "running");
        if (!ended) return;
        for (const { messageId } of claimed.texts) {
          expect(this.answeredBy.get(messageId)).toBeUndefined();
          this.answeredBy.set(messageId, claimed.turn.id);
        }
        return;
      }
      case "enqueue":
        await t.store.enqueue(t.outbound({ to: step.to }));
        return;
      case "claim_sends": {
        const claimed = await t.claimSends(step.limit);
        expect(new Set(claimed.map(({ message }) => message.to)).size).toBe(claimed.length);
        for (const send of claimed) {
          const { id } = send.message;
          const before = this.attempts.get(id) ?? [];
          expect(send.attempt).toBe(before.length + 1);
          // Nothing is sent again but what was certainly not taken.
          expect(before.length).toBe(this.retries.get(id) ?? 0);
          expect(this.withCarrier.has(id)).toBe(false);
          this.attempts.set(id, [...before, send.attempt]);
        }
        this.sends.push(...claimed);
        return;
      }
      case "settle": {
        const send = this.take(this.sends, step.pick);
        if (send === undefined) return;
        const before = await t.stateOf(send.message.id);
        await t.store.settleSend({
          messageId: send.message.id,
          attempt: send.attempt,
          outcome: this.outcome(send, step.as),
          at,
          dueAt: at + 1_000,
        });
        if (step.as === "accepted") this.withCarrier.add(send.message.id);
        const after = await t.stateOf(send.message.id);
        if (after === "pending" && before !== "pending") this.retries.set(send.message.id, send.attempt);
        if (this.seen.has(send.message.id)) expect(after).not.toBe("pending");
        return;
      }
      case "status": {
        const messages = [...this.attempts.keys()];
        const id = messages[step.pick % Math.max(1, messages.length)];
        if (id === undefined) return;
        const attempt = present(this.attempts.get(id)?.at(-1));
        const before = t.client
          .prepare<[string], DeliveryState>("SELECT state FROM messages WHERE id = ?")
          .pluck();
        const beforeState = present(before.get(id));
        const outcome = await t.store.recordStatus({
          kind: "status",
          sid: sidOf(id, attempt),
          status: step.status,
          at,
          ...(step.byRef ? { ref: { messageId: id, attempt } } : {}),
        });
        if (outcome.kind === "kept") return;
        expect(outcome.messageId).toBe(id);
        expect(advance(beforeState, outcome.state)).toBe(outcome.state);
        this.withCarrier.add(id);
        this.seen.set(id, outcome.state);
        return;
      }
      case "cancel":
        await t.admit([{ kind: "cancel_turns", key: `sms:${step.from}`, at, reason: "stop" }]);
        return;
      case "opt":
        await t.admit([
          step.out
            ? { kind: "opt_out", channel: "sms", address: step.from, at }
            : { kind: "opt_in", channel: "sms", address: step.from },
        ]);
        return;
      case "crash":
        await t.store.recover(at);
        this.running = [];
        this.sends = [];
        return;
      case "wait":
        await t.clock.advance(step.ms);
        return;
    }
  }

  /** What must hold after every step. */
  check(): void {
    const rows = <Row>(source: string) => this.t.client.prepare<[], Row>(source).all();
    expect(rows("SELECT key FROM turns WHERE state = 'running' GROUP BY key HAVING count(*) > 1")).toEqual(
      [],
    );
    // In each queue somebody is first, and it is the oldest one that has not ended.
    expect(
      rows(`SELECT key FROM turns WHERE ended_at IS NULL GROUP BY key, channel
            HAVING sum(head) <> 1 OR min(seq) <> min(CASE head WHEN 1 THEN seq END)`),
    ).toEqual([]);
    expect(rows("SELECT recipient FROM outbox GROUP BY channel, recipient HAVING sum(head) <> 1")).toEqual(
      [],
    );
    // Who is not first has not been started.
    expect(rows("SELECT message FROM outbox WHERE head = 0 AND state <> 'pending'")).toEqual([]);
    expect(rows("SELECT id FROM turns WHERE head = 0 AND state = 'running'")).toEqual([]);
    // The queue and the messages tell the same.
    expect(
      rows(`SELECT id, messages.state, outbox.state FROM messages LEFT JOIN outbox ON message = seq
            WHERE direction = 'outbound' AND (
              (messages.state IN ('pending', 'sending') AND coalesce(outbox.state, '') <> messages.state)
              OR (messages.state = 'unknown' AND coalesce(outbox.state, 'unknown') <> 'unknown')
              OR (messages.state NOT IN ('pending', 'sending', 'unknown') AND outbox.state IS NOT NULL))`),
    ).toEqual([]);
    // A text waits exactly as long as its turn.
    expect(
      rows(`SELECT messages.id FROM messages JOIN turns ON turns.id = turn_id
            WHERE direction = 'inbound' AND (messages.state = 'queued') <> (turns.ended_at IS NULL)`),
    ).toEqual([]);
    // A conversation counts what belongs to it.
    expect(
      rows(`SELECT id FROM conversations WHERE messages <>
            (SELECT count(*) FROM messages AS m WHERE m.conversation_id = conversations.id)`),
    ).toEqual([]);
    // No callback ever moved a message back.
    const states = new Map(
      rows<{ id: string; state: DeliveryState }>(
        "SELECT id, state FROM messages WHERE direction = 'outbound'",
      ).map(({ id, state }) => [id, state]),
    );
    for (const [id, state] of this.seen) if (isFinal(state)) expect(states.get(id)).toBe(state);
  }

  /** However it went, everything comes to an end. */
  async settle(): Promise<void> {
    const { t } = this;
    await t.store.recover(t.clock.now());
    for (let round = 0; round < 500; round++) {
      await t.clock.advance(200_000);
      const turns = await t.claimTurns(50);
      for (const claimed of turns) {
        expect(await t.reply(claimed)).toBe(true);
        for (const { messageId } of claimed.texts) {
          expect(this.answeredBy.get(messageId)).toBeUndefined();
          this.answeredBy.set(messageId, claimed.turn.id);
        }
      }
      const sends = await t.claimSends(50);
      for (const send of sends) await t.accepted(send, `SMend${this.count++}`, "delivered");
      if (turns.length + sends.length === 0) break;
    }
    for (const id of this.texts) {
      const text = present(await t.store.message(id));
      expect(["handled", "failed", "dropped"]).toContain(text.state);
      const turn = t.client.prepare("SELECT state FROM turns WHERE id = ?").pluck().get(text.turnId);
      expect(["done", "failed", "cancelled"]).toContain(String(turn));
      if (text.state === "handled") expect(this.answeredBy.get(id)).toBe(present(text.turnId));
    }
    expect(t.client.prepare("SELECT * FROM outbox").all()).toEqual([]);
  }

  private outcome(send: ClaimedSend, as: SendOutcome["kind"]): SendOutcome {
    switch (as) {
      case "accepted":
        return { kind: "accepted", sid: sidOf(send.message.id, send.attempt), status: "queued" };
      case "refused":
        return { kind: "refused", error: { meaning: "refused", fix: "none" }, optedOut: false };
      case "retry":
        return { kind: "retry", reason: "429" };
      case "ambiguous":
        return { kind: "ambiguous", reason: "time-out" };
    }
  }

  private take<T>(items: T[], index: number): T | undefined {
    return items.length === 0 ? undefined : items.splice(index % items.length, 1)[0];
  }
}

function sidOf(id: string, attempt: number): string {
  return `SM-${id}-${attempt}`;
}
