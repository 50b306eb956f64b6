import type Database from "better-sqlite3";
import { sql } from "drizzle-orm";
import type { ChangeOrigin, OnChanges } from "../change.ts";
import type { Clock } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { NewOutbound } from "../message.ts";
import type { EnqueueOutcome, JoinConversation, Store } from "../store.ts";
import { createLocalDays } from "../usage.ts";
import { admit, Duplicate, Stale } from "./admission.ts";
import { createAttempts } from "./attempts.ts";
import { createChanges } from "./changes.ts";
import { createCheckpoints } from "./checkpoint.ts";
import { createCommits } from "./commits.ts";
import { createConfirmations } from "./confirmations.ts";
import { conversationOf, createConversations } from "./conversations.ts";
import { createDelivery, deliveryOf } from "./delivery.ts";
import { createDepths } from "./depths.ts";
import { createDoubts } from "./doubts.ts";
import { openDrizzle } from "./drizzle.ts";
import { createEvents, type Referents } from "./events.ts";
import { demandRoom, isDiskFailure, unavailable } from "./failure.ts";
import { createInPlace } from "./in-place.ts";
import { createJudgements, settleJudgement } from "./judgements.ts";
import { openLogSync, type SyncFile } from "./log-sync.ts";
import { createLooks } from "./looks.ts";
import { createMessageList, messageOf } from "./message-list.ts";
import { createMessages } from "./messages.ts";
import { createOpenDeliveries } from "./open-deliveries.ts";
import { createOutbox } from "./outbox.ts";
import { createReplay } from "./replay.ts";
import { createRequests } from "./requests.ts";
import { createResend } from "./resend.ts";
import { createRetention } from "./retention.ts";
import { fileMarks, heartbeat } from "./schema.ts";
import { createSenders } from "./senders.ts";
import { type Db, param, type Read, type Write } from "./statement.ts";
import { createSweep } from "./sweep.ts";
import { createTimed } from "./timed.ts";
import { createTokens } from "./tokens.ts";
import { createTurnRecords } from "./turn-records.ts";
import { createTurns } from "./turns.ts";
import { createUsage } from "./usage.ts";
import { createWatchSignals, signalOf } from "./watch-signals.ts";
import { createWatch, createWatches } from "./watches.ts";
import { createWebhookLosses } from "./webhook-losses.ts";
import { createWebhooks } from "./webhooks.ts";

export interface SqliteStoreOptions {
  readonly senderOf?: (channel: string) => string | undefined;
  /** Where a day begins and ends: an IANA name; UTC where it is not given. */
  readonly timezone?: () => string;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when a commit was lost because of the disk. */
  readonly onFailure?: (error: AppError) => void;
  /** Called when the disk takes writes again after that. */
  readonly onRecovery?: () => void;
  /** Called when a sync has failed: nothing is written any more, and only a start anew shows what is on disk. */
  readonly onBroken?: (error: AppError) => void;
  /** Told what each write has changed, once it is on disk. */
  readonly onChanges?: OnChanges;
  readonly syncFile?: SyncFile;
  /** Called once, when the database is closed. */
  readonly onClosed?: () => void;
}

/** More than the largest text and what comes with it. */
const BALLAST = Buffer.alloc(128 * 1024);

/**
 * Texts that come twice come in waves, when the carrier got no answer; in between to ask for each would be in vain. One
 * that is found only as it is written has the whole commit made again.
 */
const AFTER_DUPLICATE = 10_000;

