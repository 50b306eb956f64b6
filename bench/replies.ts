/**
 * What a reply costs: segments and money of a corpus of model replies in eleven languages, sent
 * - `plain`: by this pipeline, with `economy: true` and with `economy: max`;
 * - `patterns`: with the Markdown markers taken away by regular expressions and the text cut at 1,600 characters,
 *   as SMS bridges for chat agents do. Its links lose their URLs;
 * - `parser`: rendered by a Markdown parser and split at boundaries, without economy.
 *
 * The replies (`corpus/<language>.md`) were written for this bench in the shapes chat models answer in when they are
 * told to be brief: the first line of the table says how many hold emoji, lists, tables, code and links.
 *
 * `bun run bench replies [--json] [--price 0.0083] [--currency USD]`
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { SegmentedMessage } from "sms-segments-calculator";
import { createTextTools } from "../src/text/tools.ts";
import { MAX_BODY } from "../src/text.ts";
import { option, publish, table } from "./report.ts";

export interface Reply {
  /** ISO 639-1, the name of the corpus file. */
  readonly language: string;
  readonly markdown: string;
}

const CORPUS = join(import.meta.dir, "corpus");
const SEPARATOR = "\n%%%%\n";

/** Every reply of the corpus; a reply stands between lines of `%%%%`. */
export function readCorpus(): readonly Reply[] {
  return readdirSync(CORPUS)
    .filter((file) => file.endsWith(".md") && file !== "README.md")
    .sort()
    .flatMap((file) =>
      readFileSync(join(CORPUS, file), "utf8")
        .split(SEPARATOR)
        .map((markdown) => ({ language: file.replace(".md", ""), markdown: markdown.trim() })),
    );
}

/** What SMS bridges commonly do with Markdown. Tables, rules and list markers stay; URLs of links go. */
function stripPatterns(markdown: string): string {
  return markdown
    .replace(/```[a-z]*\n?/gi, "")
    .replace(/`([^`]+)`/g, "$1")
    .replace(/!\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/\[([^\]]+)\]\([^)]*\)/g, "$1")
    .replace(/\*\*([\s\S]+?)\*\*/g, "$1")
    .replace(/__([\s\S]+?)__/g, "$1")
    .replace(/\*(.+?)\*/g, "$1")
    .replace(/_(.+?)_/g, "$1")
    .replace(/~~(.+?)~~/g, "$1")
    .replace(/^#{1,6}\s+/gm, "")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function cutEvery(text: string, length: number): string[] {
  const parts: string[] = [];
  for (let i = 0; i < text.length; i += length) parts.push(text.slice(i, i + length));
  return parts;
}

const tools = createTextTools();

/** The bodies each way of sending makes of a reply. */
const WAYS = {
  patterns: (markdown: string) => cutEvery(stripPatterns(markdown), MAX_BODY),
  parser: (markdown: string) => tools.split(tools.render(markdown, false), {}),
  economy: (markdown: string) => tools.split(tools.render(markdown, true), {}),
  max: (markdown: string) => tools.split(tools.render(markdown, "max"), {}),
} as const;
type Way = keyof typeof WAYS;
const NAMES = Object.keys(WAYS) as readonly Way[];

export interface Row {
  readonly group: string;
  readonly replies: number;
  readonly characters: number;
  readonly segments: Readonly<Record<Way, number>>;
  /** Segments against `patterns`. */
  readonly ratio: { readonly economy: number; readonly max: number };
}

/** One row per language, and the groups the targets are set for. Counted by Twilio's own calculator. */
export function measure(replies: readonly Reply[]): readonly Row[] {
  const counted = replies.map((reply) => ({ reply, segments: segmentsOf(reply.markdown) }));
  const languages = [...new Set(replies.map((reply) => reply.language))];
  const groups = new Map<string, (language: string) => boolean>();
  for (const language of languages) groups.set(language, (other) => other === language);
  groups.set("en+de", (language) => language === "en" || language === "de");
  groups.set("all", () => true);
  return [...groups].map(([group, includes]) => {
    const members = counted.filter(({ reply }) => includes(reply.language));
    const sum = (way: Way) => members.reduce((total, { segments }) => total + segments[way], 0);
    const segments = {
      patterns: sum("patterns"),
      parser: sum("parser"),
      economy: sum("economy"),
      max: sum("max"),
    };
    return {
      group,
      replies: members.length,
      characters: members.reduce((total, { reply }) => total + reply.markdown.length, 0),
      segments,
      ratio: { economy: segments.economy / segments.patterns, max: segments.max / segments.patterns },
    };
  });
}

function segmentsOf(markdown: string): Record<Way, number> {
  const count = (way: Way) =>
    WAYS[way](markdown).reduce((sum, body) => sum + new SegmentedMessage(body).segmentsCount, 0);
  return {
    patterns: count("patterns"),
    parser: count("parser"),
    economy: count("economy"),
    max: count("max"),
  };
}

const TARGETS = [
  { group: "en+de", way: "economy", at_most: 0.68 },
  { group: "all", way: "economy", at_most: 0.75 },
  { group: "all", way: "max", at_most: 0.68 },
] as const;

/** Prints the figures; true when the targets are reached. `args` as on the command line, after the bench's name. */
export function run(args: readonly string[]): boolean {
  const price = Number.parseFloat(option(args, "--price") ?? "0.0083");
  if (!(price >= 0)) throw new Error("--price takes a number, such as 0.0083");
  const currency = option(args, "--currency") ?? "USD";
  const replies = readCorpus();
  const rows = measure(replies);
  const targets = TARGETS.map((target) => {
    const reached = rows.find((row) => row.group === target.group)?.ratio[target.way] ?? Number.NaN;
    return { ...target, reached: round(reached), met: reached <= target.at_most };
  });
  const priced = rows.map((row) => ({
    ...row,
    ratio: { economy: round(row.ratio.economy), max: round(row.ratio.max) },
    money: Object.fromEntries(NAMES.map((way) => [way, round(row.segments[way] * price)])),
  }));
  return publish(args, {
    bench: "replies",
    figures: targets.map(({ group, way, at_most, reached, met }) => ({
      what: `segments against stripping by pattern: ${GROUPS[group]}, economy: ${way === "max" ? "max" : "true"}`,
      target: `at most ${at_most}`,
      reached: String(reached),
      met,
    })),
    details: { price, currency, rows: priced },
    text: tableOf(replies, rows, price, currency),
  });
}

const GROUPS = { "en+de": "English and German", all: "eleven languages" } as const;

function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}

