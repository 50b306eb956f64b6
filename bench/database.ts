/**
 * Makes a database as a busy house has it after two months, by direct inserts through the schema of the store.
 *
 *   bun bench/database.ts --messages 1000000 --out DIR
 *
 * DIR becomes a `data_dir`. Of ten messages eight are a conversation of four turns, one is a signal whose words
 * retention has erased, and one is a denied stranger's (of the last week; before that another signal). With them their
 * events, parameters, attempts, turns, conversations and usage; the log of events is as long as it may be.
 */
import { Database } from "bun:sqlite";
import { createHash } from "node:crypto";
import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { MIGRATIONS } from "../src/store/migrations.ts";
import { openStore } from "../src/store/open.ts";
import { systemClock } from "../src/system/clock.ts";
import { ACCOUNT, CHANNEL, NUMBER } from "./webhooks.ts";

const DAY = 86_400_000;
/** Younger than `retention.messages`, so that nothing is swept away while it is measured. */
const SPAN = 60 * DAY;
const DENIED_SPAN = 6 * DAY;
const PEOPLE = 5_000;
/** Messages of a block, and turns of its conversation. */
const BLOCK = 10;
const TURNS = 4;
const EVENTS = 100_000;

/** Writes the database into `dataDir`, which must not have one. */
export async function makeDatabase(dataDir: string, messages: number): Promise<void> {
  const silent = { debug() {}, info() {}, warn() {}, error() {} };
  const store = await openStore({ dataDir, clock: systemClock, log: silent });
  await store.close();
  rmSync(join(dataDir, "run"), { recursive: true, force: true });
  const db = new Database(join(dataDir, "sms-agent.db"));
  try {
    fill(db, Math.max(1, Math.round(messages / BLOCK)), Date.now());
  } finally {
    db.close();
  }
}

