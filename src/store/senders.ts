import { and, asc, gt, sql } from "drizzle-orm";
import { unionAll } from "drizzle-orm/sqlite-core";
import { ATTEMPT_WINDOW, LOCK_TIME, MAX_ATTEMPTS, type PairedAddress, type Pairing } from "../pairing.ts";
import type { HeldReply, SenderFacts } from "../store.ts";
import {
  confirmations,
  heldReplies,
  optOuts,
  pairedAddresses,
  pairingAttempts,
  pairingLocks,
  pairings,
} from "./schema.ts";
import { type Db, encoded, is, param, type Read, setTo, type Write } from "./statement.ts";

/** What is known of the people on the other side: pairing, opt-out, and replies that wait for `MORE`. */
export interface Senders {
  /** All but the calls that wait for a code of theirs. */
  facts(channel: string, address: string, now: number): SenderFacts;
  /** True when there is nothing of the sender but what `facts` reads of the channel: no call waits for a code. */
  isPlain(channel: string, address: string): boolean;
  /** A call begins to wait for the sender's code. Called before it is written. */
  remarked(channel: string, address: string): void;
  /** False when the code was spent, replaced or has expired. */
  redeem(pairingId: string, address: PairedAddress): boolean;
  wrongCode(channel: string, address: string, at: number): void;
  optOut(channel: string, address: string, at: number): void;
  optIn(channel: string, address: string): void;
  optedOut(channel: string, address: string): boolean;
  hold(channel: string, address: string, held: HeldReply | undefined): void;
  held(channel: string, address: string): HeldReply | undefined;
  savePairing(pairing: Pairing): void;
  deletePairing(channel: string): boolean;
  pairing(channel: string): Pairing | undefined;
  addresses(channel: string): readonly PairedAddress[];
  label(channel: string, address: string, label: string | undefined): boolean;
  revoke(channel: string, address: string): boolean;
}

type Sender = { channel: string; address: string };
type AddressRow = typeof pairedAddresses.$inferSelect;
type PairingRow = typeof pairings.$inferSelect;

