import { beforeEach, describe, expect, test } from "bun:test";
import type { SignalStore } from "../../src/signal-store.ts";
import { ADMIN, type Caller } from "../../src/token.ts";
import type { AwaitOutcome, WaitOptions } from "../../src/waiting.ts";
import { refusal } from "../store/support.ts";
import { openStack, type Stack } from "./stack.ts";

const never = new AbortController().signal;
const admin: WaitOptions = { caller: ADMIN };
const keyed = (idempotencyKey: string, caller: Caller = ADMIN): WaitOptions => ({ caller, idempotencyKey });

let stack: Stack;

/** Asks without waiting. */
function look(request: object, options = admin): Promise<AwaitOutcome> {
  return stack.settled(stack.waiting.awaitSignal({ ...request, timeout: 0 }, options, never));
}
beforeEach(() => {
  stack = openStack();
});

describe("a wait", () => {
  test("ends with the first signal that passes its filters", async () => {
    const wait = stack.waiting.awaitSignal({ from: "22*", timeout: "20s" }, admin, never);
    await stack.pending(1);
    await stack.arrive("Your code is 111111", { from: "33000" });
    const signal = await stack.arrive("Your code is 222222");
    expect(await wait).toEqual({ status: "matched", signal });
  });

  test("is over after its time, or after 25 seconds", async () => {
    const short = stack.waiting.awaitSignal({ timeout: "5s" }, admin, never);
    const usual = stack.waiting.awaitSignal({}, admin, never);
    await stack.pending(2);
    await stack.t.clock.advance(5_000);
    expect(await short).toEqual({ status: "timeout" });
    await stack.t.clock.advance(19_999);
    await stack.pending(1);
    await stack.t.clock.advance(1);
    expect(await usual).toEqual({ status: "timeout" });
  });

  test("of no time only looks back", async () => {
    expect(await look({})).toEqual({ status: "timeout" });
    const signal = await stack.arrive("Your code is 482913");
    await stack.t.clock.advance(119_000);
    expect(await look({ backfill: "1m" })).toEqual({
      status: "timeout",
    });
    expect(await look({})).toEqual({
      status: "matched",
      signal,
    });
    expect(await look({})).toEqual({ status: "timeout" });
  });

  test("that only looks takes nothing away", async () => {
    const signal = await stack.arrive("Your code is 482913");
    expect(await look({ consume: "peek" })).toEqual({ status: "matched", signal });
    expect(await look({ consume: "peek" })).toEqual({ status: "matched", signal });
    expect(await look({})).toEqual({
      status: "matched",
      signal,
    });
  });

  test("that only looks is not shown what another has claimed before", async () => {
    const signal = await stack.arrive("Your code is 482913");
    expect(await look({})).toEqual({ status: "matched", signal });
    expect(await look({ consume: "peek" })).toEqual({ status: "timeout" });
    const standing = await stack.waiting.createWatch({ mode: "continuous" }, admin);
    expect(standing).toMatchObject({ state: "pending", signals: [] });
  });

  test("tells its caller when it is cancelled", async () => {
    const wait = refusal(stack.waiting.awaitSignal({}, admin, never));
    await stack.pending(1);
    const [watch] = (await stack.waiting.watches({ limit: 1 }, ADMIN)).items;
    await stack.waiting.cancelWatch(watch?.id ?? "", ADMIN);
    expect(await wait).toMatchObject({ code: "conflict" });
  });

  test("ends when the service stops, with the advice to repeat it", async () => {
    const waits = [admin, keyed("k")].map((options) =>
      refusal(stack.waiting.awaitSignal({ timeout: "60s" }, options, never)),
    );
    await stack.pending(2);
    stack.waiting.stop();
    for (const error of await Promise.all(waits))
      expect(error).toMatchObject({ code: "unavailable", fix: expect.stringContaining("Repeat") });
    await stack.pending(1);
  });
});

