/**
 * Far more texts than the agent can take: 200 people send 20,000 texts as fast as they are accepted, one of them a
 * tenth of all, to an `http` agent that takes 500 ms for each answer. Meanwhile codes arrive for waiting calls, and the
 * carrier posts a callback for everything that is sent.
 *
 *   bun run bench overload [--texts N] [--json [FILE]] [--dir PATH] [--binary FILE]
 *
 * Memory is compared between the last tenth of the accepting and the last tenth of the working off: what waits, waits
 * on disk. Fairness: how long the texts of all others take to be answered, from the sending of the webhook; of these
 * people 64 are served at a time, so one round takes 1.6 s. `debounce` is 0.
 */
import { join } from "node:path";
import { openFakeCarrier } from "./carrier.ts";
import { type Connection, connect, drive } from "./connection.ts";
import { ADMIN_TOKEN, buildBinary, inFolder, pinLoad, type Service, startService } from "./processes.ts";
import { count, hundredths, median, option, publish, spread, table } from "./report.ts";
import { bodyOf, createSigner, freshSid, type Signer, senderOf } from "./webhooks.ts";

const SENDERS = 200;
/** Every tenth text is of this one. */
const FLOODER = senderOf(0);
const BANK = "+15559000000";
const AGENT_TIME = 500;
const CONNECTIONS = 32;
/** Between two codes, ms. */
const CODE_EVERY = 250;
const SAMPLE = 200;
/** The service closes connections that are silent for 10 s. */
const KEPT_OPEN = 5_000;
/** While more comes than one core can take; the carrier would give up after 15 s. */
const MAX_WEBHOOK_P99 = 1_000;
const MAX_WAIT_P99 = 1_000;
const MAX_GROWTH = 1.2;
/** Three rounds: the one that runs, the one that was about to, and its own. */
const MAX_ANSWER_P99 = 5_000;

interface Served {
  readonly from: string;
  readonly texts: readonly number[];
  readonly at: number;
}

/** An agent that takes its time, and remembers whom it was asked for. */
function openSlowAgent() {
  const served: Served[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      const { from, text } = fields(await request.json());
      await Bun.sleep(AGENT_TIME);
      served.push({ from: String(from), texts: textsIn(String(text)), at: performance.now() });
      return Response.json({ reply: "fine" });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, served, close: () => server.stop(true) };
}

/** Which texts a turn has gathered, by the number that each body ends in. */
function textsIn(text: string): readonly number[] {
  return text.split("\n").map((line) => Number(/\((\d+)\)$/.exec(line)?.[1]));
}

function fields(json: unknown): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(Object(json)));
}

/** Waits for a code, has it texted, and answers how long the waiter waited from then on, ms. */
async function waitForCode(service: Service, signer: Signer, connection: Connection, nth: number) {
  const waiting = fetch(`http://127.0.0.1:${service.adminPort}/api/v1/signals/await`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ from: BANK, timeout: "30s", backfill: "10s" }),
  });
  await Bun.sleep(CODE_EVERY);
  const sent = performance.now();
  const code = String(100_000 + nth);
  const { status } = await connection.send(signer.inbound(freshSid(), BANK, `Your code is ${code}`));
  if (status !== 200) throw new Error(`a code was answered ${status}`);
  const answer = fields(await (await waiting).json());
  if (fields(answer.signal).code !== code) throw new Error(`a waiter got ${JSON.stringify(answer)}`);
  return performance.now() - sent;
}

async function overload(folder: string, binary: string, texts: number) {
  const agent = openSlowAgent();
  const callbacks: number[] = [];
  let post: (callback: string, sid: string, to: string) => Promise<void> = async () => {};
  const failures: unknown[] = [];
  const carrier = openFakeCarrier(({ callback, sid, to }) => {
    post(callback, sid, to).catch((error: unknown) => failures.push(error));
  });
  const service = await startService({
    program: [binary],
    folder,
    apiUrl: carrier.url,
    channel: { agent: "slow", debounce: "0s" },
    agents: { slow: { type: "http", url: agent.url } },
  });
  const signer = createSigner(service.publicUrl);
  const idle: Connection[] = [];
  post = async (callback, sid, to) => {
    let connection = idle.pop();
    while (connection !== undefined && performance.now() - connection.usedAt > KEPT_OPEN) {
      connection.close();
      connection = idle.pop();
    }
    connection ??= await connect(service.port);
    const sent = performance.now();
    const { status, at } = await connection.send(signer.status(callback, sid, to, "delivered"));
    idle.push(connection);
    if (status !== 204) throw new Error(`a callback was answered ${status}`);
    callbacks.push(at - sent);
  };
  const memory: { readonly at: number; readonly mb: number }[] = [];
  const sampling = setInterval(() => {
    memory.push({ at: performance.now(), mb: service.memory() });
  }, SAMPLE);
  const over = { yet: false };
  try {
    const codes = (async () => {
      const waits: number[] = [];
      const connection = await connect(service.port);
      for (let nth = 0; !over.yet; nth++) waits.push(await waitForCode(service, signer, connection, nth));
      connection.close();
      return waits;
    })();
    codes.catch((error: unknown) => failures.push(error));
    const answered = () => agent.served.reduce((sum, { texts }) => sum + texts.length, 0);
    const requests = Array.from({ length: texts }, (_, i) => {
      const from = i % 10 === 0 ? FLOODER : senderOf(1 + (i % (SENDERS - 1)));
      return signer.inbound(freshSid(), from, bodyOf(i));
    });
    const began = performance.now();
    const accepted = await drive(service.port, CONNECTIONS, requests);
    const acceptedAt = performance.now();
    const waitingThen = texts - answered();
    while (answered() < texts) {
      if (failures.length > 0) throw failures[0];
      await Bun.sleep(SAMPLE);
    }
    const done = performance.now();
    over.yet = true;
    const waits = await codes;
    if (failures.length > 0) throw failures[0];
    const tenth = (from: number, to: number) =>
      median(memory.filter(({ at }) => at >= to - (to - from) / 10 && at <= to).map(({ mb }) => mb));
    return {
      accepted,
      waitingThen,
      seconds: (done - began) / 1000,
      waits,
      callbacks,
      served: agent.served,
      whenAccepted: tenth(began, acceptedAt),
      atTheEnd: tenth(acceptedAt, done),
      peak: Math.max(...memory.map(({ mb }) => mb)),
    };
  } finally {
    over.yet = true;
    clearInterval(sampling);
    await service.stop();
    await carrier.close();
    await agent.close();
  }
}

