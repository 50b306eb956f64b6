import { isSendable } from "./address.ts";
import type { Channels } from "./channels.ts";
import { AppError } from "./errors.ts";
import { unknownChannel } from "./named-channel.ts";
import type { Sender, Settings } from "./settings.ts";
import { MAX_BODY } from "./text.ts";

/** A text that the operator, or a program through the API, wants sent. */
export interface SendCommand {
  readonly channel: string;
  readonly to: string;
  readonly body?: string;
  readonly mediaUrls?: readonly string[];
  readonly contentSid?: string;
  /** A JSON object of texts. */
  readonly contentVariables?: string;
  readonly idempotencyKey?: string;
}

export interface SendCheckSeams {
  readonly settings: () => Settings;
  readonly channels: Pick<Channels, "state">;
}

/** Rejects with AppError `invalid`, which names everything wrong with a send at once, each with its field. */
export function checkSend(command: SendCommand, seams: SendCheckSeams): SendCommand {
  const problems: { path: string; message: string }[] = [];
  const known = Object.keys(seams.settings().channels);
  if (!known.includes(command.channel))
    problems.push({
      path: "channel",
      message: unknownChannel(command.channel, known),
    });
  if (!isSendable(command.to))
    problems.push({
      path: "to",
      message: 'Write the number in E.164 form, "+15551234567" or "whatsapp:+15551234567".',
    });
  const settings = seams.settings().channels[command.channel];
  const own = settings === undefined ? [] : [...seams.channels.state(settings.id).numbers];
  if (settings?.sender.kind === "number") own.push(settings.sender.number);
  const channelled = settings === undefined ? undefined : wrongPrefix(settings.sender, command.to);
  if (channelled !== undefined) problems.push({ path: "to", message: channelled });
  if (own.includes(command.to)) problems.push({ path: "to", message: "This is the channel's own number." });
  const media = command.mediaUrls ?? [];
  if (media.length > 10) problems.push({ path: "media_urls", message: "At most 10." });
  for (const [index, url] of media.entries()) {
    if (!/^https?:\/\/[^\s]+$/i.test(url))
      problems.push({
        path: `media_urls.${index}`,
        message: "Only http and https URLs; upload a file first and use its url.",
      });
  }
  const body = command.body ?? "";
  if (body.length > MAX_BODY)
    problems.push({ path: "body", message: `At most ${MAX_BODY} characters; this has ${body.length}.` });
  const odd = unprintable(body);
  if (odd !== undefined) problems.push({ path: "body", message: `${odd} cannot be sent in a text.` });
  if (body.trim() === "" && media.length === 0 && command.contentSid === undefined)
    problems.push({ path: "body", message: "A message needs a body, media_urls or content_sid." });
  if (command.contentSid !== undefined && !/^HX[0-9a-fA-F]{32}$/.test(command.contentSid))
    problems.push({ path: "content_sid", message: "A content SID is HX followed by 32 hexadecimal digits." });
  if (command.contentVariables !== undefined && command.contentSid === undefined)
    problems.push({ path: "content_variables", message: "Goes only with content_sid." });
  else if (command.contentVariables !== undefined && !isVariables(command.contentVariables))
    problems.push({
      path: "content_variables",
      message: `Write an object whose values are texts, as {"1": "Ann"}, or the same as a JSON string.`,
    });
  if (problems.length > 0)
    throw new AppError("invalid", "The message cannot be sent as given.", { problems });
  return command;
}

/** The carrier takes a JSON object, all values of which are texts, and nothing else. */
function isVariables(json: string): boolean {
  try {
    const parsed: unknown = JSON.parse(json);
    if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return false;
    return Object.values(parsed).every((value) => typeof value === "string");
  } catch {
    return false;
  }
}

/** A number texts by SMS or by WhatsApp, and reaches only phones there; a Messaging Service may have senders of both. */
function wrongPrefix(sender: Sender, to: string): string | undefined {
  if (sender.kind !== "number" || !isSendable(to)) return undefined;
  const bare = to.replace(/^whatsapp:/, "");
  if (isWhatsApp(sender.number) === isWhatsApp(to)) return undefined;
  return isWhatsApp(to)
    ? `The channel texts by SMS from ${sender.number}; write ${bare}.`
    : `The channel texts by WhatsApp from ${sender.number}; write whatsapp:${bare}.`;
}

function isWhatsApp(address: string): boolean {
  return address.startsWith("whatsapp:");
}

/** The first control character or half of a surrogate pair, named; line breaks and tabs are fine. */
function unprintable(text: string): string | undefined {
  const found = /[^\P{Cc}\n\r\t]|\p{Cs}/u.exec(text)?.[0];
  if (found === undefined) return undefined;
  return `The character U+${(found.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** Two requests under one key are the same when all that reaches the phone is. */
export async function sendFingerprint(
  command: SendCommand,
  /** Tells an uploaded file by its content; undefined for other URLs. */
  digestOf: (url: string) => Promise<string | undefined>,
): Promise<string> {
  const { idempotencyKey: _key, mediaUrls = [], ...rest } = command;
  const media = await Promise.all(mediaUrls.map(async (url) => (await digestOf(url)) ?? url));
  const fields = Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([fields, media]);
}
