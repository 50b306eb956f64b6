import type { AgentRegistry } from "./agent-registry.ts";
import type { Current } from "./app-current.ts";
import type { Links } from "./app-links.ts";
import type { Seams } from "./app-seams.ts";
import { changedKeys, type Prepared } from "./configuration.ts";
import { AppError } from "./errors.ts";
import type { Settings } from "./settings.ts";

/** What takes over other settings. */
export interface ReloadParts {
  readonly current: Current;
  readonly agents: AgentRegistry;
  readonly links: Links;
  readonly stopping: () => boolean;
  readonly publicUrlChanged: () => void;
  /** What follows once they are in force. Never rejects. */
  readonly follow: () => Promise<void>;
}

/** First everything that can fail, then all of the rest: see `configuration.ts`. */
export function createPrepare(parts: ReloadParts, seams: Seams): (next: Settings) => Prepared {
  const { current, agents, links } = parts;
  return (next) => {
    if (parts.stopping())
      throw new AppError("conflict", "The service is stopping.", { fix: "Start it again." });
    const nextCurrent = current.prepare(next);
    const nextAgents = agents.prepare(next.agents);
    let nextLinks: ReturnType<Links["prepare"]>;
    try {
      nextLinks = links.prepare(next);
    } catch (error) {
      nextAgents.discard();
      throw error;
    }
    return {
      discard() {
        nextAgents.discard();
        nextLinks.discard();
      },
      async commit() {
        const old = current.settings();
        nextCurrent.commit();
        nextAgents.commit();
        if (changedKeys(old.log, next.log).length > 0) seams.configureLog?.(next.log);
        if (old.server.publicUrl !== next.server.publicUrl) parts.publicUrlChanged();
        nextLinks.commit();
        seams.log.info("config.reloaded", {
          channels: changedKeys(old.channels, next.channels),
          agents: nextAgents.changed,
        });
        await parts.follow();
      },
    };
  };
}