/** The store over an open and migrated database. */
export function createSqliteStore(client: Database.Database, options: SqliteStoreOptions): Store {
  const {
    clock,
    log,
    senderOf = () => undefined,
    onFailure = () => {},
    onRecovery = () => {},
    onBroken = () => {},
    onClosed = () => {},
    onChanges = () => {},
  } = options;
  const db: Db = openDrizzle(client);
  const checkpoints = createCheckpoints(client, clock, log);
  const sync = openLogSync(client, options.syncFile);
  const commits = createCommits(client, {
    demand: createInPlace(client.name),
    ...(sync === undefined ? {} : { sync }),
    gathered: () => usage.write(),
    undone: () => usage.forget(),
    onCommit() {
      checkpoints.noteCommit();
      events.committed();
    },
    onFailure,
    onRecovery,
    onBroken(error) {
      checkpoints.stop();
      onBroken(error);
    },
  });
  let closed = false;
  let finished = false;
  /** Texts that are still asked for before they are written. */
  let askFirst = 0;
  const events = createEvents(db);
  const changes = createChanges();
  const messages = createMessages(db, events, changes);
  const list = createMessageList(db);
  const attempts = createAttempts(db);
  const doubts = createDoubts(db);
  const senders = createSenders(db);
  const conversations = createConversations(db, events);
  const usage = createUsage(db);
  const localDay = createLocalDays(options.timezone ?? (() => "UTC"));
  const outbox = createOutbox(db, {
    messages,
    attempts,
    doubts,
    senders,
    conversations,
    usage,
    localDay,
    senderOf,
  });
  const delivery = createDelivery(db, { messages, attempts, doubts, outbox, senders, usage, changes });
  const looks = createLooks({ messages, attempts, doubts, outbox, delivery });
  const turns = createTurns(db, {
    messages,
    conversations,
    senders,
    outbox,
    usage,
    localDay,
    changes,
    onErased: checkpoints.noteErased,
  });
  const turnRecords = createTurnRecords(db);
  const confirmations = createConfirmations(db, { turns, outbox, senders });
  const timed = createTimed(db, { turns, outbox, senders });
  const watches = createWatches(db);
  const judgements = createJudgements(db, { messages, onErased: checkpoints.noteErased });
  const signals = createWatchSignals(db, {
    messages,
    watches,
    judgements,
    events,
    onErased: checkpoints.noteErased,
  });
  const losses = createWebhookLosses(db);
  const webhooks = createWebhooks(db, events, losses);
  const tokens = createTokens(db);
  const requests = createRequests(db);
  const resend = createResend({ messages, attempts, doubts, outbox, senders, requests });
  const replay = createReplay({ messages, turns, requests });
  const openDeliveries = createOpenDeliveries(db);
  const purge = createRetention(db, {
    onErased: checkpoints.noteErased,
    time: () => performance.now(),
  });
  const sweep = createSweep(db, outbox, events, losses);
  const referents: Referents = {
    message(id) {
      const row = messages.byId(id);
      return row && messageOf(row);
    },
    signal(messageId) {
      const row = messages.byId(messageId);
      return row && signalOf(row);
    },
    conversation(id) {
      const row = conversations.byId(id);
      return row && conversationOf(row);
    },
  };
  const beat: Write<{ at: number; ballast: Buffer | null }> = db
    .insert(heartbeat)
    .values({ id: 1, at: param("at"), ballast: param("ballast") })
    .onConflictDoUpdate({
      target: heartbeat.id,
      set: { at: sql`excluded.at`, ballast: sql`excluded.ballast` },
    })
    .prepare();

  const restored: Read<Record<string, never>, { at: number }> = db
    .select({ at: fileMarks.at })
    .from(fileMarks)
    .where(sql`${fileMarks.name} = 'restore'`)
    .prepare();
  const depths = createDepths(db);

  async function write<T>(work: () => T, origin: ChangeOrigin = "other"): Promise<T> {
    const { result, noted } = await commits.write(() => changes.during(work));
    if (noted.length > 0) onChanges(noted, origin);
    return result;
  }

  /** Reads see every write that was acknowledged: they run on the same connection, between commits. */
  async function read<T>(query: () => T): Promise<T> {
    if (finished) throw new AppError("unavailable", "the database is closed");
    try {
      return query();
    } catch (error) {
      if (!isDiskFailure(error)) throw error;
      const failure = unavailable(error, client.name);
      onFailure(failure);
      throw failure;
    }
  }

  function enqueue(
    outbound: Parameters<Store["enqueue"]>[0],
    idempotency: Parameters<Store["enqueue"]>[1],
    join: Parameters<Store["enqueue"]>[2],
  ): EnqueueOutcome {
    const known = idempotency && requests.known(idempotency.key);
    if (known !== undefined) {
      if (known.fingerprint !== idempotency?.fingerprint) return { kind: "key_conflict" };
      const row = messages.bySeq(known.message);
      return { kind: "replayed", id: row.id, state: deliveryOf(row) };
    }
    const { seq, state } = outbox.put(join === undefined ? outbound : entered(outbound, join));
    if (idempotency !== undefined)
      requests.remember(idempotency.key, idempotency.fingerprint, seq, outbound.createdAt);
    return { kind: "created", id: outbound.id, state };
  }

  /** What is not sent is not said either. */
  function entered(outbound: NewOutbound, join: JoinConversation): NewOutbound {
    if (outbound.forbidden !== undefined || senders.optedOut(outbound.channel, outbound.to)) return outbound;
    return { ...outbound, conversationId: turns.enterConversation(join) };
  }

  function endConversation(id: string, at: number): boolean {
    const row = conversations.byId(id);
    if (row === undefined || row.endedAt !== null) return false;
    conversations.end(id, at);
    turns.cancelConversation(row.key, id, at, "The conversation was ended by the operator.");
    return true;
  }

  function endWatch(id: string, at: number): boolean {
    const row = watches.byId(id);
    if (row?.state !== "pending") return false;
    watches.end(row.seq, "cancelled", at);
    judgements.ended(row.seq);
    return true;
  }

  return {
    senderFacts: ({ channel, address, now }) =>
      read(() => {
        const facts = senders.facts(channel, address, now);
        if (senders.isPlain(channel, address)) return facts;
        const pending = confirmations.pendingOf(channel, address, now);
        return pending.length === 0 ? facts : { ...facts, confirmations: pending };
      }),
    async admit(admission) {
      try {
        return await write(() =>
          admit(admission, {
            messages,
            turns,
            outbox,
            senders,
            conversations,
            confirmations,
            signals,
            events,
            usage,
            localDay,
            now: clock.now(),
            askFirst: askFirst > 0 && askFirst-- > 0,
          }),
        );
      } catch (error) {
        if (error instanceof Stale) return { kind: "stale" };
        if (error instanceof Duplicate) {
          askFirst = AFTER_DUPLICATE;
          return { kind: "duplicate", messageId: error.messageId };
        }
        throw error;
      }
    },
    restoredAt: () => read(() => restored.get({})?.at),
    knownSids: (sids) => read(() => new Set(sids.filter((sid) => messages.inboundId(sid) !== undefined))),

    claimTurns: (claim) => write(() => turns.claim(claim)),
    nextTurnDue: (channels, full = []) => read(() => turns.nextDue(channels, full)),
    extendTurns: (turnIds, until) => write(() => turns.extend(turnIds, until)),
    releaseTurn: (turnId) => write(() => turns.release(turnId)),
    replayText: (request) => write(() => replay(request)),
    holdTurns: (channel) => write(() => turns.hold(channel)),
    history: (conversationId, limit) => read(() => list.history(conversationId, limit)),
    journal: (turnId) => read(() => turns.journal(turnId)),
    appendJournal: (turnId, entries) => write(() => turns.append(turnId, entries)),
    resumeTurn: (turnId, entries, at) => write(() => turns.resume(turnId, entries, at)),
    finishTurn: (finish) => write(() => turns.finish(finish), "turn"),
    failedApart: (splitFrom) => read(() => turns.failedApart(splitFrom)),
    splitTurn: (split) => write(() => turns.split(split), "turn"),

    askConfirmation: (confirmation, outbound) => write(() => confirmations.ask(confirmation, outbound)),
    expireConfirmations: (now) => write(() => confirmations.expire(now)),
    nextConfirmationExpiry: () => read(confirmations.nextExpiry),

    addReminder: (reminder, most) => write(() => timed.addReminder(reminder, most)),
    reminders: (channel, address) => read(() => timed.reminders(channel, address)),
    cancelReminder: (id, channel, address) => write(() => timed.cancelReminder(id, channel, address)),
    dueReminders: (channels, now, limit) => read(() => timed.dueReminders(channels, now, limit)),
    nextReminderDue: (channels) => read(() => timed.nextReminderDue(channels)),
    fireReminder: (fire) => write(() => timed.fireReminder(fire)),
    followSchedules: (runs) => write(() => timed.followSchedules(runs)),
    dueSchedules: (now) => read(() => timed.dueSchedules(now)),
    nextScheduleDue: () => read(timed.nextScheduleDue),
    fireSchedule: (fire) => write(() => timed.fireSchedule(fire)),

    claimSends: (claim) => write(() => outbox.claim(claim)),
    lastTexted: (channel, address) => read(() => messages.lastTexted(channel, address)),
    nextSendDue: (channels) => read(() => outbox.nextDue(channels)),
    sendsHeldUntil: (channels, now, segmentsPerDay) =>
      read(() => outbox.heldUntil(channels, now, segmentsPerDay)),
    usage: (since) => read(() => usage.since(since)),
    segmentsUsed: (now) => read(() => usage.segmentsOn(localDay(now).day)),
    settleSend: (settle) => write(() => delivery.settle(settle), "send"),
    recordStatus: (event) => write(() => delivery.record(event), "callback"),
    claimLooks: (claim) => write(() => looks.claim(claim)),
    nextLookDue: (channels) => read(() => looks.nextDue(channels)),
    settleLook: (settle) => write(() => looks.settle(settle), "send"),
    resend: (id, at, idempotency) => write(() => resend(id, at, idempotency)),
    enqueue: (outbound, idempotency, join) => write(() => enqueue(outbound, idempotency, join)),
    openDeliveries: (channel, since, limit, after) =>
      read(() => openDeliveries(channel, since, limit, after)),

    savePairing: (pairing) => write(() => senders.savePairing(pairing)),
    deletePairing: (channel) => write(() => senders.deletePairing(channel)),
    pairing: (channel) => read(() => senders.pairing(channel)),
    addresses: (channel) => read(() => senders.addresses(channel)),
    labelAddress: (channel, address, label) => write(() => senders.label(channel, address, label)),
    revokeAddress: (channel, address) => write(() => senders.revoke(channel, address)),
    optedOut: (channel, address) => read(() => senders.optedOut(channel, address)),

    messages: (query) => read(() => list.page(query)),
    message: (id) => read(() => list.one(id)),

    conversations: (query) => read(() => conversations.page(query)),
    conversation: (id) =>
      read(() => {
        const row = conversations.byId(id);
        return row === undefined ? undefined : conversationOf(row);
      }),
    turn: (id) => read(() => turnRecords.one(id)),
    turnsOf: (conversationId, limit) => read(() => turnRecords.ofConversation(conversationId, limit)),
    endConversation: (id, at) => write(() => endConversation(id, at)),
    async endIdle(channel, idleTimeout, now) {
      const before = now - idleTimeout;
      if (!(await read(() => conversations.anyIdle(channel, before)))) return [];
      return write(() => conversations.endIdle(channel, before, now));
    },
    oldestActivity: (channel, since) => read(() => conversations.oldestActivity(channel, since)),
    inConversation: (channel, address) => read(() => conversations.inConversation(channel, address)),

    createWatch: (watch, idempotency) =>
      write(() => createWatch(watches, signals.assemble, watch, idempotency)),
    watch: (id) =>
      read(() => {
        const row = watches.byId(id);
        return row === undefined ? undefined : signals.assemble(row);
      }),
    watches: (query) =>
      read(() => {
        const page = watches.page(query);
        return { ...page, items: page.items.map(signals.assemble) };
      }),
    pendingWatches: () => read(() => watches.pending().map(signals.assemble)),
    unansweredWatches: () => read(() => watches.unanswered().map(signals.assemble)),
    cancelWatch: (id, at) => write(() => endWatch(id, at)),
    expireWatches: (now) =>
      write(() =>
        watches.overdue(now).map((row) => {
          const caught = signals.assemble(row).signals.length > 0;
          watches.end(row.seq, caught ? "matched" : "expired", now);
          judgements.ended(row.seq);
          return signals.assemble({ ...row, state: caught ? "matched" : "expired" });
        }),
      ),
    recentSignals: (query) => read(() => signals.recent(query)),
    offerSignal: (offer) => write(() => signals.offer(offer)),
    depths: () => read(depths),
    purge: (before) => write(() => purge(before)),
    purgeCodes: (before) => write(() => signals.purge(before)),

    claimJudgements: (claim) => write(() => judgements.claim(claim)),
    nextJudgementDue: () => read(() => judgements.nextDue()),
    settleJudgement: (settle) =>
      write(() =>
        settleJudgement(settle, {
          judgements,
          messages,
          signals,
          watchSeq: (id) => watches.byId(id)?.seq,
          onSpent: (channel, tokens) => usage.spent(channel, localDay(settle.at).day, tokens),
        }),
      ),

    appendEvent: (event) => write(() => events.append(event)),
    events: (query) => read(() => events.page(query, referents)),
    lastEvent: () => read(events.last),
    eventPosition: (id) => read(() => events.position(id)),
    alerts: (since) => read(() => events.alerts(since)),
    onEvents: events.listen,

    followWebhooks: (keys, now) => write(() => webhooks.follow(keys, now)),
    claimWebhooks: (claim) =>
      write(() =>
        webhooks.claim(claim, (after, types, limit) => events.page({ after, types, limit }, referents)),
      ),
    nextWebhookDue: (wanted) => read(() => webhooks.nextDue(wanted)),
    webhookBacklog: (wanted, limit) => read(() => webhooks.backlog(wanted, limit)),
    webhookLags: (wanted) => read(() => webhooks.lags(wanted)),
    toldWebhookLoss: (key, lost) => write(() => losses.told(key, lost)),
    settleWebhook: (settle) => write(() => webhooks.settle(settle)),

    addToken: (token, hash) => write(() => tokens.add(token, hash)),
    tokens: () => read(tokens.all),
    tokenByHash: (hash) => read(() => tokens.byHash(hash)),
    deleteToken: (id) => write(() => tokens.remove(id)),
    noteTokenUse: (id, at) => write(() => tokens.used(id, at)),

    recover: (now) =>
      write(() => {
        webhooks.release();
        judgements.release();
        return { turns: turns.requeueAll(now), sends: outbox.loseAll(now) };
      }),
    async sweep(now) {
      const more = await write(() => {
        judgements.prune();
        return sweep(now);
      });
      if (!commits.broken) await read(() => checkpoints.sweep());
      return more;
    },
    async ping() {
      await commits.probe((hard) => void beat.run({ at: clock.now(), ballast: hard ? BALLAST : null }));
      demandRoom(client.name);
    },
    async close() {
      if (closed) return;
      closed = true;
      await commits.close();
      finished = true;
      checkpoints.stop();
      // Closing would copy into the database what the log holds in memory and perhaps not on disk.
      if (!commits.broken) client.close();
      onClosed();
    },
  };
}
