import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type Database from "better-sqlite3";
import { AppError } from "../../src/errors.ts";
import { createIds, type NewId } from "../../src/ids.ts";
import type { Log } from "../../src/log.ts";
import type { DeliveryState, NewOutbound } from "../../src/message.ts";
import { connector, openDatabase } from "../../src/store/connection.ts";
import { migrate } from "../../src/store/migrate.ts";
import { MIGRATIONS } from "../../src/store/migrations.ts";
import { createSqliteStore } from "../../src/store/sqlite-store.ts";
import type {
  AdmitOutcome,
  ClaimedSend,
  Effect,
  HeldReply,
  NewInbound,
  QueueTurn,
  Store,
} from "../../src/store.ts";
import type { ClaimedTurn } from "../../src/turn.ts";
import { afterTest } from "../support/cleanup.ts";
import { type ManualClock, manualClock, syncAtOnce } from "../support/clock.ts";

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} };

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "sms-agent-store-"));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Closes the store after the test, where the test has not. */
export function closeLater(store: Store): Store {
  afterTest(() => store.close());
  return store;
}

/** A database file with the current schema. */
export function freshDatabase(file = join(temporaryFolder(), "sms-agent.db")): Database.Database {
  const client = openDatabase(connector(undefined), file);
  migrate(client, MIGRATIONS, 0);
  client.pragma("foreign_keys = ON");
  return client;
}

export interface TestStore {
  readonly store: Store;
  readonly clock: ManualClock;
  readonly client: Database.Database;
  readonly newId: NewId;
  inbound(changes?: Partial<NewInbound>): NewInbound;
  queueTurn(changes?: Partial<QueueTurn>): QueueTurn;
  outbound(changes?: Partial<NewOutbound>): NewOutbound;
  /** Admits a text of `from` that queues a turn. */
  text(
    from?: string,
    changes?: { readonly message?: Partial<NewInbound>; readonly turn?: Partial<QueueTurn> },
  ): Promise<{ readonly id: string; readonly outcome: AdmitOutcome }>;
  /** Admits a text without a turn, with these effects. */
  admit(effects: readonly Effect[], changes?: Partial<NewInbound>): Promise<AdmitOutcome>;
  claimTurns(limit?: number, channels?: readonly string[]): Promise<readonly ClaimedTurn[]>;
  claimSends(limit?: number, channels?: readonly string[]): Promise<readonly ClaimedSend[]>;
  /** Ends a turn with these replies. */
  reply(claimed: ClaimedTurn, ...texts: readonly string[]): Promise<boolean>;
  accepted(send: ClaimedSend, sid: string, status?: string): Promise<unknown>;
  callback(sid: string, status: string, send?: ClaimedSend): Promise<DeliveryState | "kept">;
  stateOf(id: string): Promise<string | undefined>;
  eventsOf(id: string): Promise<readonly string[]>;
}

/** A store that keeps what it tells of the disk's failures and recoveries, and a `TestStore` over the same file. */
export function storeOnDisk() {
  const client = freshDatabase();
  const failures: AppError[] = [];
  const recoveries: number[] = [];
  const clock = manualClock();
  const store = closeLater(
    createSqliteStore(client, {
      clock,
      log: quiet,
      onFailure: (error) => failures.push(error),
      onRecovery: () => recoveries.push(clock.now()),
    }),
  );
  const t = testStore(client, clock);
  return { client, store, t, failures, recoveries };
}

