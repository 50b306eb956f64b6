/**
 * How fast a waiting call is woken, and who gets a code that many wait for. The real service in a process of its
 * own, on a disk that syncs, behind a simulated carrier; its webhooks are posted and signed here.
 *
 *   bun run bench waits             figures as tables
 *   bun run bench waits --json      the same as JSON; with a file's name, into that file
 *   bun run bench waits --rounds N  1,000 unless given
 *   bun run bench waits --dir PATH  where the data lies: on the disk to be measured
 *
 * A wait is timed from the sending of the signed webhook until the answer of `POST /api/v1/signals/await` is read:
 * request, signature, policy, annotation, commit, waking and answer, and this program's own share. Signing is
 * not in it.
 */

import { closeSync, fdatasyncSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { openSimulator } from "../src/app-simulator.ts";
import { systemClock } from "../src/system/clock.ts";
import { systemRandom } from "../src/system/files.ts";
import { parseForm } from "../src/twilio/form.ts";
import { sign } from "../src/twilio/signature.ts";
import { freePort } from "../test/support/free-port.ts";
import { inFolder } from "./processes.ts";
import { count, option, publish, type Spread, spread, table } from "./report.ts";

const ACCOUNT = `AC${"0".repeat(31)}1`;
const AUTH_TOKEN = "the-auth-token-of-the-bench";
const ADMIN_TOKEN = "the-admin-token-of-the-bench";
const NUMBER = "+15550100001";
const CHANNEL = "codes";

/** SPEC: a waiting call is woken after its code arrives, p99, ms. */
const TARGET = 20;
/** Rounds before the first that counts: the runtime compiles what runs often. */
const WARM_UP = 100;
const CALLERS = 10;
/** Older calls that wait for something else, so that the oldest call is not the oldest that matches. */
const OTHERS = 2;
/** Texts under way at once beside the codes, and the pause after each, ms. */
const FLOWS = 4;
const PAUSE = 20;
/** Nothing here takes longer than this, ms; a code nobody has got by then is lost. */
const PATIENCE = 10_000;

interface Answer {
  readonly status: "matched" | "timeout";
  readonly signal?: { readonly code?: string };
}

interface Service {
  /** Starts a wait; resolves with its answer and when that was read. */
  await(request: object, abort?: AbortSignal): Promise<{ readonly answer: Answer; readonly at: number }>;
  /** The `backfill` of every waiting watch, oldest first: here each call has its own, as a name. */
  waiting(): Promise<readonly string[]>;
  /** A signed webhook, ready to be sent; resolves with when its 200 was read. */
  text(from: string, body: string): () => Promise<number>;
  /** Resident memory of its process, MB. */
  memory(): Promise<number>;
  stop(): Promise<void>;
}

async function startService(folder: string): Promise<Service> {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const carrier = openSimulator(
    { host: "127.0.0.1", port: 0 },
    { accounts: [{ sid: ACCOUNT, authToken: AUTH_TOKEN, numbers: [NUMBER] }] },
    { clock: systemClock, fetch, random: systemRandom, log: silent },
  );
  const [publicPort, adminPort] = [freePort(), freePort()];
  const publicUrl = `http://127.0.0.1:${publicPort}`;
  const api = `http://127.0.0.1:${adminPort}/api/v1`;
  writeFileSync(
    join(folder, "sms.yaml"),
    JSON.stringify({
      server: { listen: `127.0.0.1:${publicPort}`, public_url: publicUrl },
      admin: { listen: `127.0.0.1:${adminPort}`, token: ADMIN_TOKEN },
      data_dir: "./data",
      twilio: {
        account_sid: ACCOUNT,
        auth_token: AUTH_TOKEN,
        api_url: carrier.url,
        messaging_url: carrier.url,
      },
      channels: { [CHANNEL]: { provider: "twilio", from_number: NUMBER, mode: "signal" } },
    }),
  );
  const main = new URL("../src/main.ts", import.meta.url).pathname;
  const child = Bun.spawn(["bun", main, "serve", "--config", join(folder, "sms.yaml")], {
    stdio: ["ignore", "ignore", Bun.file(join(folder, "log"))],
  });
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
  const get = async (path: string): Promise<Record<string, unknown>> => {
    const response = await fetch(`${api}${path}`, { headers, signal: AbortSignal.timeout(PATIENCE) });
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  };
  const stop = async () => {
    child.kill("SIGTERM");
    await child.exited;
    await carrier.close();
  };
  try {
    await until("the service", async () => {
      if (child.exitCode !== null) throw new Error(await Bun.file(join(folder, "log")).text());
      return get(`/channels/${CHANNEL}`).then(
        (channel) => channel.status === "connected",
        () => false,
      );
    });
  } catch (error) {
    await stop();
    throw error;
  }
  const webhookUrl = `${publicUrl}/webhooks/twilio/${CHANNEL}`;
  let sids = 0;
  return {
    async await(request, abort = new AbortController().signal) {
      const response = await fetch(`${api}/signals/await`, {
        method: "POST",
        headers,
        body: JSON.stringify({ timeout: "300s", ...request }),
        signal: abort,
      });
      const answer = (await response.json()) as Answer;
      const at = performance.now();
      if (!response.ok) throw new Error(`await: ${response.status} ${JSON.stringify(answer)}`);
      return { answer, at };
    },
    async waiting() {
      const { items } = (await get("/watches?state=pending&limit=200")) as { items: { backfill: string }[] };
      return items.map(({ backfill }) => backfill).reverse();
    },
    text(from, body) {
      const sid = `SM${(sids++).toString(16).padStart(32, "0")}`;
      const fields = {
        AccountSid: ACCOUNT,
        ApiVersion: "2010-04-01",
        Body: body,
        From: from,
        MessageSid: sid,
        NumMedia: "0",
        NumSegments: "1",
        SmsStatus: "received",
        To: NUMBER,
      };
      const form = new URLSearchParams(fields).toString();
      const signature = sign(AUTH_TOKEN, webhookUrl, parseForm(form));
      return async () => {
        const response = await fetch(webhookUrl, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature },
          body: form,
          signal: AbortSignal.timeout(PATIENCE),
        });
        await response.text();
        const at = performance.now();
        if (response.status !== 200) throw new Error(`the webhook was answered ${response.status}`);
        return at;
      };
    },
    async memory() {
      const status = await Bun.file(`/proc/${child.pid}/status`).text();
      return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1024);
    },
    stop,
  };
}