describe("a wait without a key whose caller leaves", () => {
  test("claims nothing any more", async () => {
    const cut = new AbortController();
    const wait = refusal(stack.waiting.awaitSignal({}, admin, cut.signal));
    await stack.pending(1);
    cut.abort();
    await wait;
    await stack.pending(0);
    const signal = await stack.arrive("Your code is 482913");
    expect(await look({})).toEqual({
      status: "matched",
      signal,
    });
  });

  test("before it began makes no watch", async () => {
    await refusal(stack.waiting.awaitSignal({}, admin, AbortSignal.abort()));
    expect((await stack.waiting.watches({ limit: 1 }, ADMIN)).items).toEqual([]);
  });

  test("is cancelled at the next start when the process ended first; others wait on", async () => {
    stack.waiting.awaitSignal({ timeout: "60s" }, admin, never).catch(() => {});
    stack.waiting.awaitSignal({ timeout: "60s" }, keyed("k"), never).catch(() => {});
    await stack.waiting.createWatch({ expires_in: "60s" }, admin);
    await stack.pending(3);
    const next = stack.again();
    await next.waiting.start();
    await next.signals.start();
    await next.pending(2);
    const signal = await next.arrive("Your code is 482913");
    expect(await next.waiting.awaitSignal({ timeout: 0 }, keyed("k"), never)).toEqual({
      status: "matched",
      signal,
    });
  });
});

describe("a code that is claimed in the moment its waiter leaves", () => {
  let signal: Awaited<ReturnType<Stack["arrive"]>>;
  let race: () => Promise<void>;

  /** Lets the code come in just before the departed wait is cancelled on disk. */
  function raced(store: SignalStore): SignalStore {
    return {
      ...store,
      async cancelWatch(id, at) {
        await race();
        return store.cancelWatch(id, at);
      },
    };
  }

  async function lose(): Promise<void> {
    const cut = new AbortController();
    const wait = refusal(stack.waiting.awaitSignal({}, admin, cut.signal));
    await stack.pending(1);
    race = async () => {
      race = async () => {};
      signal = await stack.arrive("Your code is 482913");
    };
    cut.abort();
    await wait;
  }

  beforeEach(() => {
    stack = openStack({ wrap: raced });
  });

  test("goes to the oldest of the others who wait", async () => {
    const cut = new AbortController();
    const first = refusal(stack.waiting.awaitSignal({}, admin, cut.signal));
    await stack.pending(1);
    const second = stack.waiting.awaitSignal({ timeout: "9s" }, admin, never);
    await stack.pending(2);
    const third = stack.waiting.awaitSignal({ timeout: "9s" }, admin, never);
    await stack.pending(3);
    race = async () => {
      signal = await stack.arrive("Your code is 482913");
    };
    cut.abort();
    await first;
    expect(await second).toEqual({ status: "matched", signal });
    await stack.t.clock.advance(9_000);
    expect(await third).toEqual({ status: "timeout" });
  });

  test("goes to the next who asks within the backfill, once", async () => {
    await lose();
    expect(await look({})).toEqual({ status: "matched", signal });
    expect(await look({})).toEqual({ status: "timeout" });
  });

  test("goes to nobody whom it does not concern", async () => {
    await lose();
    const other = await stack.waiting.createWatch({ from: "99999" }, admin);
    expect(other.state).toBe("pending");
    await stack.t.clock.advance(1);
    expect(await look({ backfill: 0 })).toEqual({ status: "timeout" });
    await stack.t.clock.advance(601_000);
    expect(await look({ backfill: "10m" })).toEqual({
      status: "timeout",
    });
  });
});

