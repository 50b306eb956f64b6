/**
 * Whole turns: a signed webhook in, the echo agent, the call of the carrier's API, and the carrier's status callback
 * recorded. The compiled binary on one core; texting, the carrier and its callbacks on the other.
 *
 *   bun run bench turns [--turns N] [--delays N] [--json [FILE]] [--dir PATH] [--binary FILE]
 *
 * Throughput: 64 people at a time, each texting again when the callback of the answer is recorded. Delay: texts come
 * at a steady 50 a second; a delay runs from the sending of the webhook until the carrier has read the call of its
 * API. The echo agent takes no time of its own; nothing is subtracted for it. `debounce` is 0.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { openFakeCarrier, type Sent } from "./carrier.ts";
import { type Connection, connect } from "./connection.ts";
import { buildBinary, CAN_PIN, inFolder, pinLoad, type Service, startService } from "./processes.ts";
import { readProfile, stageTable, TURN_STAGES } from "./profile.ts";
import { count, hundredths, median, option, publish, spread, table } from "./report.ts";
import { bodyOf, createSigner, freshSid, type Signer, senderOf } from "./webhooks.ts";

const AT_ONCE = 64;
const PEOPLE = 2_000;
const RATE = 50;
const ROUNDS = 5;
const MIN_PER_SECOND = 500;
const MAX_MEDIAN = 5;
const MAX_P99 = 25;
/** The service closes connections that are silent for 10 s. */
const KEPT_OPEN = 5_000;
/** Nothing takes longer, ms. */
const PATIENCE = 20_000;

/** Texts in, and learns what became of them. */
export interface Texting {
  /** Resolves when the callback of the answer is recorded. */
  turn(): Promise<{
    readonly sent: number;
    readonly admitted: number;
    readonly called: number;
    readonly done: number;
  }>;
}

async function openTexting(
  service: Service,
  signer: Signer,
  onSent: (listener: (sent: Sent) => void) => void,
) {
  const waiting = new Map<string, (sent: Sent & { readonly done: number }) => void>();
  const idle: Connection[] = [];
  const borrow = async (): Promise<Connection> => {
    for (let found = idle.pop(); found !== undefined; found = idle.pop()) {
      if (performance.now() - found.usedAt < KEPT_OPEN) return found;
      found.close();
    }
    return connect(service.port);
  };
  let texts = 0;
  onSent(async (sent) => {
    const connection = await borrow();
    const { status, at } = await connection.send(
      signer.status(sent.callback, sent.sid, sent.to, "delivered"),
    );
    idle.push(connection);
    if (status !== 204) throw new Error(`a callback was answered ${status}`);
    waiting.get(sent.to)?.({ ...sent, done: at });
    waiting.delete(sent.to);
  });
  const texting: Texting = {
    async turn() {
      const text = texts++;
      const from = senderOf(text % PEOPLE);
      const request = signer.inbound(freshSid(), from, bodyOf(text));
      const over = new Promise<Sent & { readonly done: number }>((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`no answer to ${from} in ${PATIENCE} ms`)), PATIENCE);
        waiting.set(from, (end) => {
          clearTimeout(late);
          resolve(end);
        });
      });
      const connection = await borrow();
      const sent = performance.now();
      const { status, at } = await connection.send(request);
      idle.push(connection);
      if (status !== 200) throw new Error(`a webhook was answered ${status}`);
      const { at: called, done } = await over;
      return { sent, admitted: at, called, done };
    },
  };
  return texting;
}

/** Turns per second, over `turns` of them. */
export async function throughput(texting: Texting, turns: number): Promise<number> {
  let left = turns;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await texting.turn();
    }),
  );
  return turns / ((performance.now() - started) / 1000);
}

async function delays(texting: Texting, turns: number) {
  const started = performance.now();
  const all: ReturnType<Texting["turn"]>[] = [];
  for (let i = 0; i < turns; i++) {
    await Bun.sleep(Math.max(0, started + (i * 1000) / RATE - performance.now()));
    all.push(texting.turn());
  }
  return Promise.all(all);
}

/** Mean times between what the database says of each answer, ms; its clock ticks in milliseconds. */
function timelineOf(folder: string): Readonly<Record<string, number>> {
  const db = new Database(join(folder, "data", "sms-agent.db"), { readonly: true });
  try {
    const at = (message: string, state: string) =>
      `(SELECT min(at) FROM message_events WHERE message = ${message}.seq AND state = '${state}')`;
    const row = db
      .query<Record<string, number>, []>(
        `SELECT avg(i_handled - i_at) AS "admitted to the turn's end", avg(sending - i_handled) AS "to the send's claim",
           avg(queued - sending) AS "call of the API, settled", avg(delivered - queued) AS "to the callback recorded"
         FROM (SELECT i.created_at AS i_at, ${at("i", "handled")} AS i_handled, ${at("o", "sending")} AS sending,
             ${at("o", "queued")} AS queued, ${at("o", "delivered")} AS delivered
           FROM messages o JOIN messages i ON i.turn_id = o.turn_id AND i.direction = 'inbound'
           WHERE o.direction = 'outbound' AND o.state = 'delivered' ORDER BY o.seq DESC LIMIT 1000)`,
      )
      .get();
    return Object.fromEntries(Object.entries(row ?? {}).map(([name, value]) => [name, hundredths(value)]));
  } finally {
    db.close();
  }
}