/** From the sending of each text to the answer of the agent that was given it, ms. */
function answerTimes(served: readonly Served[], sentAt: Float64Array, flooder: boolean) {
  return spread(
    served
      .filter(({ from }) => (from === FLOODER) === flooder)
      .flatMap(({ texts, at }) => texts.map((text) => at - (sentAt[text] ?? Number.NaN))),
  );
}

async function run(args: readonly string[]): Promise<boolean> {
  const texts = count(args, "--texts", 20_000);
  pinLoad();
  return inFolder(option(args, "--dir"), async (folder) => {
    const binary = option(args, "--binary") ?? (await buildBinary(folder));
    const found = await overload(join(folder, "overload"), binary, texts);
    const webhook = spread(found.accepted.latencies);
    const wait = spread(found.waits);
    const callback = spread(found.callbacks);
    const growth = found.atTheEnd / found.whenAccepted;
    const others = answerTimes(found.served, found.accepted.sentAt, false);
    const flooder = answerTimes(found.served, found.accepted.sentAt, true);
    const line = (name: string, { p50, p95, p99, max }: typeof wait) => [
      name,
      ...[p50, p95, p99, max].map((time) => time.toFixed(1)),
    ];
    return publish(args, {
      bench: "overload",
      figures: [
        {
          what: "overload: webhook answered, p99, ms",
          target: `at most ${MAX_WEBHOOK_P99}`,
          reached: webhook.p99.toFixed(0),
          met: webhook.p99 <= MAX_WEBHOOK_P99,
        },
        {
          what: "overload: waiting call woken, p99, ms",
          target: `at most ${MAX_WAIT_P99}`,
          reached: wait.p99.toFixed(0),
          met: wait.p99 <= MAX_WAIT_P99,
        },
        {
          what: "overload: memory at the end, against when all was accepted",
          target: `at most ${MAX_GROWTH} ×`,
          reached: `${growth.toFixed(2)} ×`,
          met: growth <= MAX_GROWTH,
        },
        {
          what: "overload: text answered beside one who floods, p99, ms",
          target: `at most ${MAX_ANSWER_P99}`,
          reached: others.p99.toFixed(0),
          met: others.p99 <= MAX_ANSWER_P99,
        },
      ],
      details: {
        texts,
        perSecond: Math.round(found.accepted.perSecond),
        waitingWhenAccepted: found.waitingThen,
        seconds: hundredths(found.seconds),
        turns: found.served.length,
        webhook,
        wait,
        callback,
        memory: { whenAccepted: found.whenAccepted, atTheEnd: found.atTheEnd, peak: found.peak },
        others,
        flooder,
      },
      text: [
        `${texts} texts of ${SENDERS} people, an agent that takes ${AGENT_TIME} ms`,
        `  ${found.accepted.perSecond.toFixed(0)} accepted a second; ${found.waitingThen} waited when the last was accepted; all answered after ${found.seconds.toFixed(1)} s, in ${found.served.length} turns`,
        `  memory, MB: ${found.whenAccepted.toFixed(0)} when all was accepted, ${found.atTheEnd.toFixed(0)} at the end, at most ${found.peak.toFixed(0)}`,
        "",
        table(
          ["ms", "p50", "p95", "p99", "max"],
          [
            line("a webhook is answered", webhook),
            line("a waiter has its code", wait),
            line("a callback is recorded", callback),
            line("a text is answered, of all but one", others),
            line("a text is answered, of the one who floods", flooder),
          ],
        ),
        "",
      ].join("\n"),
    });
  });
}

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
