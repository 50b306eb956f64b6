import type Database from "better-sqlite3";
import { AppError } from "../errors.ts";
import { isDiskFailure, sqliteCode } from "./failure.ts";

/** What a database holds, for people. Of another version's tables, those that are there. */
export interface Contents {
  readonly messages: number;
  readonly conversations: number;
  readonly paired_addresses: number;
  readonly reminders: number;
  /** In the queue of sends. */
  readonly pending_sends: number;
  /** Turns that have not ended. */
  readonly unfinished_turns: number;
}

const COUNTS: Readonly<Record<keyof Contents, readonly [table: string, where: string]>> = {
  messages: ["messages", ""],
  conversations: ["conversations", ""],
  paired_addresses: ["paired_addresses", ""],
  reminders: ["reminders", ""],
  pending_sends: ["outbox", ""],
  unfinished_turns: ["turns", "WHERE ended_at IS NULL"],
};

export function contentsOf(client: Database.Database): Contents {
  const count = (key: keyof Contents): number => {
    const [table, where] = COUNTS[key];
    return hasTable(client, table)
      ? (client.prepare<[], number>(`SELECT count(*) FROM ${table} ${where}`).pluck().get() ?? 0)
      : 0;
  };
  return {
    messages: count("messages"),
    conversations: count("conversations"),
    paired_addresses: count("paired_addresses"),
    reminders: count("reminders"),
    pending_sends: count("pending_sends"),
    unfinished_turns: count("unfinished_turns"),
  };
}

export function hasTable(client: Database.Database, name: string): boolean {
  return (
    client.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?").get(name) !== undefined
  );
}

/** Findings of a check that are shown: one damaged page can bring thousands. */
const SHOWN = 10;

/**
 * Reads every page, and compares every index with its table. Answers what is wrong, nothing where all is well.
 * It takes some seconds per gigabyte. Throws what SQLite does when it cannot even read the schema.
 */
export function findDamage(client: Database.Database): readonly string[] {
  try {
    const found = client.prepare<[], string>(`PRAGMA integrity_check(${SHOWN})`).pluck().all();
    return found.length === 1 && found[0] === "ok" ? [] : found.flatMap((text) => text.split("\n"));
  } catch (error) {
    if (!isDiskFailure(error) || !/CORRUPT|NOTADB/.test(sqliteCode(error) ?? "")) throw error;
    return [error instanceof Error ? error.message : String(error)];
  }
}

/** As `findDamage`, for a file that must be whole. Throws AppError `unavailable` naming it. */
export function demandWhole(client: Database.Database, file: string, fix: string): void {
  const damage = findDamage(client);
  if (damage.length > 0)
    throw new AppError("unavailable", [`the database ${file} is damaged:`, ...damage].join("\n  "), { fix });
}
