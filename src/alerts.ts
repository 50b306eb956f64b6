import type { CancelTimer, Clock } from "./clock.ts";
import type { AlertEvent } from "./event.ts";
import type { EventStore } from "./event-store.ts";
import type { Log } from "./log.ts";

/** How the operator is told: a line of the log and an `alert` event, once per cause and hour. */
export interface Alerts {
  /** Reads what was told before a restart. */
  start(): Promise<void>;
  /** Never throws. What the disk does not take is kept, and written when it does. */
  raise(alert: Omit<AlertEvent, "type">): void;
  /** What was told within the last hour, newest first; for a banner. */
  current(): readonly (AlertEvent & { readonly at: number })[];
  stop(): void;
}

export interface AlertsSeams {
  readonly store: Pick<EventStore, "appendEvent" | "alerts">;
  readonly clock: Clock;
  readonly log: Log;
}

/** The same cause is told again after this, ms. */
const AGAIN = 3_600_000;
const RETRY = 30_000;

type Told = AlertEvent & { readonly at: number };

export function createAlerts({ store, clock, log }: AlertsSeams): Alerts {
  const told = new Map<string, Told>();
  let unwritten: Told[] = [];
  let timer: CancelTimer | undefined;
  let stopped = false;

  function recent(): readonly Told[] {
    const since = clock.now() - AGAIN;
    for (const [cause, { at }] of told) if (at <= since) told.delete(cause);
    return [...told.values()].sort((a, b) => b.at - a.at);
  }

  async function write(): Promise<void> {
    const waiting = unwritten;
    unwritten = [];
    for (const alert of waiting) {
      try {
        await store.appendEvent(alert);
      } catch (error) {
        unwritten.push(alert);
        log.warn("alert.unwritten", { cause: alert.cause, error: String(error) });
      }
    }
    if (unwritten.length > 0 && !stopped) timer ??= clock.after(RETRY, again);
  }

  function again(): void {
    timer = undefined;
    void write();
  }

  return {
    async start() {
      for (const alert of await store.alerts(clock.now() - AGAIN)) told.set(alert.cause, alert);
    },
    raise(alert) {
      recent();
      if (told.has(alert.cause)) return;
      const event: Told = { type: "alert", ...alert, at: clock.now() };
      told.set(alert.cause, event);
      log.error("alert", {
        cause: alert.cause,
        channel: alert.channel,
        reason: alert.message,
        fix: alert.fix,
      });
      unwritten.push(event);
      if (timer === undefined) void write();
    },
    current: recent,
    stop() {
      stopped = true;
      timer?.();
    },
  };
}

/** Tells what is wrong with an agent's tools while its turns go on. */
export function toolAlerts(raise: Alerts["raise"]) {
  return {
    onToolServerDown: ({ agent, server, reason }: Readonly<Record<"agent" | "server" | "reason", string>>) =>
      raise({
        cause: `mcp.down/${agent}/${server}`,
        message: `The tool server ${server} of the agent ${agent} is down: ${reason}. The agent answers without its tools.`,
        fix: `It is started again when a turn needs it. If it stays down, check agents.${agent}.mcp_servers.${server}.`,
      }),
    onUnknownConfirm({ agent, tool }: Readonly<Record<"agent" | "tool", string>>) {
      const server = tool.slice(0, tool.indexOf("."));
      raise({
        cause: `confirm.unknown/${agent}/${tool}`,
        message: `agents.${agent}.confirm names ${tool}, which the tool server ${server} does not offer. Until that is mended every tool of ${server} must be confirmed.`,
        fix: `Write the tool's name as ${server} lists it, or take it out of agents.${agent}.confirm.`,
      });
    },
  };
}

/** Answers true once a thing has happened `count` times within `window` ms, and then counts anew. */
export function createBurst(clock: Clock, count: number, window: number): (key: string) => boolean {
  const counts = new Map<string, { since: number; seen: number }>();
  return (key) => {
    const now = clock.now();
    for (const [other, { since }] of counts) if (now - since > window) counts.delete(other);
    const entry = counts.get(key) ?? { since: now, seen: 0 };
    entry.seen += 1;
    counts.set(key, entry);
    if (entry.seen < count) return false;
    counts.delete(key);
    return true;
  };
}
