import { desc } from "drizzle-orm";
import type { StoredToken } from "../token-store.ts";
import { tokens } from "./schema.ts";
import { type Db, is, param, type Read, setTo, type Write } from "./statement.ts";

type TokenRow = typeof tokens.$inferSelect;

/** API tokens, by their hashes. */
export interface Tokens {
  add(token: StoredToken, hash: string): void;
  all(): readonly StoredToken[];
  byHash(hash: string): StoredToken | undefined;
  remove(id: string): boolean;
  used(id: string, at: number): void;
}

export function createTokens(db: Db): Tokens {
  const insert: Write<Omit<TokenRow, "seq" | "lastUsedAt">> = db
    .insert(tokens)
    .values({
      id: param("id"),
      name: param("name"),
      hash: param("hash"),
      scopes: param("scopes"),
      channels: param("channels"),
      createdAt: param("createdAt"),
      expiresAt: param("expiresAt"),
    })
    .prepare();
  const all: Read<Record<string, never>, TokenRow> = db
    .select()
    .from(tokens)
    .orderBy(desc(tokens.seq))
    .prepare();
  const byHash: Read<{ hash: string }, TokenRow> = db
    .select()
    .from(tokens)
    .where(is(tokens.hash, "hash"))
    .prepare();
  const remove: Write<{ id: string }> = db.delete(tokens).where(is(tokens.id, "id")).prepare();
  const used: Write<{ id: string; at: number }> = db
    .update(tokens)
    .set({ lastUsedAt: setTo("at") })
    .where(is(tokens.id, "id"))
    .prepare();

  return {
    add({ id, name, scopes, channels, createdAt, expiresAt }, hash) {
      insert.run({
        id,
        name,
        hash,
        scopes,
        channels: channels ?? null,
        createdAt,
        expiresAt: expiresAt ?? null,
      });
    },
    all: () => all.all({}).map(tokenOf),
    byHash(hash) {
      const row = byHash.get({ hash });
      return row && tokenOf(row);
    },
    remove: (id) => remove.run({ id }).changes > 0,
    used: (id, at) => void used.run({ id, at }),
  };
}

function tokenOf(row: TokenRow): StoredToken {
  const { id, name, scopes, channels, createdAt, expiresAt, lastUsedAt } = row;
  return {
    id,
    name,
    scopes,
    ...(channels === null ? {} : { channels }),
    createdAt,
    ...(expiresAt === null ? {} : { expiresAt }),
    ...(lastUsedAt === null ? {} : { lastUsedAt }),
  };
}
