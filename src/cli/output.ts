import { writeSync } from "node:fs";

/** Where a verb prints; tests give their own. */
export interface Output {
  readonly line: (text: string) => void;
}

export const stdout: Output = { line: (text) => writeAll(1, `${text}\n`) };
export const stderr: Output = { line: (text) => writeAll(2, `${text}\n`) };

/**
 * Writes everything before it returns. `process.stdout` keeps in memory what a slow pipe does not take yet,
 * and the end of the process would drop it.
 */
function writeAll(descriptor: number, text: string): void {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(descriptor, rest));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "EPIPE") return; // Whoever read has read enough, as `| head` does.
      if (code !== "EAGAIN") throw error;
      Atomics.wait(PAUSE, 0, 0, 5);
    }
  }
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/** Rows as aligned columns under their titles. Control characters of other people's texts are made visible. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const clean = rows.map((row) => row.map(printable));
  const widths = titles.map((title, column) =>
    Math.max(Bun.stringWidth(title), ...clean.map((row) => Bun.stringWidth(row[column] ?? ""))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell + " ".repeat(Math.max(0, (widths[column] ?? 0) - Bun.stringWidth(cell))))
      .join("  ")
      .trimEnd();
  return [line(titles), ...clean.map(line)].join("\n");
}

/** A text on one line, with nothing in it that would move a terminal's cursor. */
export function printable(text: string): string {
  return text
    .replace(/\r?\n/g, " ⏎ ")
    .replace(
      /[\p{Cc}\p{Cf}]/gu,
      (found) => `\\u${(found.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`,
    );
}

/** At most `length` columns of a terminal, cut between characters. */
export function shorten(text: string, length: number): string {
  if (Bun.stringWidth(text) <= length) return text;
  let kept = "";
  let width = 1;
  for (const { segment } of GRAPHEMES.segment(text)) {
    width += Bun.stringWidth(segment);
    if (width > length) break;
    kept += segment;
  }
  return `${kept}…`;
}

const GRAPHEMES = new Intl.Segmenter();

/** `json` as it came when asked for, else what `text` makes of it. */
export function print<T>(output: Output, value: T, json: boolean, text: (value: T) => string): void {
  output.line(json ? JSON.stringify(value, null, 2) : text(value));
}
