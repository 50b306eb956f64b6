import { type Agent, AgentFailure } from "./agent.ts";
import type { Log } from "./log.ts";
import type { AgentSettings } from "./settings.ts";

/** The configured agents, which may be exchanged while turns run. */
export interface AgentRegistry {
  /** Undefined for a name that is not configured. A turn begun on it ends on it, whatever is reloaded meanwhile. */
  get(name: string): Agent | undefined;
  /** Makes the agents whose settings are new or changed. Throws AppError `invalid`, and then has changed nothing. */
  prepare(settings: Readonly<Record<string, AgentSettings>>): PreparedAgents;
  /** Ends all of them, the exchanged ones that still work included. */
  close(): Promise<void>;
}

export interface PreparedAgents {
  /** Agents that are new, were changed or are gone. */
  readonly changed: readonly string[];
  /** Puts the agents in force. Exchanged ones are closed as soon as their last turn has ended. */
  commit(): void;
  discard(): void;
}

interface Entry {
  readonly agent: Agent;
  /** As its settings were given, to tell whether they have changed. */
  readonly key: string;
  running: number;
  retired: boolean;
  closed?: Promise<void>;
}

export function createAgentRegistry(seams: {
  readonly create: (settings: AgentSettings) => Agent;
  readonly log: Log;
}): AgentRegistry {
  const { create, log } = seams;
  let current: ReadonlyMap<string, Entry> = new Map();
  const retired = new Set<Entry>();

  /** Closes once; a failure to close is logged, since nobody could do anything about it. */
  function close(entry: Entry): Promise<void> {
    entry.closed ??= (async () => entry.agent.close?.())()
      .catch((error: unknown) => log.error("agent.close", { error: String(error) }))
      .finally(() => retired.delete(entry));
    return entry.closed;
  }

  function retire(entry: Entry): void {
    entry.retired = true;
    retired.add(entry);
    if (entry.running === 0) void close(entry);
  }

  /** Works with the agent of this name; it is not closed before the work is over. */
  async function working<T>(name: string, work: (agent: Agent) => Promise<T>): Promise<T> {
    // Looked up again: between asking for the agent and running it, it may have been exchanged.
    const entry = current.get(name);
    if (entry === undefined)
      throw new AgentFailure("cancelled", `The agent ${name} was taken out of the configuration.`);
    entry.running += 1;
    try {
      return await work(entry.agent);
    } finally {
      entry.running -= 1;
      if (entry.retired && entry.running === 0) void close(entry);
    }
  }

  return {
    get(name) {
      const found = current.get(name);
      if (found === undefined) return undefined;
      return {
        ...(found.agent.toolServers === undefined
          ? {}
          : { toolServers: () => current.get(name)?.agent.toolServers?.() ?? [] }),
        ...(found.agent.judge === undefined
          ? {}
          : {
              judge: (request, signal) =>
                working(name, async ({ judge }) => {
                  if (judge === undefined)
                    throw new AgentFailure("cancelled", `The agent ${name} is no longer one that can judge.`);
                  return judge(request, signal);
                }),
            }),
        run: (request, signal) => working(name, (agent) => agent.run(request, signal)),
      };
    },
    prepare(settings) {
      const next = new Map<string, Entry>();
      const made: Entry[] = [];
      const discard = () => {
        for (const entry of made) void close(entry);
      };
      try {
        for (const [name, one] of Object.entries(settings)) {
          const key = JSON.stringify(one);
          const old = current.get(name);
          const entry = old?.key === key ? old : { agent: create(one), key, running: 0, retired: false };
          if (entry !== old) made.push(entry);
          next.set(name, entry);
        }
      } catch (error) {
        discard();
        throw error;
      }
      const names = new Set([...current.keys(), ...next.keys()]);
      return {
        changed: [...names].filter((name) => current.get(name) !== next.get(name)),
        commit() {
          const old = current;
          current = next;
          for (const [name, entry] of old) if (next.get(name) !== entry) retire(entry);
        },
        discard,
      };
    },
    async close() {
      await Promise.all([...current.values(), ...retired].map(close));
    },
  };
}
