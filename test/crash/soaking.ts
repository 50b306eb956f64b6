import { statSync } from "node:fs";
import { type Accounts, balance, type SentText } from "./accounts.ts";
import type { CarriedText } from "./carrier.ts";
import { integrityOf, readUnfinished, readWritten } from "./database.ts";
import type { Dice } from "./dice.ts";
import type { Violation } from "./findings.ts";
import { createLatencies, type Latencies } from "./latencies.ts";
import { startLoad } from "./load.ts";
import { unexpectedErrors } from "./log-errors.ts";
import { residentMemory } from "./processes.ts";
import { openRig, type Rig, type RigChannel } from "./rig.ts";

/** The service under a steady load for a long time, with faults and without kills. */
export interface Soak {
  readonly accounts: Accounts;
  readonly violations: readonly Violation[];
  /** Texts per second that the carrier was given. */
  readonly rate: number;
  readonly faults: number;
  readonly answers: ReadonlyMap<number, number>;
  /** From the carrier's call of the webhook to the 200. */
  readonly latencies: Latencies;
  readonly memory: readonly MemorySample[];
  /** Means of the first and of the last five minutes (of a third, where it is shorter), bytes. */
  readonly firstMemory: number;
  readonly lastMemory: number;
  /** Bytes of the database with its log, at the end. */
  readonly databaseSize: number;
  readonly seconds: number;
}

export interface MemorySample {
  /** Since the load began. */
  readonly seconds: number;
  readonly bytes: number;
}

export interface SoakOptions {
  readonly program: string;
  readonly folder: string;
  readonly dice: Dice;
  readonly minutes: number;
  readonly rate: number;
  readonly note: (line: string) => void;
}

const ECHO: RigChannel = {
  name: "echo-1",
  // Numbers outside of North America may send ten segments a second: the pace is not what is looked at here.
  number: "+441632960001",
  mode: "message",
  inbound: "webhook",
  agent: "echo",
  debounce: "0s",
};
const CHANNELS: readonly RigChannel[] = [
  ECHO,
  { ...ECHO, name: "echo-2", number: "+441632960002" },
  { ...ECHO, name: "echo-3", number: "+441632960003" },
  { ...ECHO, name: "hooked", number: "+441632960004", agent: "hook", debounce: "50ms" },
];

const SAMPLE = 5_000;
const EARLY_AND_LATE = 300;
/**
 * What a phone got is collected this long after its last text, ms, before the carrier forgets it: it keeps 200,000 texts.
 * A text whose webhook was lost may be found in the carrier's list only just before it is forgotten there, so a phone is
 * asked once more after as long again.
 */
const COLLECT_AFTER = 430_000;
const CARRIER_KEEPS = 200_000;
/** What is unclear at the end is settled within this, ms. */
const PATIENCE = 420_000;

