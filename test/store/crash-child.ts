import { createIds } from "../../src/ids.ts";
import { openStore } from "../../src/store/open.ts";
import { systemClock } from "../support/clock.ts";

// Run as a process of its own by crash.test.ts: writes for as long as it lives, and prints the carrier id of
// every text whose admission was acknowledged.

const [dataDir = ""] = process.argv.slice(2);
const store = await openStore({
  dataDir,
  clock: systemClock,
  log: { debug() {}, info() {}, warn() {}, error() {} },
});
const newId = createIds(systemClock, (length) => crypto.getRandomValues(new Uint8Array(length)));
await store.recover(systemClock.now());
const run = newId("evt");
let count = 0;

function admitOne(): Promise<void> {
  const sid = `SM-${run}-${count++}`;
  const address = `+1555${1_000_000 + (count % 50)}`;
  const at = systemClock.now();
  return store
    .admit({
      message: {
        id: newId("msg"),
        channel: "sms",
        sid,
        from: address,
        to: "+15550000001",
        text: "hello",
        media: [],
        raw: "{}",
        route: "message",
        state: "queued",
        policies: [],
        late: false,
        createdAt: at,
      },
      effects: [
        {
          kind: "queue_turn",
          key: `sms:${address}`,
          turnId: newId("turn"),
          conversationId: newId("conv"),
          channel: "sms",
          address,
          agent: "a",
          debounce: 0,
          idleTimeout: 1_000_000,
          perMinute: 1_000,
          held: false,
          at,
        },
      ],
    })
    .then(() => void process.stdout.write(`${sid}\n`));
}

async function answerSome(): Promise<void> {
  const at = systemClock.now();
  const turns = await store.claimTurns({ now: at, lease: 60_000, limit: 20, channels: ["sms"] });
  await Promise.all(
    turns.map(({ turn }) =>
      store.finishTurn({
        turnId: turn.id,
        end: { kind: "done" },
        replies: [
          {
            id: newId("msg"),
            channel: "sms",
            to: turn.address,
            text: "hi",
            mediaUrls: [],
            segments: 1,
            createdAt: at,
            turnId: turn.id,
            conversationId: turn.conversationId,
          },
        ],
        held: "keep",
        rerouted: [],
        at,
      }),
    ),
  );
  await store.claimSends({ now: at, lease: 60_000, limit: 20, channels: ["sms"] });
}

const until = Date.now() + 15_000; // in case nobody kills it
while (Date.now() < until) await Promise.all([...Array.from({ length: 30 }, admitOne), answerSome()]);
