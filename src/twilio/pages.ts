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

/** All rows of a list, page after page, as far as `maxPages`. `base` is the configured API the list is of. */
export async function collect<P>(
  rest: RestClient,
  base: string,
  url: string,
  form: PageForm<P>,
  maxPages: number,
  signal: AbortSignal,
): Promise<RestResult<Collected>> {
  const rows: unknown[] = [];
  let at: string | undefined = url;
  for (let page = 0; page < maxPages && at !== undefined; page++) {
    const answer: RestResult<P> = await rest.get(at, form.shape, signal);
    if (answer.kind !== "ok") return answer;
    for (const row of form.rows(answer.value)) rows.push(row);
    at = nextPage(base, form.next(answer.value));
  }
  return { kind: "ok", value: { rows, complete: at === undefined } };
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
