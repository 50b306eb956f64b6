import { describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import type { SentMessage } from "../../src/carrier.ts";
import type { ClaimedSend } from "../../src/store.ts";
import { ALICE, BOB, type TestStore, testStore } from "./support.ts";

setDefaultTimeout(60_000 * Number(process.env.SMS_AGENT_RUNS ?? 1));

/** For a longer search: `SMS_AGENT_RUNS=20 bun test test/store/reconciliation.test.ts`. */
const MORE = Number(process.env.SMS_AGENT_RUNS ?? 1);

/** What becomes of one try. `crash`: our process dies between sending and recording. */
interface Try {
  readonly accept: boolean;
  readonly answer: "comes" | "lost" | "crash";
  /** How much later the carrier's list has it, ms. */
  readonly lag: number;
}

interface Text {
  readonly to: string;
  readonly body: string;
  readonly tries: readonly Try[];
}

interface Accepted {
  readonly to: string;
  readonly body: string;
  readonly message: string;
  readonly sid: string;
  readonly at: number;
  readonly listedAt: number;
}

interface History {
  readonly texts: readonly Text[];
  /** Which readings of the list fail. */
  readonly failing: readonly boolean[];
}

const someTry = (lags: readonly number[]): fc.Arbitrary<Try> =>
  fc.record({
    accept: fc.boolean(),
    answer: fc.constantFrom("comes" as const, "lost" as const, "lost" as const, "crash" as const),
    lag: fc.constantFrom(...lags),
  });

const history = (lags: readonly number[], failing: fc.Arbitrary<boolean>): fc.Arbitrary<History> =>
  fc.record({
    texts: fc.array(
      fc.record({
        to: fc.constantFrom(ALICE, ALICE, BOB),
        body: fc.constantFrom("ping", "ping", "pong"),
        tries: fc.array(someTry(lags), { maxLength: 3 }),
      }),
      { minLength: 1, maxLength: 6 },
    ),
    failing: fc.array(failing, { minLength: 40, maxLength: 40 }),
  });

/** The store, and a carrier that takes texts, loses answers and lists late. */
class Exchange {
  readonly t: TestStore = testStore();
  readonly accepted: Accepted[] = [];
  /** The texts by the ids of their messages. */
  readonly texts = new Map<string, Text>();
  private looks = 0;

  constructor(private readonly told: History) {}

  async run(): Promise<void> {
    const { t } = this;
    for (const text of this.told.texts) {
      const outbound = t.outbound({ to: text.to, text: text.body });
      this.texts.set(outbound.id, text);
      await t.store.enqueue(outbound);
    }
    for (let step = 0; step < 2_000; step++) {
      for (const send of await t.claimSends()) await this.send(send);
      await this.look();
      const times = [await t.store.nextSendDue(["sms"]), await t.store.nextLookDue(["sms"])];
      const next = Math.min(...times.map((at) => at ?? Number.POSITIVE_INFINITY));
      if (next === Number.POSITIVE_INFINITY) return;
      await t.clock.advance(Math.max(1, next - t.clock.now()));
    }
    throw new Error("it never came to an end");
  }

  private async send(send: ClaimedSend): Promise<void> {
    const { t } = this;
    const { id } = send.message;
    const text = this.texts.get(id);
    const fate = text?.tries[send.attempt - 1] ?? { accept: true, answer: "comes", lag: 0 };
    const at = t.clock.now();
    const sid = `SM${this.accepted.length}`;
    if (fate.accept)
      this.accepted.push({
        to: send.message.to,
        body: send.message.text,
        message: id,
        sid,
        at,
        listedAt: at + fate.lag,
      });
    if (fate.answer === "crash") await t.store.recover(at);
    else if (fate.answer === "comes" && fate.accept) await t.accepted(send, sid, "sent");
    else
      await t.store.settleSend({
        messageId: id,
        attempt: send.attempt,
        outcome: { kind: "ambiguous", reason: "time-out" },
        at,
      });
  }

  private async look(): Promise<void> {
    const { t } = this;
    const at = t.clock.now();
    const { looks } = await t.store.claimLooks({ now: at, lease: 60_000, limit: 10, channels: ["sms"] });
    for (const { messageId, attempt, to, since } of looks) {
      const failed = this.told.failing[this.looks++] === true;
      const listed = this.accepted
        .filter((one) => one.to === to && one.listedAt <= at && one.at >= since)
        .map(
          ({ sid, body, at: taken }): SentMessage => ({
            sid,
            status: "sent",
            body,
            media: 0,
            createdAt: taken - (taken % 1000),
          }),
        )
        .reverse();
      await t.store.settleLook({ messageId, attempt, lookedAt: at, at, ...(failed ? {} : { listed }) });
    }
  }

  /** By recipient and words: how many texts there are, were taken, came too late into the list, and stayed unknown. */
  async counts(): Promise<
    readonly {
      readonly texts: number;
      readonly taken: number;
      readonly late: number;
      readonly unknown: number;
    }[]
  > {
    const groups = Map.groupBy(this.texts, ([, { to, body }]) => `${to} ${body}`);
    const counted: { texts: number; taken: number; late: number; unknown: number }[] = [];
    for (const members of groups.values()) {
      const ids = new Set(members.map(([id]) => id));
      const own = this.accepted.filter(({ message }) => ids.has(message));
      const states = await Promise.all([...ids].map((id) => this.t.stateOf(id)));
      counted.push({
        texts: ids.size,
        taken: own.length,
        late: own.filter((one) => one.listedAt - one.at > 115_000).length,
        unknown: states.filter((state) => state === "unknown").length,
      });
    }
    return counted;
  }
}

/** The list lags behind, but not for as long as the second look waits. */
const SLOW = [0, 5_000, 25_000, 60_000, 100_000];
const ENDLESS = [...SLOW, 140_000, 500_000, 100_000_000];

describe("sends whose answers are lost", () => {
  test("are taken exactly once each while the list is prompt enough, whatever is lost and said twice on purpose", async () => {
    await fc.assert(
      fc.asyncProperty(history(SLOW, fc.constant(false)), async (told) => {
        const exchange = new Exchange(told);
        await exchange.run();
        for (const { texts, taken, unknown } of await exchange.counts())
          expect([taken, unknown]).toEqual([texts, 0]);
        // In the order in which they were to go.
        const order = [...exchange.texts.keys()];
        for (const to of [ALICE, BOB]) {
          const sent = exchange.accepted.filter((one) => one.to === to);
          const places = sent.map(({ message }) => order.indexOf(message));
          expect(places).toEqual([...places].sort((a, b) => a - b));
        }
      }),
      { numRuns: 20 * MORE },
    );
  });

  test("are never taken twice, but where the list was later than both looks, and never lost without a word", async () => {
    await fc.assert(
      fc.asyncProperty(history(ENDLESS, fc.boolean()), async (told) => {
        const exchange = new Exchange(told);
        await exchange.run();
        for (const { texts, taken, late, unknown } of await exchange.counts()) {
          expect(taken).toBeLessThanOrEqual(texts + late);
          expect(taken).toBeGreaterThanOrEqual(texts - unknown);
        }
      }),
      { numRuns: 25 * MORE },
    );
  });

  test("that turn up twice are told, each in the timeline of its message", async () => {
    const tries = [{ accept: true, answer: "lost", lag: 150_000 } as const];
    const exchange = new Exchange({ texts: [{ to: ALICE, body: "ping", tries }], failing: [] });
    await exchange.run();
    const [id] = exchange.texts.keys();
    expect(exchange.accepted).toHaveLength(2);
    expect(await exchange.t.stateOf(id ?? "")).toBe("sent");
    const message = await exchange.t.store.message(id ?? "");
    expect(JSON.stringify(message?.events)).toContain("taken this message twice; try 1 is SM0");
  });
});
