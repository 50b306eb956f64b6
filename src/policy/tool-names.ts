import type { PolicyInfo } from "../policy.ts";
import type { NamedTool } from "../policy-tools.ts";
import { parsePolicy } from "./cedar.ts";
import { nodes } from "./expression.ts";
import { uidsOf } from "./names.ts";
import { isFaults } from "./parse.ts";

/** Tells which tools policies name, wherever in them; a policy is read once, however often it is asked about. */
export function createToolNames(): (policies: readonly PolicyInfo[]) => readonly NamedTool[] {
  let read: ReadonlyMap<string, readonly string[]> = new Map();
  return (policies) => {
    const earlier = read;
    read = new Map(policies.map(({ text }) => [text, earlier.get(text) ?? toolsIn(text)]));
    return policies.flatMap(({ id, source, text }) =>
      (read.get(text) ?? []).map((tool) => ({ policy: id, source, tool })),
    );
  };
}

function toolsIn(text: string): readonly string[] {
  if (!text.includes("Tool")) return [];
  const json = parsePolicy(text);
  // A policy in force has been parsed before.
  if (isFaults(json)) return [];
  const uids = [...nodes(json)].flatMap(([key, value]) => uidsOf(key, value));
  return [...new Set(uids.filter(({ type }) => type === "Policy::Tool").map(({ id }) => id))];
}
