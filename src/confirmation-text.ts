import type { TextTools } from "./text.ts";

/** Characters of one value that are shown at most, from what is readable to what still tells values apart. */
const WIDTHS = [80, 48, 32, 24, 16, 12, 8];
/** Values that are shown at most; how many more there are is said. */
const MOST = 6;
const MAX_SEGMENTS = 3;

/**
 * The text that asks for a confirmation: the tool, what it is called with, and the code. Whoever reads it decides by
 * it, so every value is shown, shortened until all fit into one SMS segment, or else into as few as they need. The
 * values are the model's, and a stranger may have talked it into them: they are made one plain line, and quoted.
 */
export function confirmationText(
  tool: string,
  input: Readonly<Record<string, unknown>>,
  code: string,
  { segments, truncate }: Pick<TextTools, "segments" | "truncate">,
): string {
  const bodyOf = (shown: string) =>
    `Allow ${plainName(tool)}${shown === "" ? "" : `: ${shown}`}? Reply ${code} within 10 minutes. Did not ask for this? Do not reply.`;
  for (let most = 1; most <= MAX_SEGMENTS; most++) {
    for (const width of WIDTHS) {
      const body = bodyOf(argumentsText(input, width));
      if (segments(body) <= most) return body;
    }
  }
  return bodyOf(truncate(argumentsText(input, 8), { segments: 1, characters: 100 }));
}

const ASKS = /^(Allow .*\? Reply )\d{6}( within 10 minutes\. Did not ask for this\? Do not reply\.)$/s;

/** A text that `confirmationText` made, without its code; any other as it is. */
export function withoutConfirmationCode(text: string): string {
  return text.replace(ASKS, "$1***$2");
}

function argumentsText(input: Readonly<Record<string, unknown>>, width: number): string {
  const all = Object.entries(input).filter(([, value]) => value !== undefined && value !== null);
  const shown = all
    .slice(0, MOST)
    .map(([name, value]) => `${shortened(name, 24)} ${valueText(value, width)}`);
  const more = all.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}

function valueText(value: unknown, width: number): string {
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return `"${shortened(text.replaceAll('"', "'"), width)}"`;
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** One line without control and direction characters, cut between graphemes. */
function shortened(text: string, width: number): string {
  const plain = text
    .slice(0, 2_000)
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Z}]+/gu, " ")
    .trim();
  const parts = Array.from(graphemes.segment(plain), ({ segment }) => segment);
  return parts.length <= width
    ? plain
    : `${parts
        .slice(0, width - 3)
        .join("")
        .trimEnd()}...`;
}

/** `home.unlock_door` as a person says it: `unlock door (home)`. */
function plainName(tool: string): string {
  const dot = tool.indexOf(".");
  const words = (name: string) =>
    name
      .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
      .replace(/[^A-Za-z0-9]+/g, " ")
      .trim()
      .toLowerCase()
      .slice(0, 40);
  return dot < 0 ? words(tool) : `${words(tool.slice(dot + 1))} (${words(tool.slice(0, dot))})`;
}
