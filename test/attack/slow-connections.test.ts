import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import {
  ADMIN_TOKEN,
  answers,
  head,
  type Piece,
  type Spoken,
  speak,
  startVictim,
  statusOf,
  type Victim,
} from "./sockets.ts";

setDefaultTimeout(60_000);

/** Well beyond what the listeners grant: 12 s for the first request, 10 s for each that follows. */
const PATIENCE = 25_000;
const FORM = "Content-Type: application/x-www-form-urlencoded";

let sandbox: Sandbox;
let victim: Victim;

beforeAll(async () => {
  sandbox = await openSandbox();
  victim = await startVictim(sandbox);
});

afterAll(() => sandbox.close());

/** One piece each second, for as long as anybody listens. */
function dribbled(first: string, drop: string): readonly Piece[] {
  return [first, ...Array.from({ length: 30 }, () => [1_000, drop] as const).flat()];
}

/** What is tried, all at once; each begins when it is called. */
const attempts: Record<string, () => Promise<Spoken>> = {};

function attempt(name: string, pieces: (victim: Victim) => readonly Piece[], admin = false): void {
  attempts[name] = () =>
    speak(admin ? victim.adminUrl : victim.publicUrl, pieces(victim), { patience: PATIENCE });
}

const opening = (url: string) => `GET /healthz HTTP/1.1\r\nHost: ${new URL(url).host}\r\n`;
const BEARER = `Authorization: Bearer ${ADMIN_TOKEN}`;
const WEBHOOK = "POST /webhooks/twilio/sms";

attempt("that say nothing", () => []);
attempt("that say nothing to the admin listener", () => [], true);
attempt("whose headers never end", ({ publicUrl }) => dribbled(opening(publicUrl), "X: y\r\n"));
attempt(
  "whose headers never end, on the admin listener",
  ({ adminUrl }) => dribbled(opening(adminUrl), "X: y\r\n"),
  true,
);
attempt("whose request line never ends", () => dribbled("GET /", "a"));
attempt("whose body never ends", ({ publicUrl }) =>
  dribbled(head(publicUrl, WEBHOOK, FORM, "Content-Length: 1000"), "a"),
);
attempt("whose chunks never end", ({ publicUrl }) =>
  dribbled(head(publicUrl, WEBHOOK, FORM, "Transfer-Encoding: chunked"), "1\r\na\r\n"),
);
attempt("whose body stops", ({ publicUrl }) => [head(publicUrl, WEBHOOK, FORM, "Content-Length: 10"), "abc"]);
attempt("with a body that nobody asked for and never ends", ({ publicUrl }) =>
  dribbled(head(publicUrl, "GET /healthz", "Content-Length: 1000"), "a"),
);
attempt(
  "without a credential and with a body that never ends, on the admin listener",
  ({ adminUrl }) => dribbled(head(adminUrl, "POST /api/v1/messages", "Content-Length: 1000"), "a"),
  true,
);
attempt("that stay after their answer", ({ publicUrl }) => [head(publicUrl, "GET /healthz")]);
attempt("that ask a second time and never end", ({ publicUrl }) => [
  head(publicUrl, "GET /healthz"),
  500,
  ...dribbled(opening(publicUrl), "X: y\r\n"),
]);
attempt(
  "that stay after their answer, on the admin listener",
  ({ adminUrl }) => [head(adminUrl, "GET /api/v1/channels", BEARER)],
  true,
);
attempt(
  "that ask a second time and never end, on the admin listener",
  ({ adminUrl }) => [
    head(adminUrl, "GET /api/v1/channels", BEARER),
    500,
    ...dribbled("GET /api/v1/channels HTTP/1.1\r\n", "X: y\r\n"),
  ],
  true,
);

/** Two that are slow with good reason, under way at the same time. */
function honest(): readonly [polled: Promise<Spoken>, uploaded: Promise<Spoken>] {
  const { adminUrl } = victim;
  const post = (body: string, pieces: readonly Piece[]) =>
    speak(
      adminUrl,
      [
        head(
          adminUrl,
          "POST /api/v1/signals/await",
          BEARER,
          "Content-Type: application/json",
          `Content-Length: ${body.length}`,
        ),
        ...pieces,
      ],
      { patience: PATIENCE, enough: /timeout"}/ },
    );
  const wait = JSON.stringify({ timeout: "15s" });
  const dribbling = JSON.stringify({ timeout: 0 });
  return [
    post(wait, [wait]),
    post(
      dribbling,
      [...dribbling].flatMap((letter) => [1_100, letter]),
    ),
  ];
}

describe("connections that are slow on purpose", () => {
  test.concurrent("are all cut off, while others are answered and a long poll and a slow upload are waited for", async () => {
    const running = Object.entries(attempts).map(([name, begin]) => ({ name, spoken: begin() }));
    const [polled, uploaded] = honest();
    expect(await answers(victim)).toBe(true);
    for (const { name, spoken } of running) {
      const { cutOff, ms } = await spoken;
      expect(cutOff, name).toBe(true);
      expect(ms, name).toBeLessThan(18_000);
    }
    expect(statusOf(await polled)).toBe(200);
    expect((await polled).ms).toBeGreaterThan(14_000);
    expect(statusOf(await uploaded)).toBe(200);
    expect(await answers(victim)).toBe(true);
  });
});

describe("more connections than there are file descriptors", () => {
  test.concurrent("are let go by themselves, and the service answers again without a restart", async () => {
    const small = await openSandbox();
    try {
      const limited = await startVictim(small, ["/bin/sh", "-c", 'ulimit -n 256; exec "$0" "$@"']);
      const { hostname, port } = new URL(limited.publicUrl);
      const flood = Array.from({ length: 400 }, () => connect(Number(port), hostname).on("error", () => {}));
      const open = () => readdirSync(`/proc/${limited.process.pid}/fd`).length;
      await until("the descriptors to be used up", () => (open() >= 250 ? true : undefined));
      await until("the flood to be let go", async () => (await answers(limited, 1_000)) || undefined, 40_000);
      for (const socket of flood) socket.destroy();
      const accepted = await fetch(`${limited.adminUrl}/api/v1/simulator/inbound`, {
        method: "POST",
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
        body: JSON.stringify({ channel: "sms", from: "+15557654321", body: "still there?" }),
      });
      expect(accepted.status).toBeLessThan(300);
      limited.process.kill("SIGTERM");
      expect((await limited.process.ended).code).toBe(0);
    } finally {
      await small.close();
    }
  });
});
