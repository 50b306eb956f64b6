import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { OfferedTools } from "../policy-tools.ts";

/** What agents need of the outside world. */
export interface AgentSeams {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly log: Log;
  /** Told each time a tool server was lost or could not be started. */
  readonly onToolServerDown?: (server: ToolServerDown) => void;
  /** Told in each turn of a name under `confirm` that no tool of its server has. */
  readonly onUnknownConfirm?: (confirm: UnknownConfirm) => void;
  /** Told in each turn, and by `doctor`, which tools a server offers. */
  readonly onTools?: (offered: OfferedTools) => void;
  /** All that a command sees of the service's own environment. */
  readonly env: {
    readonly PATH?: string | undefined;
    readonly HOME?: string | undefined;
    readonly LANG?: string | undefined;
  };
}

export interface UnknownConfirm {
  readonly agent: string;
  /** `server.tool`. */
  readonly tool: string;
}

export interface ToolServerDown {
  readonly agent: string;
  readonly server: string;
  readonly reason: string;
}

/** The part of `fetch` that agents use. `timeout: false` switches off Bun's idle limit of five minutes. */
export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>;
