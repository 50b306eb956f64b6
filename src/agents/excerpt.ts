import { numberOf, redactAddress } from "../address.ts";
import type { TurnRequest } from "../agent.ts";

/** Shorter texts are left alone: cutting every "ok" out of an error message would leave none of it. */
const SHORTEST_PRIVATE = 4;
const LONGEST_EXCERPT = 300;
/** Of a long text only this much is looked at; an excerpt needs no more, and patterns stay fast. */
const CONSIDERED = 4096;

/**
 * What a provider, an endpoint or a command said about its failure, fit for an operator message: one line,
 * at most 300 characters (the last ones with `keep: "end"`), without the given secrets, anything that looks
 * like a key, the sender's number and the conversation's texts. Empty when nothing is left.
 */
export function excerpt(
  said: string,
  request: Pick<TurnRequest, "from" | "text" | "messages">,
  options: { readonly secrets: readonly string[]; readonly keep?: "start" | "end" },
): string {
  let text = options.keep === "end" ? said.slice(-CONSIDERED) : said.slice(0, CONSIDERED);
  for (const secret of options.secrets) {
    text = without(text, secret, "[secret]");
    text = without(text, secret.split(" ").at(-1) ?? "", "[secret]"); // the token of `Bearer …`
  }
  const texts = [request.text, ...request.messages.map((message) => message.text)]
    .flatMap((whole) => [whole, ...whole.split("\n")])
    .sort((a, b) => b.length - a.length);
  for (const each of texts) {
    text = without(text, each, "[text]");
    text = without(text, JSON.stringify(each).slice(1, -1), "[text]");
  }
  text = without(text, request.from, redactAddress(request.from));
  const number = numberOf(request.from);
  if (number !== undefined) {
    text = without(text, number, redactAddress(number));
    text = without(text, number.slice(1), redactAddress(number));
  }
  const line = text
    .replace(/\b(sk|pk|rk|xai|gsk)-[\w*.-]{8,}/gi, "[secret]")
    .replace(/\bBearer\s+[\w.~+/=-]{8,}/gi, "Bearer [secret]")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must go
    .replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ")
    .trim();
  if (line.length <= LONGEST_EXCERPT) return line;
  return options.keep === "end"
    ? `…${line.slice(-LONGEST_EXCERPT).replace(/^[\udc00-\udfff]/, "")}`
    : `${line.slice(0, LONGEST_EXCERPT).replace(/[\ud800-\udbff]$/, "")}…`;
}

function without(text: string, part: string, instead: string): string {
  return part.trim().length < SHORTEST_PRIVATE ? text : text.replaceAll(part.trim(), instead);
}

/** What an error body says to people: its error message, else its text without markup. */
export function explanationIn(body: string): string {
  const message = errorMessageIn(body);
  if (message !== undefined) return message;
  const text = body.slice(0, CONSIDERED);
  if (!/^\s*</.test(text)) return text;
  return text.replace(/<(script|style)\b.*?<\/\1>/gis, " ").replace(/<[^>]*>/g, " ");
}

/**
 * `error.message`, `error`, `message`, `detail` or `title` of a JSON object: the forms of OpenAI, Ollama,
 * FastAPI and RFC 9457. Undefined where there is none.
 */
export function errorMessageIn(body: string): string | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  for (let depth = 0; depth < 3; depth++) {
    if (typeof value !== "object" || value === null) break;
    const fields = new Map<string, unknown>(Object.entries(value));
    value = ["error", "message", "detail", "title"].map((key) => fields.get(key)).find((found) => found);
  }
  return typeof value === "string" ? value : undefined;
}
