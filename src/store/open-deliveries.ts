import { and, asc, gte, sql } from "drizzle-orm";
import type { OutboxStore } from "../store.ts";
import { messages, openDelivery } from "./schema.ts";
import { type Db, is, param, type Read, upTo } from "./statement.ts";

/** What is with the carrier and not at its end, for channels whose states are polled. Oldest first. */
export function createOpenDeliveries(
  db: Db,
): (
  ...query: Parameters<OutboxStore["openDeliveries"]>
) => Awaited<ReturnType<OutboxStore["openDeliveries"]>> {
  const position: Read<{ id: string }, { createdAt: number; seq: number }> = db
    .select({ createdAt: messages.createdAt, seq: messages.seq })
    .from(messages)
    .where(is(messages.id, "id"))
    .prepare();
  const page: Read<
    { channel: string; since: number; createdAt: number; seq: number; limit: number },
    { id: string; sid: string | null }
  > = db
    .select({ id: messages.id, sid: messages.providerSid })
    .from(messages)
    .where(
      and(
        openDelivery(messages),
        is(messages.channel, "channel"),
        gte(messages.createdAt, param("since")),
        sql`(${messages.createdAt}, ${messages.seq}) > (${param("createdAt")}, ${param("seq")})`,
        sql`${messages.providerSid} is not null`,
      ),
    )
    .orderBy(asc(messages.createdAt), upTo("limit", asc(messages.seq)))
    .prepare();

  return (channel, since, limit, after) => {
    const from = (after === undefined ? undefined : position.get({ id: after })) ?? {
      createdAt: -1,
      seq: -1,
    };
    return page
      .all({ channel, since, limit, ...from })
      .flatMap(({ id, sid }) => (sid === null ? [] : [{ id, sid }]));
  };
}
