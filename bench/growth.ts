/**
 * How admission and the lists of the API fare when the database grows: the compiled binary with 1,000 messages and with
 * 1,000,000, asked the same in turns.
 *
 *   bun run bench growth [--messages N] [--rounds N] [--json [FILE]] [--dir PATH] [--binary FILE]
 *
 * Each question is asked over one connection, again and again; what counts is the ratio of the medians. Every list
 * route is asked for its first page, for one from the middle of the list, and with each of its filters. Admission is
 * a round of signed texts over 16 connections, by the time per text.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { writeCursor } from "../src/store/cursor.ts";
import { openFakeCarrier } from "./carrier.ts";
import { type Connection, connect, drive } from "./connection.ts";
import { copyDatabase } from "./database.ts";
import { ADMIN_TOKEN, buildBinary, inFolder, pinLoad, type Service, startService } from "./processes.ts";
import { count, hundredths, median, option, publish, table } from "./report.ts";
import { bodyOf, CHANNEL, createSigner, freshSid, senderOf } from "./webhooks.ts";

const MAX = 1.3;
const SMALL = 1_000;
const TEXTS = 1_000;
const CONNECTIONS = 16;
/** Repetitions of a question in a round. */
const ASKED = 15;
const LIMIT = 20;

/** The paths of one database: the same questions, each about rows of its own. */
function questionsOf(dataDir: string): ReadonlyMap<string, string> {
  const db = new Database(join(dataDir, "sms-agent.db"), { readonly: true });
  try {
    const one = (sql: string) => db.query<Record<string, number | string>, []>(sql).get() ?? {};
    const middle = Number(one("SELECT max(seq) / 2 AS seq FROM messages").seq);
    const row =
      one(`SELECT m.conversation_id AS conversation, c.last_at AS at, c.seq AS seq, c.address AS address
      FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE m.seq <= ${middle}
      ORDER BY m.seq DESC LIMIT 1`);
    const watch = Number(one("SELECT max(seq) / 2 AS seq FROM watches").seq ?? 1);
    const deep = `cursor=${writeCursor("m", [middle])}`;
    const deepConversation = `cursor=${writeCursor("c", [Number(row.at), Number(row.seq)])}`;
    const address = encodeURIComponent(String(row.address));
    const messages = {
      "": "",
      channel: `channel=${CHANNEL}`,
      "direction inbound": "direction=inbound",
      "direction outbound": "direction=outbound",
      "state delivered": "state=delivered",
      "state handled": "state=handled",
      "state failed (none)": "state=failed",
      "route message": "route=message",
      "route signal": "route=signal",
      "channel + route signal": `channel=${CHANNEL}&route=signal`,
      "channel + direction + state": `channel=${CHANNEL}&direction=outbound&state=delivered`,
    };
    const questions = new Map<string, string>();
    for (const [name, query] of Object.entries(messages)) {
      questions.set(`messages ${name}`.trim(), `/messages?limit=${LIMIT}&${query}`);
      questions.set(`messages ${name}, deep`.replace(" ,", ","), `/messages?limit=${LIMIT}&${query}&${deep}`);
    }
    questions.set("messages address", `/messages?limit=4&address=${address}`);
    questions.set("messages conversation", `/messages?limit=${LIMIT}&conversation_id=${row.conversation}`);
    questions.set("conversations", `/conversations?limit=${LIMIT}`);
    questions.set("conversations, deep", `/conversations?limit=${LIMIT}&${deepConversation}`);
    questions.set("conversations channel", `/conversations?limit=${LIMIT}&channel=${CHANNEL}`);
    questions.set("conversations open", `/conversations?limit=${LIMIT}&open=true`);
    questions.set("conversations ended", `/conversations?limit=${LIMIT}&open=false`);
    questions.set("watches", `/watches?limit=1`);
    questions.set("watches, deep", `/watches?limit=1&cursor=${writeCursor("w", [Math.max(2, watch)])}`);
    questions.set("watches matched", `/watches?limit=1&state=matched`);
    questions.set("usage", "/usage?days=30");
    questions.set("channels", "/channels");
    questions.set("addresses", `/channels/${CHANNEL}/addresses`);
    questions.set("policies", "/policies");
    questions.set("tokens", "/tokens");
    return questions;
  } finally {
    db.close();
  }
}

