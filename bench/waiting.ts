/**
 * What the queue of turns costs when it is long: claims, ends and admissions with 1,000 and with 100,000 turns waiting.
 *
 *   bun run bench waiting [--turns N] [--json [FILE]] [--dir PATH]
 *
 * The store by itself, in this process. Once every waiting turn is of another person; once all are of one person, whose
 * texts fill twenty to a turn. Writes come 64 in a commit, as under load, so a commit's sync is a small part of each time.
 */
import { join } from "node:path";
import { createIds } from "../src/ids.ts";
import { openStore } from "../src/store/open.ts";
import type { QueueTurn, Store } from "../src/store.ts";
import { type ClaimedTurn, MAX_TURN_TEXTS } from "../src/turn.ts";
import { TURN_SLOTS } from "../src/turn-slots.ts";
import { inFolder } from "./processes.ts";
import { count, median, publish, table } from "./report.ts";

const AGENT = "busy";
const OTHER_AGENT = "quick";
const CHANNEL = "sms";
const TOGETHER = TURN_SLOTS / 2;
const ROUNDS = 60;
const FEW = 1_000;
const MAX_GROWTH = 1.5;

type Shape = "of as many people" | "of one person";

const MEASURED = [
  "claim",
  "claim for another agent, this one hanging",
  "next due",
  "end",
  "admission",
] as const;
type Times = Record<(typeof MEASURED)[number], number>;

/** A clock that is a millisecond further with every look, so that turns differ in their times. */
function steps() {
  let now = Date.UTC(2026, 0, 1);
  return { now: () => ++now, after: () => () => {} };
}

interface Queue {
  readonly store: Store;
  /** Admits so many texts in one commit, each of another person or all of one. */
  admit(texts: number): Promise<void>;
  /** Admits a text of somebody else to another agent. */
  admitOther(): Promise<unknown>;
  readonly now: () => number;
}

async function openQueue(dataDir: string, shape: Shape): Promise<Queue> {
  const clock = steps();
  const store = await openStore({ dataDir, clock, log: { debug() {}, info() {}, warn() {}, error() {} } });
  const newId = createIds(clock, (length) => crypto.getRandomValues(new Uint8Array(length)));
  let texts = 0;

  function admitOne(agent: string, sender?: string): Promise<unknown> {
    texts += 1;
    const at = clock.now();
    const from = sender ?? (shape === "of one person" ? "+15550000000" : `+1555${1_000_000 + texts}`);
    const turn: QueueTurn = {
      kind: "queue_turn",
      key: `${CHANNEL}:${from}`,
      turnId: newId("turn"),
      conversationId: newId("conv"),
      channel: CHANNEL,
      address: from,
      agent,
      debounce: 0,
      idleTimeout: 1_800_000,
      perMinute: 1_000_000,
      held: false,
      at,
    };
    const message = {
      id: newId("msg"),
      channel: CHANNEL,
      sid: `SM${String(texts).padStart(32, "0")}`,
      from,
      to: "+15550000001",
      text: `This is text ${texts}.`,
      media: [],
      raw: "{}",
      route: "message",
      state: "queued",
      policies: ["paired-senders"],
      late: false,
      createdAt: at,
    } as const;
    return store.admit({ message, effects: [turn] });
  }

  return {
    store,
    now: clock.now,
    async admit(wanted) {
      await Promise.all(Array.from({ length: wanted }, () => admitOne(AGENT)));
    },
    admitOther: () => admitOne(OTHER_AGENT, "+15559999999"),
  };
}

async function timed<T>(times: number[], each: number, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  times.push(((performance.now() - began) * 1_000) / each);
  return result;
}

/** Microseconds of each, the median of many rounds, while so many turns wait. */
async function measure(folder: string, shape: Shape, turns: number): Promise<Times> {
  const { store, admit, admitOther, now } = await openQueue(folder, shape);
  const perTurn = shape === "of one person" ? MAX_TURN_TEXTS : 1;
  for (let left = turns * perTurn; left > 0; left -= 256) await admit(Math.min(256, left));
  const times: Record<keyof Times, number[]> = {
    claim: [],
    "claim for another agent, this one hanging": [],
    "next due": [],
    end: [],
    admission: [],
  };
  const claim = (held: number): Promise<readonly ClaimedTurn[]> =>
    store.claimTurns({
      now: now(),
      lease: 60_000,
      limit: TURN_SLOTS - held,
      channels: [CHANNEL],
      held: new Map([[AGENT, held]]),
    });
  const end = ({ turn }: ClaimedTurn) =>
    store.finishTurn({
      turnId: turn.id,
      end: { kind: "done" },
      replies: [],
      held: "keep",
      rerouted: [],
      at: now(),
    });
  for (let round = 0; round < ROUNDS; round++) {
    await admitOther();
    const [other] = await timed(times["claim for another agent, this one hanging"], 1, () => claim(TOGETHER));
    if (other?.turn.agent !== OTHER_AGENT) throw new Error("the other agent was given nothing");
    await end(other);
    const claimed = await timed(times.claim, shape === "of one person" ? 1 : TOGETHER, () => claim(0));
    await timed(times["next due"], 1, () => store.nextTurnDue([CHANNEL], [AGENT]));
    await timed(times.end, claimed.length, () => Promise.all(claimed.map(end)));
    await timed(times.admission, TOGETHER, () => admit(TOGETHER));
  }
  await store.close();
  return Object.fromEntries(MEASURED.map((name) => [name, median(times[name])])) as Times;
}

async function run(args: readonly string[]): Promise<boolean> {
  const many = count(args, "--turns", 100_000);
  return inFolder(args.includes("--dir") ? args[args.indexOf("--dir") + 1] : undefined, async (folder) => {
    const shapes: readonly Shape[] = ["of as many people", "of one person"];
    const found: { readonly shape: Shape; readonly few: Times; readonly many: Times }[] = [];
    for (const [i, shape] of shapes.entries()) {
      // A twentieth of the turns: each has twenty texts.
      const most = shape === "of one person" ? many / MAX_TURN_TEXTS : many;
      const few = shape === "of one person" ? FEW / MAX_TURN_TEXTS : FEW;
      await measure(join(folder, `warm-${i}`), shape, few);
      found.push({
        shape,
        few: await measure(join(folder, `few-${i}`), shape, few),
        many: await measure(join(folder, `many-${i}`), shape, most),
      });
    }
    const rows = found.flatMap(({ shape, few, many }) =>
      MEASURED.map((name) => ({ name: `${name}, ${shape}`, few: few[name], many: many[name] })),
    );
    return publish(args, {
      bench: "waiting",
      figures: rows.map(({ name, few, many }) => ({
        what: `waiting: ${name}`,
        target: `at most ${MAX_GROWTH} ×`,
        reached: `${(many / few).toFixed(2)} ×`,
        met: many / few <= MAX_GROWTH,
      })),
      details: { turns: many, rows },
      text: [
        `${FEW} and ${many} texts waiting, microseconds`,
        "",
        table(
          ["", String(FEW), String(many), "growth"],
          rows.map(({ name, few, many }) => [
            name,
            few.toFixed(0),
            many.toFixed(0),
            `${(many / few).toFixed(2)} ×`,
          ]),
        ),
        "",
      ].join("\n"),
    });
  });
}

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
