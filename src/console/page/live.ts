import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, Refusal } from "./api.ts";

/** The service's events, shared by everything on the page that follows them. */
const heard = new EventTarget();
const TYPES = [
  "message.received",
  "message.status",
  "signal.matched",
  "channel.status",
  "conversation.ended",
  "alert",
];

/** Follows the service's events until the answer is called. The browser connects again by itself. */
export function follow(): () => void {
  let source: EventSource | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;
  const open = () => {
    source = new EventSource("/api/v1/events");
    for (const type of TYPES) source.addEventListener(type, () => heard.dispatchEvent(new Event(type)));
    source.addEventListener("error", () => {
      // Closed for good by an answer that was no stream: the service is starting, or the session is over.
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, 3_000);
    });
  };
  open();
  return () => {
    clearTimeout(again);
    source?.close();
  };
}

export interface Loaded<Answer> {
  readonly data: Answer | undefined;
  readonly error: string | undefined;
  readonly reload: () => void;
}

/** Events come in bursts; one look after them is enough, ms. */
const BURST = 150;

export interface LoadOptions {
  /** Events after which it is asked for again. */
  readonly on?: readonly string[];
  /** And every so often while the page is looked at, ms: not everything has an event. */
  readonly every?: number;
}

/** What the API answers to a path, kept up to date; the last answer stays while the next is under way. */
export function useLoad<Answer>(path: string | undefined, options: LoadOptions = {}): Loaded<Answer> {
  const [state, setState] = useState<{ path?: string; data?: Answer; error?: string }>({});
  const latest = useRef(0);
  const load = useCallback(() => {
    if (path === undefined) return;
    const mine = ++latest.current;
    get<Answer>(path).then(
      (data) => mine === latest.current && setState({ path, data }),
      (error: unknown) =>
        mine === latest.current &&
        setState((before) => ({
          ...(before.path === path ? before : { path }),
          error: error instanceof Refusal ? error.message : String(error),
        })),
    );
  }, [path]);
  const events = options.on?.join(" ") ?? "";
  useEffect(() => {
    load();
    let soon: ReturnType<typeof setTimeout> | undefined;
    const onEvent = () => {
      clearTimeout(soon);
      soon = setTimeout(load, BURST);
    };
    const names = events.split(" ").filter((name) => name !== "");
    for (const name of names) heard.addEventListener(name, onEvent);
    const timer =
      options.every === undefined
        ? undefined
        : setInterval(() => document.visibilityState === "visible" && load(), options.every);
    return () => {
      clearTimeout(soon);
      clearInterval(timer);
      for (const name of names) heard.removeEventListener(name, onEvent);
    };
  }, [load, events, options.every]);
  return {
    data: state.path === path ? state.data : undefined,
    error: state.path === path ? state.error : undefined,
    reload: load,
  };
}

/** Runs what the person asked for: one at a time, with its error in words. */
export function useAction(done?: () => void): {
  readonly busy: boolean;
  readonly error: string | undefined;
  readonly run: (action: () => Promise<unknown>) => void;
} {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  return {
    busy,
    error,
    run(action) {
      if (busy) return;
      setBusy(true);
      setError(undefined);
      action()
        .then(() => done?.())
        .catch((failure: unknown) => setError(failure instanceof Error ? failure.message : String(failure)))
        .finally(() => setBusy(false));
    },
  };
}

/** The time, told anew every `step` ms. */
export function useNow(step: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), step);
    return () => clearInterval(timer);
  }, [step]);
  return now;
}

/** What the address says behind its #, as `/messages?channel=sms`. */
export function useRoute(): { readonly path: string; readonly query: URLSearchParams } {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const onChange = () => setHash(location.hash);
    window.addEventListener("hashchange", onChange);
    return () => window.removeEventListener("hashchange", onChange);
  }, []);
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?");
  return { path: path === "" ? "/channels" : path, query: new URLSearchParams(query) };
}
