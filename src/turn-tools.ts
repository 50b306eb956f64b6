import { addressKind } from "./address.ts";
import type { AwaitSignal } from "./await-signal.ts";
import type { Clock } from "./clock.ts";
import { allows, type PolicyEngine } from "./policy.ts";
import type { TurnStore } from "./store.ts";
import type { ConfirmCall, JournalEntry, Tool, TurnTools } from "./tool.ts";
import type { Turn } from "./turn.ts";

export interface TurnToolsSeams {
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  readonly store: Pick<TurnStore, "journal" | "appendJournal">;
  readonly awaitSignal: AwaitSignal;
  /** Further built-in tools. */
  readonly builtIn: readonly Tool[];
  readonly confirm: ConfirmCall;
  readonly clock: Clock;
}

/**
 * What the agent of one turn works with: its journal, the built-in tools, and the gate every call goes through.
 * `invoke_tool` is asked for the sender of the turn at the moment of the call.
 */
export async function turnTools(
  seams: TurnToolsSeams,
  turn: Turn,
  paired: boolean,
): Promise<TurnTools & { readonly entries: readonly JournalEntry[] }> {
  const { store, clock } = seams;
  const entries = await store.journal(turn.id);
  if (entries.length > 0) await seams.awaitSignal.forgetOrphans(turn.id, entries);
  return {
    entries,
    builtIn: [seams.awaitSignal.tool, ...seams.builtIn],
    confirm: seams.confirm,
    journal: { entries, append: (more) => store.appendJournal(turn.id, more) },
    async authorize(tool, context) {
      const decision = seams.policy().decide({
        action: "invoke_tool",
        agent: context.agent,
        tool: tool.name,
        ...(tool.server === undefined ? {} : { server: tool.server }),
        sender: {
          address: context.from,
          kind: addressKind(context.from) ?? "alphanumeric",
          country: seams.countryOf(context.from),
          paired,
        },
        channel: context.channel,
        now: clock.now(),
      });
      const { policies } = decision;
      if (allows(decision)) return { allowed: true, policies };
      const rule = policies.length === 0 ? "no policy permits it" : policies.join(", ");
      return { allowed: false, policies, reason: `This person may not use ${tool.name} (${rule}).` };
    },
  };
}
