import { numberOf, redactAddress } from "../../address.ts";
import { excerpt, explanationIn } from "../excerpt.ts";
import { NotStarted } from "../process-group.ts";
import type { McpSdk } from "./connection.ts";

/**
 * Why an MCP server gave no result. `message` is for the operator; it holds no secret.
 *
 * - `unreached`: the request never got there
 * - `session`: the server has forgotten us, and did nothing
 * - `refused`: it answered, but not with a result
 * - `lost`: the connection ended or the time was over while it had the request; it may have acted on it
 */
export class McpFailure extends Error {
  override readonly name = "McpFailure";
  constructor(
    readonly kind: "unreached" | "session" | "refused" | "lost",
    message: string,
  ) {
    super(message);
  }
}

/** A JSON-RPC error code of our own, from the range left to implementations: a stream ended early. */
export const STREAM_ENDED = -32_099;

/** Makes out of whatever the SDK or a transport threw what it means. */
export function failureOf(sdk: McpSdk, error: unknown, secrets: readonly string[]): McpFailure {
  for (let each = error, depth = 0; each instanceof Error && depth < 8; each = each.cause, depth++) {
    if (each instanceof McpFailure) return each;
    if (each instanceof NotStarted) return new McpFailure("unreached", `the program ${each.message}`);
    if (each instanceof sdk.UnauthorizedError)
      return new McpFailure("refused", "it answered 401; check the server's headers");
    if (each instanceof sdk.SdkHttpError) {
      const { status, data } = each;
      const words = typeof data.text === "string" ? shown(explanationIn(data.text), secrets) : "";
      const what = `it answered ${status}${words === "" ? "" : `: ${words}`}`;
      return new McpFailure(status === 404 ? "session" : "refused", what);
    }
    if (each instanceof sdk.ProtocolError)
      return each.code === STREAM_ENDED
        ? new McpFailure("lost", each.message)
        : new McpFailure("refused", shown(each.message, secrets));
  }
  if (error instanceof sdk.SdkError && error.code === sdk.SdkErrorCode.ConnectionClosed)
    return new McpFailure("lost", "the connection ended");
  if (error instanceof Error && error.message === "Not connected")
    return new McpFailure("unreached", "the connection has ended");
  return new McpFailure("lost", shown(String(error), secrets));
}

/** What a server said, fit for a log line: short, without secrets, phone numbers and the given texts. */
export function shown(words: string, secrets: readonly string[], texts: readonly string[] = []): string {
  const messages = texts.map((text) => ({ role: "user" as const, text, media: [] }));
  return excerpt(words, { from: "", text: "", messages }, { secrets }).replace(/\+\d{7,15}/g, (number) =>
    redactAddress(numberOf(number) ?? number),
  );
}