export async function soak(options: SoakOptions): Promise<Soak> {
  const { dice, note } = options;
  const latencies = createLatencies();
  let calm = false;
  const rig = await openRig({
    program: options.program,
    folder: options.folder,
    channels: CHANNELS,
    dice,
    moody: 0.02,
    lose: () => (calm ? 0 : 0.002),
    logLevel: "warn",
    // A consumer is told of one event after the other, in order: far fewer than 200 a second when it is slow.
    consumer: false,
    answered: ({ status, took }) => {
      if (status === 200) latencies.add(took);
    },
  });
  try {
    const service = rig.start();
    await rig.ready(service);
    const collected = createCollector(rig);
    const load = startLoad({
      carrier: rig.carrier,
      dice,
      channels: CHANNELS.map((channel) => [channel.agent === "echo" ? 3 : 1, channel] as const),
      rate: options.rate,
      faults: 0.06,
      unclear: 0.05,
      stopping: 0.01,
      phones: 1_000,
      textsPerPhone: 8,
      sent: collected.sent,
    });
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    const memory: MemorySample[] = [];
    const sample = () => {
      const bytes = residentMemory(service.pid);
      if (bytes !== undefined) memory.push({ seconds: seconds(), bytes });
    };
    const end = options.minutes * 60;
    const collectAfter = Math.min(COLLECT_AFTER, (0.9 * CARRIER_KEEPS * 1000) / (2 * options.rate));
    while (seconds() < end && service.running()) {
      await Bun.sleep(Math.min(SAMPLE, Math.max(0, (end - seconds()) * 1000)));
      sample();
      await collected.collect(collectAfter);
      if (memory.length % 12 === 0)
        note(
          `${Math.round(seconds())} s: ${load.texts.length} texts, ${Math.round((memory.at(-1)?.bytes ?? 0) / 2 ** 20)} MiB`,
        );
    }
    await load.stop();
    const rate = load.texts.length / seconds();
    calm = true;
    await rig.carrier.clearFaults();
    const violations: Violation[] = [];
    if (!service.running())
      violations.push({ rule: "ended by itself", about: service.printed().slice(-500) });
    note("the load has ended; what is left is finished now");
    const left = await finished(rig, load.texts.length + load.stops.size, service.running);
    if (left !== "") note(`not everything was finished: ${left}`);
    await collected.collect(0);
    const code = await rig.stop(service);
    if (code !== 0) violations.push({ rule: "ended badly", about: `exit ${code} on SIGTERM` });
    const sound = integrityOf(rig.database);
    if (sound !== "ok") violations.push({ rule: "damaged", about: sound });
    violations.push(...unexpectedErrors(`${rig.folder}/service.log`));
    const accounts = balance({
      texts: load.texts,
      acknowledged: rig.acknowledged,
      carried: collected.carried,
      ...readWritten(rig.database),
      runs: rig.farEnds.runs,
      reminders: rig.farEnds.reminders,
      stopped: new Map(
        [...load.stops].map(([phone, sid]) => [phone, rig.acknowledged.get(sid) ?? Number.POSITIVE_INFINITY]),
      ),
      claims: new Map(),
      codes: [],
      settled: true,
    });
    const span = Math.min(EARLY_AND_LATE, end / 3);
    return {
      accounts,
      violations: [...violations, ...accounts.violations],
      rate,
      faults: load.faults(),
      answers: rig.answers,
      latencies,
      memory,
      firstMemory: mean(memory.filter((at) => at.seconds <= span)),
      lastMemory: mean(memory.filter((at) => at.seconds >= end - span)),
      databaseSize: sizeOf(rig.database) + sizeOf(`${rig.database}-wal`),
      seconds: seconds(),
    };
  } finally {
    await rig.close();
  }
}

/** Fetches what phones got while the carrier still knows it: in part while they go on texting, and at the end. */
function createCollector(rig: Rig) {
  const carried = new Map<string, CarriedText[]>();
  const waiting = new Map<string, { last: number; uncollected: number }>();
  const late = new Map<string, number>();

  async function fetchOf(phone: string): Promise<void> {
    const fresh = new Map((await rig.carrier.sentTo(phone)).map((text) => [text.sid, text]));
    const kept = (carried.get(phone) ?? []).filter(({ sid }) => !fresh.has(sid));
    carried.set(phone, [...kept, ...fresh.values()]);
  }

  return {
    carried,
    sent({ phone, at }: SentText) {
      const known = waiting.get(phone);
      if (known === undefined) waiting.set(phone, { last: at, uncollected: at });
      else known.last = at;
    },
    /** Of every phone whose last text is older than `age` ms, or twice that, and half-way of those that go on texting. */
    async collect(age: number) {
      const now = Date.now();
      for (const [phone, last] of late) {
        if (last > now - 2 * age) continue;
        await fetchOf(phone);
        late.delete(phone);
      }
      for (const [phone, { last, uncollected }] of waiting) {
        if (last <= now - age) {
          await fetchOf(phone);
          waiting.delete(phone);
          if (age > 0) late.set(phone, last);
        } else if (uncollected <= now - age / 2) {
          await fetchOf(phone);
          waiting.set(phone, { last, uncollected: now });
        }
      }
    },
  };
}

/** Waits until nothing is left to do; answers what is when the time is over, else "". */
async function finished(rig: Rig, expected: number, running: () => boolean): Promise<string> {
  const until = Date.now() + PATIENCE;
  while (running()) {
    const { inbound, turns, outbox, events } = readUnfinished(rig.database);
    if (inbound >= expected && turns + outbox + events === 0) return "";
    if (Date.now() > until)
      return `${expected - inbound} texts to come, ${turns} turns, ${outbox} sends, ${events} events`;
    await Bun.sleep(1_000);
  }
  return "the service has ended";
}

function mean(samples: readonly MemorySample[]): number {
  return samples.reduce((sum, { bytes }) => sum + bytes, 0) / Math.max(1, samples.length);
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
