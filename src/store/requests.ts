import { idempotencyKeys } from "./schema.ts";
import { type Db, is, param, type Read, type Write } from "./statement.ts";

/** Which message a request with an idempotency key has made. */
export interface Requests {
  known(key: string): { readonly fingerprint: string; readonly message: number } | undefined;
  remember(key: string, fingerprint: string, message: number, createdAt: number): void;
}

export function createRequests(db: Db): Requests {
  const known: Read<{ key: string }, { fingerprint: string; message: number }> = db
    .select({ fingerprint: idempotencyKeys.fingerprint, message: idempotencyKeys.message })
    .from(idempotencyKeys)
    .where(is(idempotencyKeys.key, "key"))
    .prepare();
  const insert: Write<{ [Column in keyof KeyRow]: KeyRow[Column] }> = db
    .insert(idempotencyKeys)
    .values({
      key: param("key"),
      fingerprint: param("fingerprint"),
      message: param("message"),
      createdAt: param("createdAt"),
    })
    .prepare();
  return {
    known: (key) => known.get({ key }),
    remember: (key, fingerprint, message, createdAt) =>
      void insert.run({ key, fingerprint, message, createdAt }),
  };
}

type KeyRow = typeof idempotencyKeys.$inferSelect;
