import { addressKind } from "../address.ts";
import type { ChatMessage, TurnRequest } from "../agent.ts";
import { describeMedia } from "./attachments.ts";

/** A message as chat endpoints take it. */
export interface PromptMessage {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/**
 * The operator's instructions, then how the agent is reached, the time, and whom it talks to: by label, never
 * by number. What changes stands last, so that a server's prompt cache keeps the part before it.
 */
export function systemPrompt(instructions: string, request: TurnRequest): string {
  const medium = MEDIUM[addressKind(request.from) ?? "mobile"];
  const label = request.label?.replace(/\s+/g, " ").trim().slice(0, 80) ?? "";
  return [
    instructions.trim(),
    `You talk by ${medium}. Each of your answers is sent to a phone as it stands and paid for by its length: ` +
      "be brief, write plain text without Markdown, headings or tables, and give links as bare URLs.",
    label === "" ? "The name of the person you talk to is not known." : `You talk to: ${label}`,
    `It is now ${localTime(request.now, request.timezone)}.`,
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

const MEDIUM = {
  mobile: "text message (SMS)",
  shortcode: "text message (SMS)",
  alphanumeric: "text message (SMS)",
  whatsapp: "WhatsApp message",
  rcs: "text message (RCS)",
} as const;

/** `Friday, 21 November 2025, 06:25 (Europe/Berlin, GMT+01:00)`. */
function localTime(at: number, timeZone: string): string {
  const format = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat("en-GB", { timeZone, ...options });
  const day = format({ weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(at);
  const time = format({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(at);
  const offset = format({ timeZoneName: "longOffset" })
    .formatToParts(at)
    .find((part) => part.type === "timeZoneName")?.value;
  return `${day}, ${time} (${timeZone}, ${offset ?? "UTC"})`;
}

/**
 * The last `history` messages of the conversation, all texts of the open turn included. Neighbours of one
 * role become one message and the first is the user's, since many chat templates refuse anything else.
 */
export function promptMessages(request: TurnRequest, history: number): readonly PromptMessage[] {
  const whole = withOpenTurn(request);
  const unanswered = whole.length - 1 - whole.findLastIndex((message) => message.role === "assistant");
  const kept = whole.slice(-Math.max(1, history, unanswered));
  const merged: PromptMessage[] = [];
  for (const message of kept) {
    const content = contentOf(message);
    const last = merged.at(-1);
    if (content === "") continue;
    if (last?.role === message.role)
      merged[merged.length - 1] = { role: last.role, content: `${last.content}\n${content}` };
    else merged.push({ role: message.role, content });
  }
  if (merged[0]?.role !== "assistant") return merged;
  return kept.length < whole.length
    ? merged.slice(1)
    : [{ role: "user", content: "(You write first.)" }, ...merged];
}

function withOpenTurn(request: TurnRequest): readonly ChatMessage[] {
  if (request.messages.at(-1)?.role === "user") return request.messages;
  return [...request.messages, { role: "user", text: request.text, media: request.media }];
}

/** Attachments are named where they cannot be shown. A text of nothing but blanks is still a text. */
function contentOf({ role, text, media }: ChatMessage): string {
  const words = text.trim();
  if (media.length === 0) return words === "" && role === "user" ? "(an empty message)" : words;
  const verb = role === "user" ? "attached, not visible to you" : "sent with it";
  return `${words}\n[${verb}: ${describeMedia(media)}]`.trim();
}
