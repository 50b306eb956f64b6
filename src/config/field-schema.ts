import { z } from "zod";
import { MAX_DURATION } from "../duration.ts";
import {
  type Read,
  readAddress,
  readCron,
  readCurrency,
  readDuration,
  readHost,
  readListen,
  readPath,
  readPublicUrl,
  readSenderNumber,
  readSid,
  readTimezone,
  readUrl,
} from "./fields.ts";

/**
 * Zod types of the file's leaves. Each carries in its metadata
 * - `description`, what the key does, for `sms-agent schema`
 * - `title`, what the value is ("duration"), which errors say too
 * - `examples`, the first of which errors propose. A key without a default needs one.
 */

/** Longest a timer of the runtime holds is 2³¹ − 1 ms, a little under 25 days. */
const MAX_TIMER = 24 * 86_400_000;

/**
 * A string that `read` understands. `pattern` is what editors are told of its form, from its beginning; a text
 * with an environment variable in it may have any.
 */
function readable<T>(title: string, example: string, read: (text: string) => Read<T>, pattern: string) {
  return (description: string) =>
    z
      .string()
      .transform((text, context) => settle(read(text), context))
      .meta({ title, description, examples: [example], pattern: withReference(pattern) });
}

function withReference(pattern: string): string {
  return `^(${pattern})|\\$\\{`;
}

/** The value, or the problem as an issue that carries its fix. */
function settle<T>(read: Read<T>, context: z.core.$RefinementCtx<unknown>): T {
  if (read.ok) return read.value;
  context.addIssue({ code: "custom", message: read.message, params: { fix: read.fix } });
  return z.NEVER;
}

const NUMBER = "\\+[1-9][0-9]{6,14}$";

export const senderNumber = readable(
  "phone number",
  "+15551234567",
  readSenderNumber,
  `(whatsapp:)?${NUMBER}`,
);
export const address = readable(
  "phone number",
  "+15559876543",
  readAddress,
  `(whatsapp:)?${NUMBER}|[0-9]{3,8}$|rcs:`,
);
export const listenAddress = readable(
  "listen address",
  "127.0.0.1:8080",
  readListen,
  "[^:]+:[0-9]+$|\\[.*\\]:[0-9]+$",
);
export const url = readable("URL", "https://example.com/path", readUrl, "https?://");
export const publicUrl = readable("URL", "https://sms.example.com", readPublicUrl, "https?://[^?#]*(#.*)?$");
export const host = readable("host name", "pi.example.com", readHost, "[A-Za-z0-9.-]+$");
export const cron = readable("cron expression", "0 7 * * *", readCron, "\\S+( +\\S+){4}$");
export const timezone = readable("time zone", "Europe/Berlin", readTimezone, "[A-Za-z]");
export const path = readable("path", "./data", readPath, "[^~]");
export const currency = readable("currency", "USD", readCurrency, "[A-Z]{3}$");
export const accountSid = sid("account sid", "AC");
export const apiKeySid = sid("API key sid", "SK");
export const serviceSid = sid("Messaging Service sid", "MG");

function sid(title: string, prefix: "AC" | "SK" | "MG") {
  const read = (text: string) => readSid(text, prefix);
  return readable(title, prefix + "0".repeat(32), read, `${prefix}[0-9a-fA-F]{32}$`);
}

/** Milliseconds. `timer`: it sets a timer of the runtime, which bounds it. */
export function duration(
  description: string,
  { least = 1, timer = true }: { least?: number; timer?: boolean } = {},
) {
  return z
    .union([z.string(), z.number()])
    .transform((value, context) =>
      settle(readDuration(value, least, timer ? MAX_TIMER : MAX_DURATION), context),
    )
    .meta({
      title: "duration",
      description,
      examples: ["30s"],
      pattern: withReference("[0-9]+(ms|s|m|h|d)$"),
      minimum: 0,
    });
}

/** A non-empty text. */
export function text(description: string, example: string, title = "text") {
  return z
    .string()
    .min(1)
    .meta({ title, description, examples: [example] });
}

/** The name of something defined elsewhere in the file. */
export function name(description: string, example: string) {
  return text(description, example, "name");
}

/** A secret; empty counts as absent. Its `…_file` twin is `secretFile`. */
export function secret(description: string) {
  return z.string().meta({ title: "secret", description: `${description} May be encrypted (enc:…).` });
}

/** Path of a file that holds the secret `key`; a line break at its end does not count. */
export function secretFile(key: string) {
  return z.string().meta({
    title: "path",
    description: `File that holds ${key}, as Docker secrets are given; instead of ${key}.`,
    examples: [`/run/secrets/${key}`],
  });
}

export function flag(description: string) {
  return z.boolean().meta({ title: "switch", description, examples: [true] });
}

export function count(description: string, most: number) {
  return z
    .int()
    .min(1)
    .max(most)
    .meta({ title: "whole number", description, examples: [1] });
}

export function amount(description: string) {
  return z
    .number()
    .min(0)
    .max(1_000)
    .meta({ title: "number", description, examples: [0.0083] });
}

export function choice<const T extends readonly [string, ...string[]]>(description: string, values: T) {
  return z.enum(values).meta({ title: "choice", description, examples: [values[0]] });
}

/** What is started, and its arguments: no shell reads it. */
export function command(description: string) {
  return z
    .array(text("The program, then one argument each.", "./reply.sh"))
    .min(1)
    .meta({ title: "command", description, examples: [["./reply.sh"]] });
}

export function environment(description: string) {
  return z
    .record(z.string(), z.string().meta({ title: "text", description: "Its value.", examples: ["C.UTF-8"] }))
    .meta({ title: "environment", description });
}

export function headers(description: string) {
  return z
    .record(z.string(), z.string().meta({ title: "text", description: "Its value.", examples: ["Bearer …"] }))
    .meta({ title: "headers", description });
}
