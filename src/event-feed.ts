import { AppError } from "./errors.ts";
import { EVENT_TYPES, type EventType } from "./event.ts";
import { type EventJson, eventJson, maySee } from "./event-json.ts";
import type { EventStore } from "./event-store.ts";
import { ADMIN, type Caller, can, demand } from "./token.ts";

/** The log of events as it goes on, for whoever follows it. */
export interface EventFeed {
  /**
   * Follows the log from now on, or from behind the event `lastEventId`. Rejects with AppError `forbidden` without
   * `read` (for `signal.matched` alone `signals:await` will do), `invalid` for what is no id of an event,
   * `unavailable` when too many follow already.
   */
  open(wanted: FeedQuery, caller: Caller): Promise<FollowedEvents>;
  /** Ends what is open, and takes no more. */
  stop(): void;
}

export interface FeedQuery {
  /** Absent for all that the caller may see. */
  readonly types?: readonly EventType[];
  readonly lastEventId?: string;
}

/** One follower. It reads the log only when asked, so a slow one keeps nothing in memory. */
export interface FollowedEvents {
  /** The next events, at least one; waits for them. Undefined when the service stops. Rejects when `signal` aborts. */
  next(signal: AbortSignal): Promise<readonly EventJson[] | undefined>;
  close(): void;
}

/** Events that are read at once. */
const BATCH = 50;
const MAX_FOLLOWERS = 200;
/** Of one API token, so that it cannot take them from all others. */
const MAX_FOLLOWERS_OF_TOKEN = 50;

export function createEventFeed(store: EventStore): EventFeed {
  const waiting = new Set<() => void>();
  /** Whose they are. */
  const followers = new Map<object, string>();
  let stopped = false;
  const wake = () => {
    for (const tell of waiting) tell();
    waiting.clear();
  };
  const unlisten = store.onEvents(wake);

  /** Resolves when there may be more; asked for before the log is read, so that nothing falls between. */
  function news(): { readonly came: Promise<void>; readonly leave: () => void } {
    let tell = () => {};
    const came = new Promise<void>((resolve) => {
      tell = resolve;
      waiting.add(tell);
    });
    return { came, leave: () => void waiting.delete(tell) };
  }

  async function start(lastEventId: string | undefined): Promise<number> {
    if (lastEventId === undefined) return store.lastEvent();
    const position = await store.eventPosition(lastEventId);
    if (position !== undefined) return position;
    throw new AppError("invalid", "Last-Event-ID is no id of an event.", {
      problems: [
        { path: "Last-Event-ID", message: "Send the id of the last event you got, or leave it out." },
      ],
    });
  }

  return {
    async open({ types: wanted, lastEventId }, caller) {
      const types = visibleTypes(wanted, caller);
      let after = await start(lastEventId);
      const follower = {};
      const own = [...followers.values()].filter((id) => id === caller.id).length;
      const mayOpen = caller.id === ADMIN.id || own < MAX_FOLLOWERS_OF_TOKEN;
      if (stopped || followers.size >= MAX_FOLLOWERS || !mayOpen)
        throw new AppError("unavailable", "No more streams of events can be opened at the moment.", {
          fix: "Close those that are not needed.",
        });
      followers.set(follower, caller.id);
      return {
        async next(signal) {
          while (!stopped) {
            signal.throwIfAborted();
            const { came, leave } = news();
            try {
              const page = await store.events({
                after,
                limit: BATCH,
                ...(types === undefined ? {} : { types }),
              });
              after = page.position;
              const seen = page.events.filter((event) => maySee(caller, event));
              if (seen.length > 0) return seen.map((event) => eventJson(caller, event));
              if (!page.more && !stopped) await orAborted(came, signal);
            } finally {
              leave();
            }
          }
          return undefined;
        },
        close: () => void followers.delete(follower),
      };
    },
    stop() {
      stopped = true;
      unlisten();
      wake();
    },
  };
}

/** The types that are followed; undefined for all. */
function visibleTypes(
  wanted: readonly EventType[] | undefined,
  caller: Caller,
): readonly EventType[] | undefined {
  if (can(caller, "read")) return wanted;
  const types = wanted ?? ["signal.matched"];
  if (types.some((type) => type !== "signal.matched")) demand(caller, "read");
  demand(caller, "signals:await");
  return types;
}

/** The types that a list as `alert,message.status` names. Throws AppError `invalid`. */
export function parseTypes(list: string): readonly EventType[] {
  const names = list
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const types = names.map((name) => EVENT_TYPES.find((type) => type === name) ?? refuse(name));
  return types.length > 0 ? types : refuse(list);
}

function refuse(name: string): never {
  throw new AppError("invalid", "types names no event.", {
    problems: [
      {
        path: "types",
        message: `${JSON.stringify(name.slice(0, 64))} is none of: ${EVENT_TYPES.join(", ")}.`,
      },
    ],
  });
}

function orAborted(came: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    came.then(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, reject);
    if (signal.aborted) onAbort();
  });
}
