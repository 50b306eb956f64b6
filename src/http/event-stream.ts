import type { CancelTimer, Clock } from "../clock.ts";
import type { FollowedEvents } from "../event-feed.ts";
import type { EventJson } from "../event-json.ts";

/** A silent stream says something this often, ms, so that both ends and what is between them know it lives. */
const HEARTBEAT = 15_000;
/** A reader that takes nothing for this long is cut, ms; it goes on later with Last-Event-ID. */
const STALLED = 60_000;
/** How long a client waits before it connects again, ms. */
const RECONNECT = 2_000;

/**
 * Events as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). Each is read from the
 * log only when the reader has taken the one before, so that a slow one costs no memory. Ends when `signal` aborts.
 */
export function eventStream(
  events: FollowedEvents,
  signal: AbortSignal,
  clock: Clock,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const over = new AbortController();
  const onAbort = () => end();
  let coming: Promise<readonly EventJson[] | undefined> | undefined;
  let stalled: CancelTimer = () => {};

  function end(): void {
    over.abort();
    stalled();
    signal.removeEventListener("abort", onAbort);
    events.close();
  }

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        signal.addEventListener("abort", onAbort, { once: true });
        if (signal.aborted) end();
        controller.enqueue(encoder.encode(`retry: ${RECONNECT}\n: connected\n\n`));
      },
      async pull(controller) {
        stalled();
        coming ??= events.next(over.signal).catch(() => undefined);
        const beat = timeout(clock, HEARTBEAT);
        const batch = await Promise.race([coming, beat.over]);
        beat.cancel();
        if (batch !== BEAT) coming = undefined;
        if (batch === undefined || over.signal.aborted) {
          end();
          controller.close();
          return;
        }
        controller.enqueue(encoder.encode(batch === BEAT ? ": \n\n" : batch.map(eventText).join("")));
        stalled = clock.after(STALLED, () => {
          end();
          controller.error(new Error("the reader of the events takes nothing"));
        });
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}

const BEAT = Symbol("a heartbeat is due");

function timeout(
  clock: Clock,
  delay: number,
): { readonly over: Promise<typeof BEAT>; readonly cancel: CancelTimer } {
  let cancel: CancelTimer = () => {};
  const over = new Promise<typeof BEAT>((resolve) => {
    cancel = clock.after(delay, () => resolve(BEAT));
  });
  return { over, cancel };
}

/** JSON has no line breaks, so one `data` line holds it. */
function eventText(event: EventJson): string {
  return `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}
