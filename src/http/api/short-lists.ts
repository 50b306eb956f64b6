import { z } from "@hono/zod-openapi";
import { AppError } from "../../errors.ts";

/** Lists that are short by nature come whole, unless a smaller `limit` is asked for. */
export const shortListQuery = z.object({
  limit: z.coerce
    .number({ error: "Write a whole number from 1 to 200." })
    .int("Write a whole number from 1 to 200.")
    .min(1, "At least 1.")
    .max(200, "At most 200.")
    .optional(),
  cursor: z.string().max(1_000).optional(),
});

/**
 * One page of a whole list. The cursor names the last item of a page, so that what comes or goes before it shifts
 * nothing. Throws AppError `invalid` when that item is not in the list (any more).
 */
export function shortPage<T>(
  whole: readonly T[],
  { limit, cursor }: z.infer<typeof shortListQuery>,
  keyOf: (item: T) => string,
): { items: T[]; next_cursor?: string } {
  const last = cursor === undefined ? -1 : whole.findIndex((item) => cursorOf(keyOf(item)) === cursor);
  if (cursor !== undefined && last < 0)
    throw new AppError("invalid", "the cursor is not one of this list", {
      problems: [{ path: "cursor", message: "must be the next_cursor of a page of this list" }],
    });
  const items = whole.slice(last + 1, limit === undefined ? undefined : last + 1 + limit);
  const end = items.at(-1);
  const more = last + 1 + items.length < whole.length;
  return more && end !== undefined ? { items, next_cursor: cursorOf(keyOf(end)) } : { items };
}

/** Of characters that need no escaping in a URL, whatever the key. */
function cursorOf(key: string): string {
  return btoa(encodeURIComponent(key)).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_" })[c] ?? "");
}
