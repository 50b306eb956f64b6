import type { CallToolResult } from "@modelcontextprotocol/server";
import { AppError, explainError } from "../errors.ts";
import type { Log } from "../log.ts";

/** A result for programs and, as `text`, for models that read only that. */
export function done(structuredContent: Record<string, unknown>, text?: string): CallToolResult {
  return {
    content: [{ type: "text", text: text ?? JSON.stringify(structuredContent) }],
    structuredContent,
  };
}

/** Runs a tool; what it rejects with becomes a failed result that says what to do, never internals. */
export async function guarded(
  tool: string,
  log: Log,
  run: () => Promise<CallToolResult>,
): Promise<CallToolResult> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof AppError)) {
      log.error("mcp.tool", { tool, error: String(error) });
      return failed("Internal error; the service's log says more.");
    }
    return failed(explainError(error));
  }
}

function failed(text: string): CallToolResult {
  return { content: [{ type: "text", text }], isError: true };
}
