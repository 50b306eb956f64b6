import { and, asc, gt, lte, sql } from "drizzle-orm";
import type { TurnClaim } from "../store.ts";
import { mayTakeSlot, slotsLeftFor } from "../turn-slots.ts";
import { turns } from "./schema.ts";
import { type Db, is, param, type Read, upTo, type Write } from "./statement.ts";
import { SUSPECT_AFTER, type TurnRow } from "./turn-statements.ts";

/** One claim moves at most so many turns of an agent that became due later than they were to be: some 10 ms. */
const MAX_POSTPONED = 2_000;

/** Which turns are next. What it costs does not grow with how many wait, nor with whose they are. */
export interface TurnClaims {
  /**
   * Due turns that may start now, oldest first, with at most one of those that may have crashed the service. One
   * conversation, shared by channels, may have several among them.
   */
  due(claim: TurnClaim): readonly TurnRow[];
  /** When the next turn of these channels may start; those of the agents `full` are left out. */
  next(channels: readonly string[], full: readonly string[]): number | undefined;
}

export function createTurnClaims(db: Db): TurnClaims {
  const waiting = sql`${turns.state} = 'queued' and ${turns.head} = 1`;
  const keyIsFree = sql`not exists (select 1 from ${turns} as running where running.key = ${turns.key}
    and running.state = 'running')`;
  /** The agents that turns of a channel wait for are looked up one by one, from index entry to index entry. */
  const agentBehind: Read<{ channel: string; after: string }, { agent: string }> = db
    .select({ agent: turns.agent })
    .from(turns)
    .where(and(waiting, is(turns.channel, "channel"), gt(turns.agent, param("after"))))
    .orderBy(asc(turns.agent))
    .prepare();
  const ofAgent = and(
    waiting,
    sql`${turns.crashes} < ${SUSPECT_AFTER}`,
    is(turns.channel, "channel"),
    is(turns.agent, "agent"),
    keyIsFree,
  );
  const due: Read<{ channel: string; agent: string; now: number; limit: number }, TurnRow> = db
    .select()
    .from(turns)
    .where(and(ofAgent, lte(turns.lookAt, param("now"))))
    .orderBy(asc(turns.lookAt), upTo("limit", asc(turns.seq)))
    .prepare();
  const postpone: Write<{ seq: number }> = db
    .update(turns)
    .set({ lookAt: sql`${turns.dueAt}` })
    .where(is(turns.seq, "seq"))
    .prepare();
  const first: Read<{ channel: string; agent: string }, { lookAt: number }> = db
    .select({ lookAt: turns.lookAt })
    .from(turns)
    .where(ofAgent)
    .orderBy(asc(turns.lookAt))
    .prepare();
  const suspect: Read<{ channel: string }, TurnRow> = db
    .select()
    .from(turns)
    .where(
      and(
        // Spelt out, so that the index on suspects is used.
        sql`${waiting} and ${turns.crashes} >= ${sql.raw(String(SUSPECT_AFTER))}`,
        is(turns.channel, "channel"),
        keyIsFree,
      ),
    )
    .orderBy(asc(turns.lookAt))
    .prepare();
  const runningSuspect: Read<Record<string, never>, { seq: number }> = db
    .select({ seq: turns.seq })
    .from(turns)
    .where(sql`${turns.state} = 'running' and ${turns.crashes} >= ${SUSPECT_AFTER}`)
    .prepare();

  function agentsOf(channel: string): readonly string[] {
    const found: string[] = [];
    for (let after = ""; ; ) {
      const agent = agentBehind.get({ channel, after })?.agent;
      if (agent === undefined) return found;
      found.push(agent);
      after = agent;
    }
  }

  /** Passes over turns that texts have joined since; they are looked at again when they are due. */
  function dueOf(channel: string, agent: string, now: number, limit: number): readonly TurnRow[] {
    for (let postponed = 0; ; ) {
      const rows = due.all({ channel, agent, now, limit });
      const early = rows.filter(({ dueAt }) => dueAt > now);
      if (early.length === 0) return rows;
      for (const { seq } of early) postpone.run({ seq });
      postponed += early.length;
      if (postponed >= MAX_POSTPONED) return rows.filter(({ dueAt }) => dueAt <= now);
    }
  }

  /** The oldest of those that may have crashed the service, unless one of them runs. Agents that are full have it too. */
  function suspectOf(channels: readonly string[]): TurnRow | undefined {
    if (runningSuspect.get({}) !== undefined) return undefined;
    return channels.flatMap((channel) => suspect.get({ channel }) ?? []).sort(byDueTime)[0];
  }

  return {
    due({ channels, now, limit, held }) {
      const suspected = suspectOf(channels);
      const suspects = suspected !== undefined && suspected.dueAt <= now ? [suspected] : [];
      const most = (agent: string) =>
        held === undefined ? limit : Math.min(limit, slotsLeftFor(held.get(agent) ?? 0, limit));
      const rows = channels.flatMap((channel) =>
        agentsOf(channel).flatMap((agent) => {
          const wanted = most(agent);
          return wanted === 0 ? [] : dueOf(channel, agent, now, wanted);
        }),
      );
      rows.sort(byDueTime);
      return held === undefined ? [...suspects, ...rows] : inShares([...suspects, ...rows], held, limit);
    },
    next(channels, full) {
      const times = channels.flatMap((channel) =>
        agentsOf(channel).flatMap((agent) =>
          full.includes(agent) ? [] : (first.get({ channel, agent })?.lookAt ?? []),
        ),
      );
      const suspected = suspectOf(channels);
      if (suspected !== undefined) times.push(suspected.dueAt);
      return times.length === 0 ? undefined : Math.min(...times);
    },
  };
}

/** Leaves out what would give an agent more than its share of the `free` slots; a suspect is asked for no share. */
function inShares(
  rows: readonly TurnRow[],
  held: NonNullable<TurnClaim["held"]>,
  free: number,
): readonly TurnRow[] {
  const taken = new Map(held);
  let left = free;
  return rows.filter(({ agent, crashes }) => {
    const own = taken.get(agent) ?? 0;
    if (left === 0 || (crashes < SUSPECT_AFTER && !mayTakeSlot(own, left))) return false;
    taken.set(agent, own + 1);
    left -= 1;
    return true;
  });
}

function byDueTime(a: TurnRow, b: TurnRow): number {
  return a.dueAt - b.dueAt || a.seq - b.seq;
}