describe("a wait with an Idempotency-Key", () => {
  const call = (request: unknown, key = "k", abort = never) =>
    stack.waiting.awaitSignal(request, keyed(key), abort);

  test("that was cut gets the code that came in between when it is repeated", async () => {
    const cut = new AbortController();
    const first = refusal(call({ timeout: "60s" }, "k", cut.signal));
    await stack.pending(1);
    cut.abort();
    expect(await first).toMatchObject({ code: "unavailable" });
    await stack.pending(1);
    const signal = await stack.arrive("Your code is 482913");
    expect(await call({ timeout: "60s" })).toEqual({ status: "matched", signal });
    expect(await call({ timeout: "1s" })).toEqual({ status: "matched", signal });
    await stack.t.clock.advance(600_000);
    expect(await call({ timeout: "60s" })).toEqual({ status: "matched", signal });
  });

  test("is forgotten ten minutes after its time", async () => {
    const first = call({ timeout: "10s" });
    await stack.pending(1);
    await stack.arrive("Your code is 482913");
    expect(await first).toMatchObject({ status: "matched" });
    await stack.t.clock.advance(610_001);
    expect(await look({}, keyed("k"))).toEqual({ status: "timeout" });
  });

  test("gets one signal when it is repeated while it waits", async () => {
    const first = call({ timeout: "60s" });
    await stack.pending(1);
    const second = call({ timeout: "60s" });
    await stack.t.clock.flush();
    await stack.pending(1);
    const signal = await stack.arrive("Your code is 482913");
    expect(await first).toEqual({ status: "matched", signal });
    expect(await second).toEqual({ status: "matched", signal });
  });

  test("that timed out waits again when it is repeated, as often as it likes", async () => {
    for (let round = 0; round < 5; round++) {
      const wait = call({ timeout: "5s" });
      await stack.pending(1);
      await stack.t.clock.advance(5_000);
      expect(await wait).toEqual({ status: "timeout" });
    }
    const wait = call({ timeout: "5s" });
    await stack.pending(1);
    const signal = await stack.arrive("Your code is 482913");
    expect(await wait).toEqual({ status: "matched", signal });
    expect(await stack.again().waiting.awaitSignal({ timeout: 0 }, keyed("k"), never)).toEqual({
      status: "matched",
      signal,
    });
  });

  test("that was cut and ran out waits for its whole new time", async () => {
    const cut = new AbortController();
    const first = refusal(call({ timeout: "5s" }, "k", cut.signal));
    await stack.pending(1);
    cut.abort();
    await first;
    await stack.t.clock.advance(3_000);
    const second = call({ timeout: "10s" });
    await stack.t.clock.advance(9_000);
    const signal = await stack.arrive("Your code is 482913");
    expect(await second).toEqual({ status: "matched", signal });
  });

  test("that is repeated with less time is answered in that time, and goes on", async () => {
    const cut = new AbortController();
    const first = refusal(call({ timeout: "60s" }, "k", cut.signal));
    await stack.pending(1);
    cut.abort();
    await first;
    const second = call({ timeout: "2s" });
    await stack.t.clock.advance(2_000);
    expect(await stack.settled(second)).toEqual({ status: "timeout" });
    const signal = await stack.arrive("Your code is 482913");
    expect(await look({}, keyed("k"))).toEqual({ status: "matched", signal });
  });

  test("is refused for another request", async () => {
    await look({ from: "22000" }, keyed("k"));
    expect(await refusal(look({ from: "33000" }, keyed("k")))).toMatchObject({ code: "conflict" });
  });

  test("is another one for another caller", async () => {
    const other: Caller = { id: "tok_1", scopes: ["signals:await"] };
    const wait = call({ timeout: "60s" });
    await stack.pending(1);
    await stack.arrive("Your code is 482913");
    expect(await wait).toMatchObject({ status: "matched" });
    expect(await look({}, keyed("k", other))).toEqual({ status: "timeout" });
  });

  test("can be given up, and then claims nothing", async () => {
    const cut = new AbortController();
    const first = refusal(call({ timeout: "60s" }, "k", cut.signal));
    await stack.pending(1);
    cut.abort();
    await first;
    await stack.waiting.giveUp({ caller: ADMIN, idempotencyKey: "k" });
    await stack.pending(0);
    const again = refusal(stack.waiting.giveUp({ caller: ADMIN, idempotencyKey: "k" }));
    expect(await again).toMatchObject({ code: "not_found" });
    const signal = await stack.arrive("Your code is 482913");
    expect(await look({})).toEqual({
      status: "matched",
      signal,
    });
  });
});

