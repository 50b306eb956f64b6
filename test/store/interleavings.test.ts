import { expect, test } from "bun:test";
import fc from "fast-check";
import { testStore } from "./support.ts";
import { people, step, World } from "./world.ts";

test("whatever happens in whichever order: one turn of a person at a time, order kept, nothing back, nothing lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 80, size: "max" }), async (steps) => {
      const world = new World();
      try {
        for (const one of steps) {
          await world.run(one);
          world.check();
        }
        await world.settle();
        world.check();
      } finally {
        await world.t.store.close();
      }
    }),
    { numRuns: 60 },
  );
}, 60_000);

test("each person gets the texts of the outbox in the order in which they were written", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ to: people, fails: fc.nat(2) }), { minLength: 1, maxLength: 25 }),
      async (messages) => {
        const t = testStore();
        const fails = new Map<string, number>();
        const written = new Map<string, string[]>();
        const received = new Map<string, string[]>();
        for (const { to, fails: times } of messages) {
          const outbound = t.outbound({ to });
          fails.set(outbound.id, times);
          written.set(to, [...(written.get(to) ?? []), outbound.id]);
          await t.store.enqueue(outbound);
        }
        for (let round = 0; round < 200; round++) {
          const sends = await t.claimSends(3);
          for (const send of sends) {
            const { id, to } = send.message;
            const left = fails.get(id) ?? 0;
            fails.set(id, left - 1);
            if (left > 0) {
              const at = t.clock.now();
              const outcome = { kind: "retry", reason: "429" } as const;
              await t.store.settleSend({
                messageId: id,
                attempt: send.attempt,
                outcome,
                at,
                dueAt: at + 500,
              });
            } else {
              await t.accepted(send, `SM-${id}`);
              received.set(to, [...(received.get(to) ?? []), id]);
            }
          }
          await t.clock.advance(500);
        }
        expect(received).toEqual(written);
        await t.store.close();
      },
    ),
    { numRuns: 15 },
  );
}, 60_000);