function fill(db: Database, blocks: number, now: number): void {
  for (const pragma of [
    "synchronous = OFF",
    "cache_size = -262144",
    "foreign_keys = OFF",
    "temp_store = MEMORY",
  ])
    db.run(`PRAGMA ${pragma}`);
  // An index that is made over rows that are there is sorted once, instead of being searched a million times.
  const indexes = db
    .query<{ name: string; sql: string }, []>(
      "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    )
    .all();
  db.run("BEGIN");
  for (const { name } of indexes) db.run(`DROP INDEX "${name}"`);
  db.run(`CREATE TEMP TABLE blocks AS
    WITH RECURSIVE n(b) AS (SELECT 0 UNION ALL SELECT b + 1 FROM n WHERE b + 1 < ${blocks})
    SELECT b, ${now - SPAN} + b * ${SPAN} / ${blocks} AS at,
      printf('+1555%07d', (b * 7919) % ${PEOPLE}) AS address, printf('conv_%026d', b) AS conversation
    FROM n`);
  db.run(`CREATE TEMP TABLE steps AS
    WITH RECURSIVE n(t) AS (SELECT 0 UNION ALL SELECT t + 1 FROM n WHERE t + 1 < ${TURNS}) SELECT t FROM n`);
  const span = Math.max(1, Math.floor(SPAN / blocks / 12)); // of one message
  const turnOf = (b: string, t: string) => `printf('turn_%026d', ${b} * ${TURNS} + ${t})`;
  const idOf = (seq: string) => `printf('msg_%026d', ${seq})`;
  const inbound = `b * ${BLOCK} + t * 2 + 1`;
  const outbound = `b * ${BLOCK} + t * 2 + 2`;
  const columns = `seq, id, channel, direction, from_address, to_address, text, state, route, conversation_id,
    turn_id, provider_sid, segments, policies, error, late, annotation, created_at,
    first_state`;
  db.run(`INSERT INTO conversations (seq, id, key, channel, address, agent, started_at, last_at, ended_at, messages)
    SELECT b + 1, conversation, '${CHANNEL}:' || address, '${CHANNEL}', address, 'parrot', at, at + ${span * 8},
      at + ${span * 8} + 1800000, ${TURNS * 2} FROM blocks`);
  db.run(`INSERT INTO turns (seq, id, key, channel, address, agent, conversation_id, state, attempt, crashes, texts, held, head,
      created_at, not_before, due_at, look_at, ended_at)
    SELECT b * ${TURNS} + t + 1, ${turnOf("b", "t")}, '${CHANNEL}:' || address, '${CHANNEL}', address, 'parrot',
      conversation, 'done', 1, 0, 1, 0, 1, at + t * ${span * 2}, at, at + t * ${span * 2} + 1200, at + t * ${span * 2} + 1200,
      at + t * ${span * 2} + 3000
    FROM blocks, steps`);
  db.run(`INSERT INTO messages (${columns})
    SELECT ${inbound}, ${idOf(inbound)}, '${CHANNEL}', 'inbound', address, '${NUMBER}',
      ${text("b * 4 + t")}, 'handled', 'message', conversation, ${turnOf("b", "t")}, printf('SM%032x', ${inbound}), 1,
      '["allowed:${CHANNEL}"]', NULL, 0, NULL, at + t * ${span * 2}, 'queued' FROM blocks, steps`);
  db.run(`INSERT INTO messages (${columns})
    SELECT ${outbound}, ${idOf(outbound)}, '${CHANNEL}', 'outbound', '${NUMBER}', address,
      ${text("b * 7 + t")} || ' - is what I would do, but see for yourself.', 'delivered', NULL, conversation,
      ${turnOf("b", "t")}, printf('SM%032x', ${outbound}), 1, '["default:send_message"]', NULL, 0, NULL,
      at + t * ${span * 2} + 3000, 'pending' FROM blocks, steps`);
  const code = `'{"category":"verification_code","confidence":0.98,"candidates":[]}'`;
  db.run(`INSERT INTO messages (${columns})
    SELECT b * ${BLOCK} + 9, ${idOf(`b * ${BLOCK} + 9`)}, '${CHANNEL}', 'inbound', printf('%d', 20000 + b % 300),
      '${NUMBER}', NULL, 'received', 'signal', NULL, NULL, printf('SM%032x', b * ${BLOCK} + 9), 1,
      '["default:receive_signal"]', NULL, 0, ${code}, at + ${span * 9}, 'received' FROM blocks`);
  const denied = `at > ${now - DENIED_SPAN}`;
  db.run(`INSERT INTO messages (${columns})
    SELECT b * ${BLOCK} + 10, ${idOf(`b * ${BLOCK} + 10`)}, '${CHANNEL}', 'inbound',
      iif(${denied}, '+1555***' || printf('%04d', b % 10000), printf('%d', 30000 + b % 300)), '${NUMBER}', NULL,
      iif(${denied}, 'dropped', 'received'), iif(${denied}, 'dropped', 'signal'), NULL, NULL,
      printf('SM%032x', b * ${BLOCK} + 10), 1, '[]',
      iif(${denied}, '{"meaning":"Not permitted to text the agent (receive_message): No policy permits it.","fix":"Pair the phone."}', NULL),
      0, iif(${denied}, NULL, ${code}), at + ${span * 10}, iif(${denied}, NULL, 'received') FROM blocks`);
  db.run(`INSERT INTO raw_parameters (message, parameters)
    SELECT seq, json_object('ToCountry', 'US', 'SmsMessageSid', provider_sid, 'NumMedia', '0', 'FromZip', '94016',
      'FromCity', 'SAN FRANCISCO', 'Body', text, 'To', to_address, 'NumSegments', '1', 'MessageSid', provider_sid,
      'AccountSid', '${ACCOUNT}', 'From', from_address, 'ApiVersion', '2010-04-01')
    FROM messages WHERE direction = 'inbound' AND text IS NOT NULL`);
  db.run(`INSERT INTO message_events (message, state, at, detail)
    SELECT seq, state, created_at, json_extract(error, '$.meaning') FROM messages WHERE first_state IS NULL`);
  db.run(`INSERT INTO message_events (message, state, at, detail)
    SELECT seq, 'handled', created_at + 3000, NULL FROM messages WHERE route = 'message'`);
  db.run(`INSERT INTO message_events (message, state, at, detail)
    SELECT seq, value, created_at + (key + 1) * 400, NULL FROM messages,
      json_each('["sending","queued","sent","delivered"]') WHERE direction = 'outbound'`);
  db.run(`INSERT INTO attempts (message, attempt, started_at, day, sid, outcome)
    SELECT seq, 1, created_at, date(created_at / 1000, 'unixepoch'), provider_sid, 'accepted'
    FROM messages WHERE direction = 'outbound'`);
  db.run(`INSERT INTO usage (day, channel, inbound, outbound, segments, inbound_segments, input_tokens,
      output_tokens)
    SELECT date(created_at / 1000, 'unixepoch') AS day, channel, sum(direction = 'inbound'),
      sum(direction = 'outbound'), sum(iif(direction = 'outbound', segments, 0)),
      sum(iif(direction = 'inbound', segments, 0)), 0, 0 FROM messages GROUP BY day, channel`);
  db.run(`INSERT INTO events (nonce, type, at, subject, state)
    SELECT abs(random()) % 281474976710656, iif(direction = 'outbound', 'message.status', 'message.received'),
      created_at, id, iif(direction = 'outbound', 'delivered', NULL)
    FROM (SELECT * FROM messages WHERE route = 'message' OR direction = 'outbound' ORDER BY seq DESC LIMIT ${EVENTS})
    ORDER BY seq`);
  db.run(`INSERT INTO watches (id, state, filters, mode, consume, backfill, owner, created_at, expires_at, ended_at)
    SELECT printf('watch_%026d', b), 'matched', '{"from":["2*"]}', 'once', 'claim', 120000, '{"kind":"api"}',
      at, at + 300000, at + 60000 FROM blocks WHERE at > ${now - DAY} LIMIT 5000`);
  for (const { sql } of indexes) db.run(sql);
  db.run("COMMIT");
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
}

/** Different words for different numbers. */
function text(number: string): string {
  const words = [
    "are we still on for tonight at eight",
    "can you move the dentist to Thursday, please?",
    "what is the weather going to be like at the lake",
    "remind me to call Ana about the keys",
    "did the parcel come, and if so where did they put it",
  ];
  const cases = words.map((line, index) => `WHEN ${index} THEN '${line}'`).join(" ");
  return `(CASE (${number}) % ${words.length} ${cases} END) || ' (' || (${number}) || ')'`;
}

/** What it was made from: another schema, or other rows, make another database. */
function fingerprint(): string {
  const hash = createHash("sha256");
  for (const { sql } of MIGRATIONS) hash.update(sql);
  hash.update(readFileSync(import.meta.path));
  // What is a week old today is not in a week.
  hash.update(String(Math.floor(Date.now() / DAY)));
  return hash.digest("hex").slice(0, 16);
}

/**
 * Puts a database of `messages` messages into `dataDir`. It is made once a day and kept in the folder for temporary
 * files (or `cache`), since a million take most of a minute.
 */
export async function copyDatabase(dataDir: string, messages: number, cache = tmpdir()): Promise<void> {
  const kept = join(cache, `sms-agent-bench-database-${messages}-${fingerprint()}.db`);
  if (!existsSync(kept)) {
    const made = `${kept}.${process.pid}`;
    try {
      await makeDatabase(made, messages);
      renameSync(join(made, "sms-agent.db"), kept);
    } finally {
      rmSync(made, { recursive: true, force: true });
    }
  }
  mkdirSync(dataDir, { recursive: true });
  copyFileSync(kept, join(dataDir, "sms-agent.db"), constants.COPYFILE_FICLONE);
}

if (import.meta.main) {
  const option = (name: string) =>
    process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : undefined;
  const messages = Number(option("--messages") ?? 1_000_000);
  const out = option("--out");
  if (!Number.isInteger(messages) || messages < BLOCK || out === undefined) {
    process.stderr.write("bun bench/database.ts --messages 1000000 --out DIR\n");
    process.exit(2);
  }
  const started = performance.now();
  await makeDatabase(resolve(out), messages);
  const { size } = statSync(join(out, "sms-agent.db"));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${messages} messages, ${Math.round(size / 1e6)} MB, in ${seconds} s: ${out}\n`);
}
