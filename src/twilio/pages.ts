import type * as z from "zod";
import type { RestResult } from "./answer.ts";
import type { RestClient } from "./rest.ts";
import { nextPage } from "./urls.ts";

/** How the pages of one list are read. */
export interface PageForm<P> {
  readonly shape: z.ZodType<P>;
  readonly rows: (page: P) => readonly unknown[];
  /** Twilio's link to the next page: `next_page_uri` of the 2010 API, `meta.next_page_url` of the others. */
  readonly next: (page: P) => string | null | undefined;
}

export interface Collected {
  readonly rows: readonly unknown[];
  /** False when there were more pages than `maxPages`. */
  readonly complete: boolean;
}

export interface PagedList<P> {
  /** The configured API the list is of. */
  readonly base: string;
  readonly url: string;
  readonly form: PageForm<P>;
  readonly maxPages: number;
  /** A page after the first is asked for again and again when it does not come: those before it would be in vain. */
  readonly patient?: true;
}

/** All rows of a list, page after page, as far as `maxPages`. */
export async function collect<P>(
  rest: RestClient,
  list: PagedList<P>,
  signal: AbortSignal,
): Promise<RestResult<Collected>> {
  const rows: unknown[] = [];
  const take = (page: readonly unknown[]) => {
    for (const row of page) rows.push(row);
  };
  const read = await readPages(rest, list, take, signal);
  return read.kind === "ok" ? { kind: "ok", value: { rows, complete: read.value.complete } } : read;
}

/** Reads a list as `collect` does, but holds one page at a time: for lists that may be long. */
export async function readPages<P>(
  rest: RestClient,
  { base, url, form, maxPages, patient }: PagedList<P>,
  take: (rows: readonly unknown[]) => void | Promise<void>,
  signal: AbortSignal,
): Promise<RestResult<Pick<Collected, "complete">>> {
  let at: string | undefined = url;
  for (let page = 0; page < maxPages && at !== undefined; page++) {
    const get = patient && page > 0 ? rest.getPatiently : rest.get;
    const answer: RestResult<P> = await get(at, form.shape, signal);
    if (answer.kind !== "ok") return answer;
    await take(form.rows(answer.value));
    at = nextPage(base, form.next(answer.value));
  }
  return { kind: "ok", value: { complete: at === undefined } };
}

/** The rows that have the expected shape, in order, and how many have not. */
export function parseRows<T>(
  rows: readonly unknown[],
  shape: z.ZodType<T>,
): { readonly items: readonly T[]; readonly odd: number } {
  const items: T[] = [];
  for (const row of rows) {
    const parsed = shape.safeParse(row);
    if (parsed.success) items.push(parsed.data);
  }
  return { items, odd: rows.length - items.length };
}
