import { createHash } from "node:crypto";

/** Bytes of a result that are kept and told to the model. */
export const MAX_RESULT = 32 * 1024;

/** Told as the result of a call that had none when the turn was run again. */
export const UNKNOWN_OUTCOME =
  "Outcome unknown: the service was interrupted while this call ran. It may have taken effect or not, and it was not repeated.";

/** `text` in at most `limit` bytes of UTF-8, with a note where it was cut. Never splits a character. */
export function capped(text: string, limit: number): string {
  if (text.length * 3 <= limit) return text;
  const bytes = new TextEncoder().encode(text);
  if (bytes.byteLength <= limit) return text;
  const note = `\n[cut here; it had ${sizeOf(bytes.byteLength)}]`;
  const kept = bytes.subarray(0, Math.max(0, limit - note.length));
  return `${new TextDecoder().decode(kept, { stream: true })}${note}`; // as a stream, a half character is dropped
}

export function sizeOf(bytes: number): string {
  return bytes < 1024 ? `${bytes} bytes` : `${Math.round(bytes / 1024)} KiB`;
}

/**
 * The name of the fence around data in a turn's prompt. Nobody who writes such data knows the turn's id, so
 * nobody can write the end of the fence into it; and it is the same when the turn is run again.
 */
export function fenceOf(turnId: string): string {
  return `data-${createHash("sha256").update(`fence ${turnId}`).digest("hex").slice(0, 8)}`;
}

/** What tools answer is data, some of it written by strangers: the model is told where it begins and ends. */
export function fenced(text: string, fence: string): string {
  return `<${fence}>\n${text.replaceAll(fence, "[...]")}\n</${fence}>`;
}