/** Runs the service with a carrier that posts a callback for everything it is given. */
export async function withService<T>(
  folder: string,
  program: readonly string[],
  work: (service: Service, texting: Texting) => Promise<T>,
): Promise<T> {
  let listener: (sent: Sent) => void = () => {};
  const carrier = openFakeCarrier((sent) => listener(sent));
  try {
    const service = await startService({ program, folder, apiUrl: carrier.url, channel: { debounce: "0s" } });
    try {
      const texting = await openTexting(service, createSigner(service.publicUrl), (wanted) => {
        listener = wanted;
      });
      return await work(service, texting);
    } finally {
      await service.stop();
    }
  } finally {
    await carrier.close();
  }
}

async function run(args: readonly string[]): Promise<boolean> {
  const turns = count(args, "--turns", 3_000);
  pinLoad();
  return inFolder(option(args, "--dir"), async (folder) => {
    const binary = option(args, "--binary") ?? (await buildBinary(folder));
    const measured = await withService(join(folder, "measured"), [binary], async (service, texting) => {
      await throughput(texting, turns);
      const rounds: { perSecond: number; cpu: number; load: number }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const cpu = service.cpu();
        const load = process.cpuUsage();
        const perSecond = await throughput(texting, turns);
        const own = process.cpuUsage(load);
        rounds.push({
          perSecond,
          cpu: ((service.cpu() - cpu) * 1000) / turns,
          load: (own.user + own.system) / turns,
        });
      }
      const slow = await delays(texting, count(args, "--delays", 1_000));
      return { rounds, slow: slow.slice(RATE), timeline: timelineOf(join(folder, "measured")) };
    });
    const stages = args.includes("--no-profile")
      ? undefined
      : await readProfile(join(folder, "profile"), TURN_STAGES, turns, (program) =>
          withService(join(folder, "profiled"), program, async (_, texting) => {
            await throughput(texting, turns);
          }),
        );
    const perSecond = median(measured.rounds.map((round) => round.perSecond));
    const cpu = Math.round(median(measured.rounds.map((round) => round.cpu)));
    const load = Math.round(median(measured.rounds.map((round) => round.load)));
    const delay = spread(measured.slow.map(({ sent, called }) => called - sent));
    const admitted = spread(measured.slow.map(({ sent, admitted }) => admitted - sent));
    const whole = spread(measured.slow.map(({ sent, done }) => done - sent));
    const line = (name: string, { p50, p95, p99, max }: typeof delay) => [
      name,
      ...[p50, p95, p99, max].map((time) => time.toFixed(2)),
    ];
    return publish(args, {
      bench: "turns",
      figures: [
        {
          what: "whole turns per second on one core",
          target: `at least ${MIN_PER_SECOND}`,
          reached: perSecond.toFixed(0),
          met: CAN_PIN && perSecond >= MIN_PER_SECOND,
        },
        {
          what: "delay added to a turn, median, ms",
          target: `at most ${MAX_MEDIAN}`,
          reached: delay.p50.toFixed(1),
          met: delay.p50 <= MAX_MEDIAN,
        },
        {
          what: "delay added to a turn, p99, ms",
          target: `at most ${MAX_P99}`,
          reached: delay.p99.toFixed(1),
          met: delay.p99 <= MAX_P99,
        },
      ],
      details: {
        turnsPerSecond: measured.rounds.map((round) => Math.round(round.perSecond)),
        serviceMicroseconds: cpu,
        loadMicroseconds: load,
        atOnce: AT_ONCE,
        rate: RATE,
        delay,
        admitted,
        whole,
        timeline: measured.timeline,
        stages,
      },
      text: [
        `Whole turns, ${AT_ONCE} people at a time, median of ${ROUNDS} rounds of ${turns}${CAN_PIN ? "" : " (not on one core: there is no taskset, or one core only)"}`,
        `  ${perSecond.toFixed(0)} turns a second; ${cpu} µs of CPU each in the service; the load and the carrier took ${load} µs each on their own core, and could do ${Math.round(1e6 / load)} a second`,
        "",
        `At ${RATE} texts a second, ms from the sending of the webhook`,
        table(
          ["until", "p50", "p95", "p99", "max"],
          [
            line("the webhook's 200 is read", admitted),
            line("the carrier has the call of its API", delay),
            line("the callback is recorded", whole),
          ],
        ),
        `  of which, by the database: ${Object.entries(measured.timeline)
          .map(([name, ms]) => `${name} ${ms}`)
          .join(", ")}`,
        ...(stages === undefined ? [] : ["", stageTable("µs of the service's thread per turn", stages)]),
        "",
      ].join("\n"),
    });
  });
}

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