/** One wait and one code, again and again. */
async function oneWaiter(service: Service, rounds: number) {
  const woken: number[] = [];
  const answered: number[] = [];
  for (let round = -WARM_UP; round < rounds; round++) {
    const code = String(100_000 + WARM_UP + round);
    const wait = service.await({ channel: CHANNEL, from: "22000" });
    await until("the wait", async () => (await service.waiting()).length === 1);
    const send = service.text("22000", `${code} is your login code.`);
    const start = performance.now();
    const [{ answer, at }, accepted] = await within("the code", Promise.all([wait, send()]));
    if (answer.signal?.code !== code) throw new Error(`sent ${code}, got ${JSON.stringify(answer)}`);
    if (round < 0) continue;
    woken.push(at - start);
    answered.push(accepted - start);
  }
  return { woken: spread(woken), answered: spread(answered) };
}

/**
 * Ten calls wait, and two older ones for something else, while other texts flow. Each code must wake the oldest of
 * the ten and no other. Who got something calls again, so that ten wait for the next.
 */
async function tenWaiters(service: Service, rounds: number) {
  const over = new AbortController();
  const got = new Map<string, { readonly caller: number; readonly at: number }[]>();
  let flowed = 0;
  let onGot = () => {};

  /** Calls again and again. Its name is the seconds of its backfill, which the list of watches shows. */
  async function caller(name: number, filters: object): Promise<void> {
    while (!over.signal.aborted) {
      const request = { channel: CHANNEL, from: "33000", backfill: `${name}s`, ...filters };
      const { answer, at } = await service.await(request, over.signal);
      const code = answer.signal?.code;
      if (code === undefined) continue;
      got.set(code, [...(got.get(code) ?? []), { caller: name, at }]);
      onGot();
    }
  }
  async function flow(lane: number): Promise<void> {
    while (!over.signal.aborted) {
      const from = `+1555${lane}${String(flowed % 1_000_000).padStart(6, "0")}`;
      const code = 400_000 + (flowed % 100_000);
      flowed += 1;
      await service.text(from, flowed % 3 === 0 ? `Your code is ${code}.` : "See you at eight?")();
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }
  /** Names of the ten in the order in which they began to wait. */
  const order = async () => (await service.waiting()).map(Number.parseFloat).filter((name) => name > OTHERS);

  let failure: unknown;
  const running: Promise<void>[] = [];
  const run = (work: Promise<void>) =>
    running.push(
      work.catch((error: unknown) => {
        if (!over.signal.aborted) failure ??= error;
      }),
    );
  for (let i = 1; i <= OTHERS; i++) run(caller(i, { match: "never sent" }));
  await until("the others", async () => (await service.waiting()).length === OTHERS);
  for (let i = 0; i < CALLERS; i++) run(caller(111 + i, {}));
  for (let lane = 1; lane <= FLOWS; lane++) run(flow(lane));

  const started = performance.now();
  const woken: number[] = [];
  const codes: string[] = [];
  let wrong = 0;
  try {
    for (let round = -WARM_UP; round < rounds; round++) {
      let waiting: readonly number[] = [];
      await until("ten waiting calls", async () => {
        if (failure !== undefined) throw failure;
        waiting = await order();
        return waiting.length === CALLERS;
      });
      const code = String(100_000 + WARM_UP + round);
      codes.push(code);
      const taken = new Promise<void>((resolve) => {
        onGot = () => {
          if (got.has(code)) resolve();
        };
      });
      const send = service.text("33000", `${code} is your login code.`);
      const start = performance.now();
      await send();
      await within("a caller to get the code", taken).catch(() => {}); // counted below
      const [first] = got.get(code) ?? [];
      if (first === undefined) continue;
      if (first.caller !== waiting[0]) wrong += 1;
      if (round >= 0) woken.push(first.at - start);
    }
    await until("the last caller", async () => (await order()).length === CALLERS);
  } finally {
    over.abort();
    await Promise.all(running);
  }
  const seconds = (performance.now() - started) / 1000;
  return {
    rounds: codes.length,
    doubles: codes.filter((code) => (got.get(code)?.length ?? 0) > 1).length,
    losses: codes.filter((code) => !got.has(code)).length,
    /** Codes that went to a younger caller, or that nobody who got them had waited for. */
    misdirected: wrong + [...got.keys()].filter((code) => !codes.includes(code)).length,
    other_texts: flowed,
    other_texts_per_second: Math.round(flowed / seconds),
    woken: spread(woken),
  };
}

/** What the disk alone takes: 4 KiB appended and synced. */
function syncs(folder: string): Spread {
  const file = openSync(join(folder, "sync"), "a");
  const page = new Uint8Array(4096);
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    const start = performance.now();
    writeSync(file, page);
    fdatasyncSync(file);
    times.push(performance.now() - start);
  }
  closeSync(file);
  return spread(times);
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited ${PATIENCE} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE} ms in vain for ${what}`)), PATIENCE);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Publishes the figures; true when the target is reached and every code went where it should. */
async function run(args: readonly string[]): Promise<boolean> {
  const rounds = count(args, "--rounds", 1_000);
  return inFolder(option(args, "--dir"), async (folder) => {
    const sync = syncs(folder);
    const service = await startService(folder);
    try {
      const one = await oneWaiter(service, rounds);
      const ten = await tenWaiters(service, rounds);
      const memory = await service.memory();
      return publish(args, {
        bench: "waits",
        figures: [
          {
            what: "waiting call woken after its code arrives, p99, ms",
            target: `at most ${TARGET}`,
            reached: one.woken.p99.toFixed(1),
            met: one.woken.p99 <= TARGET,
          },
          {
            what: "ten calls wait for one code: doubles, losses, not to the oldest that matches",
            target: "none",
            reached: `${ten.doubles}, ${ten.losses}, ${ten.misdirected} of ${ten.rounds}`,
            met: ten.doubles + ten.losses + ten.misdirected === 0,
          },
        ],
        details: { unit: "ms", sync, one, ten, memory_mb: memory },
        text: textOf(sync, one, ten, memory),
      });
    } finally {
      await service.stop();
    }
  });
}

function textOf(
  sync: Spread,
  one: Awaited<ReturnType<typeof oneWaiter>>,
  ten: Awaited<ReturnType<typeof tenWaiters>>,
  memory: number,
): string {
  const line = (name: string, { count: times, ...ms }: Spread) => [
    name,
    String(times),
    ...Object.values(ms).map((time) => time.toFixed(2)),
  ];
  return [
    "From sending the webhook until the waiting call's answer is read, ms",
    table(
      ["", "rounds", "p50", "p95", "p99", "max"],
      [
        line("one call waits", one.woken),
        line("  of which: the webhook's 200 is read", one.answered),
        line("ten calls wait, other texts flow", ten.woken),
        line("for comparison: 4 KiB synced to this disk", sync),
      ],
    ),
    "",
    `${ten.rounds} codes for ten waiting calls among ${ten.other_texts} other texts ` +
      `(${ten.other_texts_per_second} a second); ${memory} MB resident`,
    "",
  ].join("\n");
}

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
