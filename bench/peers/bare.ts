/**
 * The least a durable webhook can be on Bun: the signature is verified, the row is written as the service keeps it
 * (every column that the service fills, the parameters as they came, the same indexes), one commit for all that came in
 * one turn of the event loop, on disk before it is answered. Conversation and turn are named after the sender, and
 * nothing stands behind the names: no policies, no annotation, no turns, no events, no usage, no log.
 *
 *   bun bare.ts PORT AUTH_TOKEN PUBLIC_URL DATABASE SCHEMA
 *
 * SCHEMA is a file with the SQL of the table.
 */
import { Database } from "bun:sqlite";
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const [port, authToken = "", publicUrl = "", file = "", schema = ""] = process.argv.slice(2);
const db = new Database(file, { create: true, strict: true });
// As the service opens its own.
for (const pragma of [
  "auto_vacuum = INCREMENTAL",
  "journal_mode = WAL",
  "synchronous = FULL",
  "secure_delete = ON",
  "temp_store = MEMORY",
  "cache_size = -8192",
  "wal_autocheckpoint = 4000",
])
  db.run(`PRAGMA ${pragma}`);
for (const statement of readFileSync(schema, "utf8").split("--> statement-breakpoint")) db.run(statement);

const insert = db.query(
  `INSERT INTO messages (id, channel, direction, from_address, to_address, text, state, first_state, route,
     conversation_id, turn_id, provider_sid, segments, policies, annotation, late, created_at)
   VALUES ($id, 'sms', 'inbound', $from, $to, $text, 'queued', 'queued', 'message',
     $conversation, $turn, $sid, $segments, '["allow-all:sms"]', '"unread"', 0, $at)
   ON CONFLICT DO NOTHING`,
);
const insertRaw = db.query("INSERT INTO raw_parameters (message, parameters) VALUES ($message, $parameters)");
const begin = db.query("BEGIN IMMEDIATE");
const commit = db.query("COMMIT");

interface Text {
  readonly params: URLSearchParams;
  readonly durable: () => void;
}
let waiting: Text[] = [];
let ids = 0;

function commitAll(): void {
  const texts = waiting;
  waiting = [];
  begin.run();
  for (const { params } of texts) {
    const from = params.get("From");
    const { changes, lastInsertRowid } = insert.run({
      id: `msg_01k000${Date.now()}${ids++}`,
      from,
      conversation: `conv_01k0000000000000${from}`,
      turn: `turn_01k0000000000000${from}`,
      to: params.get("To"),
      text: params.get("Body"),
      sid: params.get("MessageSid"),
      segments: Number(params.get("NumSegments")),
      at: Date.now(),
    });
    if (changes === 0) continue; // delivered twice
    const parameters = JSON.stringify(Object.fromEntries(params));
    insertRaw.run({ message: lastInsertRowid, parameters });
  }
  commit.run();
  for (const { durable } of texts) durable();
}

function durable(params: URLSearchParams): Promise<void> {
  return new Promise((resolve) => {
    waiting.push({ params, durable: resolve });
    if (waiting.length === 1) setImmediate(commitAll);
  });
}

function authentic(url: string, params: URLSearchParams, signature: string): boolean {
  let text = url;
  for (const name of [...params.keys()].sort()) text += name + params.get(name);
  const right = createHmac("sha1", authToken).update(text).digest();
  const given = Buffer.from(signature, "base64");
  return given.length === right.length && timingSafeEqual(given, right);
}

Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  async fetch(request) {
    const params = new URLSearchParams(await request.text());
    const path = request.url.slice(request.url.indexOf("/", 8));
    if (!authentic(publicUrl + path, params, request.headers.get("x-twilio-signature") ?? ""))
      return new Response(null, { status: 403 });
    await durable(params);
    return new Response("<Response/>", { headers: { "content-type": "text/xml" } });
  },
});
console.log("listening");
