import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { InboundEvent, Media } from "../message.ts";
import type { TwilioAccount } from "../settings.ts";
import { collect, parseRows } from "./pages.ts";
import { mediaPage, mediaShape } from "./resources.ts";
import type { RestClient } from "./rest.ts";
import { accountUrl } from "./urls.ts";

/** A text of the message list whose media are not looked up yet. */
export interface Listed {
  readonly event: InboundEvent;
  readonly hasMedia: boolean;
}

export interface WithMedia {
  readonly items: readonly InboundEvent[];
  /** Those whose media did not come, and what their senders texted after them; to be listed again. */
  readonly leftOut: readonly InboundEvent[];
}

/** A message whose media list was asked for in vain: since when (epoch ms), and how often. */
interface Missing {
  readonly since: number;
  readonly failures: number;
}

/** A text waits so long for its media list, from the first time that it did not come; then it goes without, ms. */
const GIVE_UP = 180_000;
/** It has been asked for this often, too: what was not asked for, because others' did not come, is not given up. */
const LEAST_FAILURES = 2;

/** Looks up the media of listed texts: a request for each. */
export function createListedMedia(seams: {
  readonly account: TwilioAccount;
  readonly rest: RestClient;
  readonly clock: Clock;
  readonly log: Log;
}): (fresh: readonly Listed[], signal: AbortSignal) => Promise<WithMedia> {
  const { account, rest, clock, log } = seams;
  const missing = new Map<string, Missing>();

  /**
   * What came of the requests. The first that fails ends them for this time, since the texts beside them wait; who has
   * failed before comes last, so that one message whose media never come keeps no other's back.
   */
  async function lookUp(fresh: readonly Listed[], signal: AbortSignal) {
    const found = new Map<string, readonly Media[]>();
    const failures = ({ event }: Pick<Listed, "event">) => missing.get(event.sid)?.failures ?? 0;
    const asked = fresh
      .filter(({ hasMedia }) => hasMedia)
      .sort((one, other) => failures(one) - failures(other));
    for (const { event } of asked) {
      if (signal.aborted) break;
      const media = await mediaOf(event.sid, signal);
      if (media === undefined) {
        const since = missing.get(event.sid)?.since ?? clock.now();
        missing.set(event.sid, { since, failures: failures({ event }) + 1 });
        break;
      }
      found.set(event.sid, media);
    }
    return found;
  }

  function isGivenUp(message: string): boolean {
    const { since, failures } = missing.get(message) ?? { since: 0, failures: 0 };
    // A clock that was set back makes nobody wait for longer.
    return failures >= LEAST_FAILURES && Math.abs(clock.now() - since) >= GIVE_UP;
  }

  async function mediaOf(message: string, signal: AbortSignal): Promise<readonly Media[] | undefined> {
    const path = `Messages/${message}/Media`;
    const list = { base: account.apiUrl, url: accountUrl(account, path), form: MEDIA, maxPages: 2 };
    const answer = await collect(rest, list, signal);
    if (answer.kind === "ok")
      return parseRows(answer.value.rows, mediaShape).items.map((row) => ({
        url: accountUrl(account, `${path}/${row.sid}`).replace(/\.json$/, ""),
        contentType: row.content_type,
      }));
    const reason = answer.kind === "refused" ? answer.error.meaning : answer.reason;
    // Deleted meanwhile. The text itself is not to be lost for its picture.
    const gone = answer.kind === "refused" && (answer.status === 404 || answer.status === 410);
    log.warn(gone ? "twilio.media_gone" : "twilio.media_unreachable", { sid: message, reason });
    return gone ? [] : undefined;
  }

  /** `fresh`: oldest first, and so are the answers. */
  return async (fresh, signal) => {
    const found = await lookUp(fresh, signal);
    const waiting = new Set<string>();
    const items: InboundEvent[] = [];
    const leftOut: InboundEvent[] = [];
    for (const { event, hasMedia } of fresh) {
      const media = hasMedia ? found.get(event.sid) : NONE;
      const given = media ?? (isGivenUp(event.sid) ? NONE : undefined);
      if (given === undefined || waiting.has(event.from)) {
        waiting.add(event.from);
        leftOut.push(event);
        continue;
      }
      if (media === undefined) log.warn("twilio.media_given_up", { sid: event.sid });
      items.push({ ...event, media: given });
    }
    const left = new Set(leftOut.map(({ sid }) => sid));
    for (const sid of missing.keys()) if (!left.has(sid)) missing.delete(sid);
    return { items, leftOut };
  };
}

const NONE: readonly Media[] = [];

const MEDIA = {
  shape: mediaPage,
  rows: (page: { media_list: unknown[] }) => page.media_list,
  next: (page: { next_page_uri?: string | null | undefined }) => page.next_page_uri,
};