export function createSenders(db: Db): Senders {
  const of = (
    table:
      | typeof pairedAddresses
      | typeof pairingLocks
      | typeof optOuts
      | typeof heldReplies
      | typeof confirmations,
  ) => and(is(table.channel, "channel"), is(table.address, "address"));

  const addresses: Read<{ channel: string }, AddressRow> = db
    .select()
    .from(pairedAddresses)
    .where(is(pairedAddresses.channel, "channel"))
    .orderBy(asc(pairedAddresses.address))
    .prepare();
  const pair: Write<Sender & { label: string | null; pairedAt: number }> = db
    .insert(pairedAddresses)
    .values({
      channel: param("channel"),
      address: param("address"),
      label: param("label"),
      pairedAt: param("pairedAt"),
    })
    .onConflictDoUpdate({
      target: [pairedAddresses.channel, pairedAddresses.address],
      set: {
        label: sql`coalesce(excluded.label, ${pairedAddresses.label})`,
        pairedAt: sql`excluded.paired_at`,
      },
    })
    .prepare();
  const label: Write<Sender & { label: string | null }> = db
    .update(pairedAddresses)
    .set({ label: setTo("label") })
    .where(of(pairedAddresses))
    .prepare();
  const revoke: Write<Sender> = db.delete(pairedAddresses).where(of(pairedAddresses)).prepare();

  const pairing: Read<{ channel: string }, PairingRow> = db
    .select()
    .from(pairings)
    .where(is(pairings.channel, "channel"))
    .prepare();
  const savePairing: Write<{ [Column in keyof PairingRow]: PairingRow[Column] }> = db
    .insert(pairings)
    .values({
      channel: param("channel"),
      id: param("id"),
      code: param("code"),
      createdAt: param("createdAt"),
      expiresAt: param("expiresAt"),
    })
    .onConflictDoUpdate({
      target: pairings.channel,
      set: {
        id: sql`excluded.id`,
        code: sql`excluded.code`,
        createdAt: sql`excluded.created_at`,
        expiresAt: sql`excluded.expires_at`,
      },
    })
    .prepare();
  const deletePairing: Write<{ channel: string }> = db
    .delete(pairings)
    .where(is(pairings.channel, "channel"))
    .prepare();
  const spend: Write<{ channel: string; id: string; at: number }> = db
    .delete(pairings)
    .where(and(is(pairings.channel, "channel"), is(pairings.id, "id"), gt(pairings.expiresAt, param("at"))))
    .prepare();

  const insertAttempt: Write<Sender & { at: number }> = db
    .insert(pairingAttempts)
    .values({ channel: param("channel"), address: param("address"), at: param("at") })
    .prepare();
  const ofAttempts = and(is(pairingAttempts.channel, "channel"), is(pairingAttempts.address, "address"));
  const countAttempts: Read<Sender & { since: number }, { count: number }> = db
    .select({ count: sql<number>`count(*)` })
    .from(pairingAttempts)
    .where(and(ofAttempts, gt(pairingAttempts.at, param("since"))))
    .prepare();
  const deleteAttempts: Write<Sender> = db.delete(pairingAttempts).where(ofAttempts).prepare();
  const lock: Write<Sender & { until: number }> = db
    .insert(pairingLocks)
    .values({ channel: param("channel"), address: param("address"), until: param("until") })
    .onConflictDoUpdate({
      target: [pairingLocks.channel, pairingLocks.address],
      set: { until: sql`excluded.until_at` },
    })
    .prepare();
  const lockOf: Read<Sender, { until: number }> = db
    .select({ until: pairingLocks.until })
    .from(pairingLocks)
    .where(of(pairingLocks))
    .prepare();

  const optOut: Write<Sender & { at: number }> = db
    .insert(optOuts)
    .values({ channel: param("channel"), address: param("address"), at: param("at") })
    .onConflictDoNothing()
    .prepare();
  const optIn: Write<Sender> = db.delete(optOuts).where(of(optOuts)).prepare();
  const optedOut: Read<Sender, { at: number }> = db
    .select({ at: optOuts.at })
    .from(optOuts)
    .where(of(optOuts))
    .prepare();

  const hold: Write<Sender & Omit<HeldReply, "parts"> & { parts: string | null }> = db
    .insert(heldReplies)
    .values({
      channel: param("channel"),
      address: param("address"),
      id: param("id"),
      conversationId: param("conversationId"),
      turnId: param("turnId"),
      parts: setTo("parts"),
      expiresAt: param("expiresAt"),
    })
    .onConflictDoUpdate({
      target: [heldReplies.channel, heldReplies.address],
      set: {
        id: sql`excluded.id`,
        conversationId: sql`excluded.conversation_id`,
        turnId: sql`excluded.turn_id`,
        parts: sql`excluded.parts`,
        expiresAt: sql`excluded.expires_at`,
      },
    })
    .prepare();
  const drop: Write<Sender> = db.delete(heldReplies).where(of(heldReplies)).prepare();
  /** A row for each of what few people have: one question tells that somebody has none of it. */
  const remarkable: Read<Sender, { one: number }> = unionAll(
    db.select({ one: sql<number>`1` }).from(pairingLocks).where(of(pairingLocks)),
    db.select({ one: sql<number>`1` }).from(heldReplies).where(of(heldReplies)),
    db.select({ one: sql<number>`1` }).from(optOuts).where(of(optOuts)),
    db
      .select({ one: sql<number>`1` })
      .from(confirmations)
      .where(and(of(confirmations), PENDING)),
  ).prepare();
  const held: Read<Sender, HeldReply> = db
    .select({
      id: heldReplies.id,
      conversationId: heldReplies.conversationId,
      turnId: heldReplies.turnId,
      parts: heldReplies.parts,
      expiresAt: heldReplies.expiresAt,
    })
    .from(heldReplies)
    .where(of(heldReplies))
    .prepare();

  /**
   * Who is paired, and the pending code: asked for with every text, and changed once in a month. What a transaction
   * reads is not kept, since it may be undone.
   */
  const known = new Map<
    string,
    { readonly all: readonly AddressRow[]; readonly code: PairingRow | undefined }
  >();

  function ofChannel(channel: string) {
    const kept = known.get(channel);
    if (kept !== undefined) return kept;
    const found = { all: addresses.all({ channel }), code: pairing.get({ channel }) };
    if (!db.$client.inTransaction) known.set(channel, found);
    return found;
  }

  /** Senders of whom there was nothing to know when they last texted, as nearly always. */
  const plain = new Map<string, Set<string>>();

  /** Somebody has, or had, one of the things that few people have. */
  function remarked(channel: string, address: string): void {
    plain.get(channel)?.delete(address);
  }

  /** What a transaction reads is not kept, since it may be undone. */
  function isPlain(sender: Sender): boolean {
    const { channel, address } = sender;
    const known = plain.get(channel);
    if (known?.has(address) === true) return true;
    if (remarkable.get(sender) !== undefined) return false;
    if (db.$client.inTransaction) return true;
    if (known === undefined || known.size >= MAX_PLAIN) plain.set(channel, new Set([address]));
    else known.add(address);
    return true;
  }

  /** To be called before the change. */
  function changes(channel: string): void {
    known.delete(channel);
  }

  return {
    isPlain: (channel, address) => isPlain({ channel, address }),
    remarked,
    facts(channel, address, now) {
      const sender = { channel, address };
      const { all, code } = ofChannel(channel);
      const own = all.find((row) => row.address === address);
      const ordinary = isPlain(sender);
      const until = ordinary ? 0 : (lockOf.get(sender)?.until ?? 0);
      const reply = ordinary ? undefined : held.get(sender);
      return {
        ...(own === undefined ? {} : { paired: addressOf(own) }),
        pairedAddresses: all.map((row) => row.address),
        optedOut: !ordinary && optedOut.get(sender) !== undefined,
        ...(code === undefined ? {} : { pairing: code }),
        ...(until > now ? { pairingLockedUntil: until } : {}),
        ...(reply === undefined || reply.expiresAt <= now ? {} : { held: reply }),
      };
    },
    redeem(pairingId, { channel, address, label, pairedAt }) {
      changes(channel);
      if (spend.run({ channel, id: pairingId, at: pairedAt }).changes === 0) return false;
      pair.run({ channel, address, label: label ?? null, pairedAt });
      deleteAttempts.run({ channel, address });
      return true;
    },
    wrongCode(channel, address, at) {
      const sender = { channel, address };
      insertAttempt.run({ ...sender, at });
      const count = countAttempts.get({ ...sender, since: at - ATTEMPT_WINDOW })?.count ?? 0;
      if (count < MAX_ATTEMPTS) return;
      remarked(channel, address);
      lock.run({ ...sender, until: at + LOCK_TIME });
      deleteAttempts.run(sender);
    },
    optOut(channel, address, at) {
      remarked(channel, address);
      optOut.run({ channel, address, at });
    },
    optIn: (channel, address) => void optIn.run({ channel, address }),
    optedOut: (channel, address) => optedOut.get({ channel, address }) !== undefined,
    hold(channel, address, reply) {
      remarked(channel, address);
      if (reply === undefined || reply.parts.length === 0) drop.run({ channel, address });
      else hold.run({ channel, address, ...reply, parts: encoded(reply.parts) });
    },
    held: (channel, address) => held.get({ channel, address }),
    savePairing(pending) {
      changes(pending.channel);
      savePairing.run({ ...pending });
    },
    deletePairing(channel) {
      changes(channel);
      return deletePairing.run({ channel }).changes > 0;
    },
    pairing: (channel) => pairing.get({ channel }),
    addresses: (channel) => addresses.all({ channel }).map(addressOf),
    label(channel, address, name) {
      changes(channel);
      return label.run({ channel, address, label: name ?? null }).changes > 0;
    },
    revoke(channel, address) {
      changes(channel);
      return revoke.run({ channel, address }).changes > 0;
    },
  };
}

/** Senders that are remembered to be plain; about 100 bytes each. */
const MAX_PLAIN = 10_000;
const PENDING = sql`${confirmations.state} = 'pending'`;

function addressOf(row: AddressRow): PairedAddress {
  return {
    channel: row.channel,
    address: row.address,
    ...(row.label === null ? {} : { label: row.label }),
    pairedAt: row.pairedAt,
  };
}