describe("a standing watch", () => {
  test("gathers signals until its time is over", async () => {
    const made = await stack.waiting.createWatch({ mode: "continuous", expires_in: "1h" }, admin);
    const first = await stack.arrive("Your code is 111111");
    const second = await stack.arrive("hello");
    expect(await stack.waiting.watch(made.id, ADMIN)).toMatchObject({
      state: "pending",
      consume: "peek",
      signals: [first, second],
    });
    await stack.t.clock.advance(3_600_000);
    expect((await stack.waiting.watch(made.id, ADMIN)).state).toBe("matched");
  });

  test("is made once per key", async () => {
    const first = await stack.waiting.createWatch({ from: "22000" }, keyed("k"));
    const again = await stack.waiting.createWatch({ from: "22000" }, keyed("k"));
    expect(again.id).toBe(first.id);
    const other = refusal(stack.waiting.createWatch({ from: "33000" }, keyed("k")));
    expect(await other).toMatchObject({ code: "conflict" });
  });

  test("can be cancelled while it waits", async () => {
    const made = await stack.waiting.createWatch({}, admin);
    await stack.waiting.cancelWatch(made.id, ADMIN);
    expect((await stack.waiting.watch(made.id, ADMIN)).state).toBe("cancelled");
    expect(await refusal(stack.waiting.cancelWatch(made.id, ADMIN))).toMatchObject({ code: "conflict" });
    expect(await refusal(stack.waiting.cancelWatch("watch_0", ADMIN))).toMatchObject({ code: "not_found" });
  });
});

describe("a token", () => {
  const reader: Caller = { id: "tok_1", scopes: ["read"] };
  const sender: Caller = { id: "tok_2", scopes: ["messages:send"] };
  const waiter: Caller = { id: "tok_3", scopes: ["signals:await"] };
  const limited: Caller = { id: "tok_4", scopes: ["signals:await"], channels: ["codes"] };

  test("without signals:await may neither wait nor make nor cancel watches", async () => {
    const made = await stack.waiting.createWatch({}, admin);
    for (const caller of [reader, sender]) {
      for (const tried of [
        stack.waiting.awaitSignal({}, { caller }, never),
        stack.waiting.createWatch({}, { caller }),
        stack.waiting.cancelWatch(made.id, caller),
      ])
        expect(await refusal(tried)).toMatchObject({
          code: "forbidden",
          message: expect.stringContaining("signals:await"),
        });
    }
    expect(await refusal(stack.waiting.watches({ limit: 1 }, sender))).toMatchObject({ code: "forbidden" });
  });

  test("that only reads sees neither codes nor texts", async () => {
    const made = await stack.waiting.createWatch({}, { caller: waiter });
    await stack.arrive("Your code is 482913\n\n@example.com #482913");
    const seen = await stack.waiting.watch(made.id, reader);
    expect(JSON.stringify(seen)).not.toContain("482913");
    expect(seen.signals[0]?.annotation).toMatchObject({
      category: "verification_code",
      origin: "example.com",
    });
    expect((await stack.waiting.watch(made.id, waiter)).signals[0]?.annotation.code).toBe("482913");
  });

  test("that is limited to channels waits on those alone and sees no other watches", async () => {
    const elsewhere = stack.waiting.awaitSignal({ channel: "sms" }, { caller: limited }, never);
    expect(await refusal(elsewhere)).toMatchObject({ problems: [{ path: "channel" }] });
    const all = await stack.waiting.createWatch({ mode: "continuous" }, admin);
    const own = await stack.waiting.createWatch({}, { caller: limited });
    expect(own.filters.channel).toBe("codes");
    await stack.arrive("Your code is 111111", { channel: "sms" });
    expect((await stack.waiting.watch(own.id, limited)).state).toBe("pending");
    expect((await stack.waiting.watches({ limit: 10 }, limited)).items.map(({ id }) => id)).toEqual([own.id]);
    expect(await refusal(stack.waiting.watch(all.id, limited))).toMatchObject({ code: "not_found" });
  });
});
