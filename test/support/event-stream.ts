import type { PostBody } from "./consumer.ts";

/** One event as the stream told it. */
export interface Told {
  readonly id: string;
  readonly event: string;
  readonly body: PostBody;
}

/** A client of `GET /api/v1/events`. */
export interface EventClient {
  readonly status: number;
  readonly headers: Headers;
  readonly told: readonly Told[];
  /** Comments so far: the greeting and heartbeats. */
  readonly comments: readonly string[];
  /** Everything as it came. */
  readonly raw: () => string;
  until(check: (told: readonly Told[]) => boolean, what: string): Promise<void>;
  /** Resolves when the service ends the stream. */
  readonly ended: Promise<void>;
  close(): void;
}

export interface EventClientOptions {
  readonly adminUrl: string;
  readonly token: string;
  readonly types?: string;
  readonly lastEventId?: string;
}

const PATIENCE = 10_000;

/** Connects, and resolves once the greeting has come (or an answer that is no stream). */
export async function followEvents(options: EventClientOptions): Promise<EventClient> {
  const { adminUrl, token, types, lastEventId } = options;
  const abort = new AbortController();
  const query = types === undefined ? "" : `?types=${encodeURIComponent(types)}`;
  const response = await fetch(`${adminUrl}/api/v1/events${query}`, {
    headers: {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId }),
    },
    signal: abort.signal,
  });
  const told: Told[] = [];
  const comments: string[] = [];
  const watchers = new Set<() => void>();
  let raw = "";
  let done = false;

  const take = (block: string) => {
    const lines = block.split("\n");
    const field = (name: string) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
    for (const line of lines) if (line.startsWith(":")) comments.push(line.slice(1).trim());
    const data = field("data");
    if (data !== undefined)
      told.push({ id: field("id") ?? "", event: field("event") ?? "", body: JSON.parse(data) });
    for (const watcher of watchers) watcher();
  };
  const ended = (async () => {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for await (const chunk of response.body ?? []) {
        const text = decoder.decode(chunk, { stream: true });
        raw += text;
        const blocks = (rest + text).split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) take(block);
      }
    } catch {
      // The end of the connection is an end too.
    }
    done = true;
    for (const watcher of watchers) watcher();
  })();

  const wait = (check: () => boolean, what: string) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (check()) settle(resolve);
        else if (done) settle(() => reject(new Error(`the stream ended before ${what}: ${raw}`)));
      };
      const settle = (how: () => void) => {
        clearTimeout(timer);
        watchers.delete(look);
        how();
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`waited in vain for ${what}: ${raw}`))),
        PATIENCE,
      );
      watchers.add(look);
      look();
    });

  if (response.ok) await wait(() => comments.length > 0, "the greeting");
  return {
    status: response.status,
    headers: response.headers,
    told,
    comments,
    raw: () => raw,
    until: (check, what) => wait(() => check(told), what),
    ended,
    close: () => abort.abort(),
  };
}
