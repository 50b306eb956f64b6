import type { MarkedToken, Tokens } from "marked";
import { isOnlyEmoji } from "./emoji.ts";
import type { Tags } from "./html.ts";
import { childrenOf, renderInline } from "./inline.ts";
import { Mark, withoutMarks } from "./marks.ts";

/**
 * Up to here a reader still finds the column by its place in the line: four columns whatever they hold, seven
 * when a line of them fits about two lines of a phone.
 */
const BY_PLACE = { columns: 4, shortColumns: 7, shortLine: 72 };

/**
 * A table as lines. Narrow ones keep their shape, `Plan: Price, Users` over `Basic: 5 EUR, 1`; wide ones and
 * those of one row become `Header: value` lines. Every cell of the table is in the text, empty ones as `-`.
 */
export function renderTable(table: Tokens.Table, tags: Tags): string {
  const header = table.header.map((cell) => renderCell(cell, tags));
  const rows = table.rows.map((row) => row.map((cell) => renderCell(cell, tags)));
  const single = rows.length === 1 && header.length > 2;
  return single || isWide([header, ...rows]) ? records(header, rows) : lines(header, rows);
}

function isWide(rows: readonly (readonly string[])[]): boolean {
  const columns = rows[0]?.length ?? 0;
  if (columns <= BY_PLACE.columns) return false;
  const length = (row: readonly string[]) => row.reduce((sum, cell) => sum + withoutMarks(cell).length, 0);
  return columns > BY_PLACE.shortColumns || rows.some((row) => length(row) > BY_PLACE.shortLine);
}

function records(header: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return header.filter((title) => title !== "").join(", ");
  const record = (row: readonly string[]) =>
    row
      .map((cell, i) => pair(header[i] ?? "", cell))
      .filter((line) => line !== "")
      .join("\n");
  return rows.map(record).join(Mark.GAP);
}

function pair(title: string, cell: string): string {
  if (title === "") return cell;
  return `${title}${title.endsWith(":") ? "" : ":"} ${cell === "" ? "-" : cell}`;
}

function lines(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = header.some((title) => title !== "") ? [header, ...rows] : rows;
  const keys = all.map((row) => row[0] ?? "");
  const others = all.flatMap((row) => row.slice(1));
  const afterKey = keys.some((key) => withoutMarks(key).includes(":")) ? " - " : ": ";
  const between =
    [", ", "; ", " / "].find((mark) => !others.some((cell) => cell.includes(mark.trim()))) ?? " | ";
  return all
    .map((row) => {
      const [key = "", ...cells] = row;
      const values = cells.map((cell) => (cell === "" ? "-" : cell)).join(between);
      if (key === "" || values === "") return key + values;
      return `${key}${key.endsWith(":") ? " " : afterKey}${values}`;
    })
    .join("\n");
}

function renderCell(cell: Tokens.TableCell, tags: Tags): string {
  const tokens: readonly MarkedToken[] = childrenOf(cell);
  const text = renderInline(tokens, tags)
    .trim()
    .replace(/\s*[\n\uFDD2\uFDD3]+\s*/g, " / ");
  return isOnlyEmoji(text) ? Mark.SOLE + text : text;
}