/** A store on a real file with a clock that stands still. */
export function testStore(client = freshDatabase(), clock = manualClock()): TestStore {
  const store = closeLater(
    createSqliteStore(client, {
      clock,
      log: quiet,
      syncFile: syncAtOnce,
      senderOf: (channel) => OWN[channel],
    }),
  );
  let count = 0;
  const newId = createIds(clock, (length) => crypto.getRandomValues(new Uint8Array(length)));
  const inbound = (changes: Partial<NewInbound> = {}): NewInbound => ({
    id: newId("msg"),
    channel: "sms",
    sid: `SM${String(++count).padStart(32, "0")}`,
    from: ALICE,
    to: "+15550000001",
    text: "hello",
    media: [],
    raw: '{"Body":"hello"}',
    route: "message",
    state: "queued",
    policies: ["paired-senders"],
    late: false,
    createdAt: clock.now(),
    ...changes,
  });
  const queueTurn = (changes: Partial<QueueTurn> = {}): QueueTurn => {
    const { channel = "sms", address = ALICE } = changes;
    return {
      kind: "queue_turn",
      key: `${channel}:${address}`,
      turnId: newId("turn"),
      conversationId: newId("conv"),
      channel,
      address,
      agent: "assistant",
      debounce: 0,
      idleTimeout: 1_800_000,
      perMinute: 20,
      held: false,
      at: clock.now(),
      ...changes,
    };
  };
  const outbound = (changes: Partial<NewOutbound> = {}): NewOutbound => ({
    id: newId("msg"),
    channel: "sms",
    to: ALICE,
    text: "hi",
    mediaUrls: [],
    segments: 1,
    createdAt: clock.now(),
    ...changes,
  });
  return {
    store,
    clock,
    client,
    newId,
    inbound,
    queueTurn,
    outbound,
    async text(from = ALICE, changes = {}) {
      const message = inbound({ from, ...changes.message });
      const channel = message.channel;
      const turn = queueTurn({ channel, address: from, ...changes.turn });
      return { id: message.id, outcome: await store.admit({ message, effects: [turn] }) };
    },
    admit: (effects, changes = {}) =>
      store.admit({ message: inbound({ route: "command", state: "handled", ...changes }), effects }),
    claimTurns: (limit = 10, channels = ["sms"]) =>
      store.claimTurns({ now: clock.now(), lease: 60_000, limit, channels }),
    claimSends: (limit = 10, channels = ["sms"]) =>
      store.claimSends({ now: clock.now(), lease: 60_000, limit, channels }),
    reply({ turn }, ...texts) {
      return store.finishTurn({
        turnId: turn.id,
        end: { kind: "done" },
        replies: texts.map((text) =>
          outbound({
            channel: turn.channel,
            to: turn.address,
            text,
            turnId: turn.id,
            conversationId: turn.conversationId,
          }),
        ),
        held: "keep",
        rerouted: [],
        at: clock.now(),
      });
    },
    accepted: ({ message, attempt }, sid, status = "queued") =>
      store.settleSend({
        messageId: message.id,
        attempt,
        outcome: { kind: "accepted", sid, status },
        at: clock.now(),
      }),
    async callback(sid, status, send) {
      const ref = send && { messageId: send.message.id, attempt: send.attempt };
      const outcome = await store.recordStatus({
        kind: "status",
        sid,
        status,
        at: clock.now(),
        ...(ref === undefined ? {} : { ref }),
      });
      return outcome.kind === "kept" ? "kept" : outcome.state;
    },
    stateOf: async (id) => (await store.message(id))?.state,
    eventsOf: async (id) => (await store.message(id))?.events.map(({ state }) => state) ?? [],
  };
}

const OWN: Readonly<Record<string, string>> = { sms: "+15550000001", other: "+15550000002" };

export const ALICE = "+15551111111";
export const BOB = "+15552222222";

/** What the promise is rejected with, which must be an AppError. */
export async function refusal(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("expected a rejection");
}

/** The value, where it must be there. */
export function present<T>(value: T | undefined | null): T {
  if (value === undefined || value === null) throw new Error("expected a value");
  return value;
}

/** Claims what is due and answers the texts of each turn. */
export async function textsOf(t: TestStore, limit = 10): Promise<readonly string[][]> {
  return (await t.claimTurns(limit)).map(({ texts }) => texts.map(({ text }) => text));
}

/** A part of some reply that waits for MORE. */
export function heldOf(id: string, expiresAt: number): HeldReply {
  return { id, conversationId: "conv_of_the_reply", turnId: "turn_of_the_reply", parts: ["more"], expiresAt };
}

/** The conversation a message belongs to. */
export async function conversationOf(t: TestStore, messageId: string) {
  const id = present((await t.store.message(messageId))?.conversationId);
  return present(await t.store.conversation(id));
}