const FEATURES: readonly (readonly [string, RegExp])[] = [
  ["characters outside GSM-7", /[^\n\r\f\t`!-_a-~ ¡£¤¥§¿ÄÅÆÉÑÖØÜßàäåæÇèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ€]/],
  ["emoji", /\p{Emoji_Presentation}/u],
  ["lists", /^ *(?:[-*]|\d+\.) /m],
  ["tables", /^\|/m],
  ["code", /`/],
  ["links", /https?:/],
];

function shares(replies: readonly Reply[]): string {
  const share = (pattern: RegExp) =>
    Math.round((100 * replies.filter((reply) => pattern.test(reply.markdown)).length) / replies.length);
  return `${FEATURES.map(([name, pattern]) => `${share(pattern)} % have ${name}`).join(", ")}.`;
}

function tableOf(replies: readonly Reply[], rows: readonly Row[], price: number, currency: string): string {
  const header = [
    "",
    "replies",
    "chars",
    ...NAMES.flatMap((way) => [way, currency]),
    "true/patterns",
    "max/patterns",
  ];
  const body = rows.map((row) => [
    row.group,
    String(row.replies),
    String(row.characters),
    ...NAMES.flatMap((way) => [String(row.segments[way]), (row.segments[way] * price).toFixed(2)]),
    row.ratio.economy.toFixed(3),
    row.ratio.max.toFixed(3),
  ]);
  return [
    `Segments and ${currency} at ${price} per segment, by how a reply is sent`,
    `Of ${replies.length} replies ${shares(replies)}`,
    "patterns: markers stripped by pattern, cut at 1,600; parser: Markdown parser, no economy",
    "",
    table(header, body),
    "",
  ].join("\n");
}

if (import.meta.main) process.exitCode = run(process.argv.slice(2)) ? 0 : 1;