function getBytes(path: string): Uint8Array {
  return Buffer.from(
    `GET /api/v1${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
    "latin1",
  );
}

/** Median time of a question, ms. */
async function ask(connection: Connection, request: Uint8Array): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < ASKED; i++) {
    const began = performance.now();
    const { status, at } = await connection.send(request);
    if (status !== 200)
      throw new Error(`${Buffer.from(request).toString("latin1").split("\r")[0]}: ${status}`);
    times.push(at - began);
  }
  return median(times);
}

async function run(args: readonly string[]): Promise<boolean> {
  const large = count(args, "--messages", 1_000_000);
  const rounds = count(args, "--rounds", 7);
  pinLoad();
  return inFolder(option(args, "--dir"), async (folder) => {
    const binary = option(args, "--binary") ?? (await buildBinary(folder));
    const carrier = openFakeCarrier();
    const services: Service[] = [];
    try {
      const sides: {
        service: Service;
        questions: ReadonlyMap<string, string>;
        api: Connection;
        times: Map<string, number[]>;
      }[] = [];
      for (const messages of [SMALL, large]) {
        const home = join(folder, String(messages));
        await copyDatabase(join(home, "data"), messages);
        const questions = questionsOf(join(home, "data"));
        const service = await startService({
          program: [binary],
          folder: home,
          apiUrl: carrier.url,
          channel: { debounce: "10m" },
        });
        services.push(service);
        sides.push({ service, questions, api: await connect(service.adminPort), times: new Map() });
      }
      let texts = 0;
      for (let round = -1; round < rounds; round++) {
        for (const { service, api, questions, times } of sides) {
          const note = (name: string, time: number) => {
            if (round >= 0) times.set(name, [...(times.get(name) ?? []), time]);
          };
          for (const [name, path] of questions) note(name, await ask(api, getBytes(path)));
          const signer = createSigner(service.publicUrl);
          const requests = Array.from({ length: TEXTS }, () =>
            signer.inbound(freshSid(), senderOf(texts++ % 5_000), bodyOf(texts)),
          );
          note(ADMISSION, 1000 / (await drive(service.port, CONNECTIONS, requests)).perSecond);
        }
      }
      const [few, many] = sides;
      if (few === undefined || many === undefined) throw new Error("two services were started");
      const lines = [ADMISSION, ...few.questions.keys()].map((name) => {
        const [before, after] = [median(few.times.get(name) ?? []), median(many.times.get(name) ?? [])];
        return {
          name,
          before: hundredths(before),
          after: hundredths(after),
          ratio: hundredths(after / before),
        };
      });
      const admission = lines.find(({ name }) => name === ADMISSION);
      const lists = lines.filter(({ name }) => name !== ADMISSION);
      const worst = lists.reduce((most, line) => (line.ratio > most.ratio ? line : most));
      return publish(args, {
        bench: "growth",
        figures: [
          {
            what: `admission, ${SMALL.toLocaleString("en")} to ${large.toLocaleString("en")} messages`,
            target: `at most ${MAX} times`,
            reached: String(admission?.ratio),
            met: (admission?.ratio ?? Number.POSITIVE_INFINITY) <= MAX,
          },
          {
            what: `list calls, ${SMALL.toLocaleString("en")} to ${large.toLocaleString("en")} messages; the worst of ${lists.length}`,
            target: `at most ${MAX} times`,
            reached: `${worst.ratio} (${worst.name})`,
            met: worst.ratio <= MAX,
          },
        ],
        details: { small: SMALL, large, milliseconds: lines },
        text: `${table(
          ["ms, median", String(SMALL), String(large), "ratio"],
          lines.map(({ name, before, after, ratio }) => [
            name,
            before.toFixed(2),
            after.toFixed(2),
            ratio.toFixed(2),
          ]),
        )}\n`,
      });
    } finally {
      for (const service of services) await service.stop();
      await carrier.close();
    }
  });
}

const ADMISSION = "admission of a text";

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
