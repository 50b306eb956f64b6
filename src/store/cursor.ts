import { AppError } from "../errors.ts";

/** Position after which the next page begins: the sort values of the last row of this one. */
export type Position = readonly number[];

/** Opaque to callers; `list` keeps a cursor of one list from being used for another. */
export function writeCursor(list: string, position: Position): string {
  return `${list}.${position.map((part) => part.toString(36)).join(".")}`;
}

/** The position in a cursor of `list` with `length` parts, or AppError `invalid`. */
export function readCursor(list: string, cursor: string, length: number): Position {
  const [name, ...parts] = cursor.split(".");
  const position = parts.map((part) =>
    /^[0-9a-z]{1,11}$/.test(part) ? Number.parseInt(part, 36) : Number.NaN,
  );
  if (name !== list || position.length !== length || !position.every(Number.isSafeInteger))
    throw new AppError("invalid", "the cursor is not one of this list", {
      problems: [{ path: "cursor", message: "must be the next_cursor of a page of this list" }],
    });
  return position;
}

/** Most rows of one page. */
const MAX_PAGE = 500;

export function pageSize(limit: number): number {
  return Math.min(MAX_PAGE, Math.max(1, Math.trunc(limit)));
}
