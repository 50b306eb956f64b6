import type { McpServer, ServerContext } from "@modelcontextprotocol/server";
import { z } from "zod";
import { signalJson } from "../signal-json.ts";
import type { AwaitOutcome } from "../waiting.ts";
import { CATEGORIES } from "../watch.ts";
import { reportProgress } from "./progress.ts";
import { done, guarded } from "./result.ts";
import type { McpCall } from "./server.ts";

const duration = z.union([z.string(), z.number()]);
const described = {
  channel: z.string().optional().describe("Only texts on this channel (see list_channels)."),
  from: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe('Only from these senders: "+15551234567", "22000", "MYBANK"; a trailing * matches a prefix.'),
  match: z
    .string()
    .optional()
    .describe("Only texts in which this regular expression (RE2 syntax) is found; (?i) ignores case."),
  origin: z
    .string()
    .optional()
    .describe("Only codes bound to this host, as in a last line `@example.com #123456`."),
  timeout: duration
    .optional()
    .describe("How long to wait: 25s unless given, at most 300s. Call again to go on waiting."),
  backfill: duration
    .optional()
    .describe(
      "Also consider texts that came up to this long before the call: 120s unless given, at most 10m.",
    ),
  consume: z
    .enum(["claim", "peek"])
    .optional()
    .describe("claim (default) takes the text so that nobody else gets it; peek only looks."),
};

const signal = z.looseObject({
  id: z.string(),
  message_id: z.string(),
  channel: z.string(),
  from: z.string(),
  received_at: z.string(),
  text: z.string(),
  category: z.string(),
  code: z.string().optional(),
  link: z.string().optional(),
  origin: z.string().optional(),
  confidence: z.number(),
});
const status = z.enum(["matched", "timeout"]);

const annotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: true,
};

/** The tools that wait: `wait_for_code` for the code alone, `await_signal` for anything that arrives. */
export function registerWaitTools(server: McpServer, call: McpCall): void {
  server.registerTool(
    "wait_for_code",
    {
      title: "Wait for a verification code",
      description:
        "Waits for a text message with a verification code and returns the code. Start the login first, then call this: a code that arrived up to two minutes before is found too. A time-out is no failure; call again to go on waiting. Say from, match or origin where you know them, so that you are not given the code of somebody else's login.",
      inputSchema: z.strictObject(described),
      outputSchema: z.object({ status, code: z.string().optional(), signal: signal.optional() }),
      annotations,
    },
    (input, context) =>
      guarded("wait_for_code", call.log, async () => {
        const outcome = await wait({ ...input, category: "verification_code" }, context, call);
        if (outcome.status === "timeout")
          return done({ status: "timeout" }, "No code has arrived yet. Call again to go on waiting.");
        const found = signalJson(outcome.signal);
        return done(
          { status: "matched", ...(found.code === undefined ? {} : { code: found.code }), signal: found },
          found.code ?? found.text,
        );
      }),
  );
  server.registerTool(
    "await_signal",
    {
      title: "Wait for a text message",
      description:
        "Waits for a text message that passes every given filter: a code, a confirmation link, a delivery notice, anything. Returns its text and what was found in it. A time-out is no failure; call again to go on waiting.",
      inputSchema: z.strictObject({
        ...described,
        category: z.enum(CATEGORIES).optional().describe("Only texts of this kind."),
        instructions: z
          .string()
          .optional()
          .describe("What the text must be, in words; judged by the channel's llm agent. Needs channel."),
        mode: z.enum(["once"]).optional().describe("A call ends with its first text."),
        expires_in: duration.optional().describe("The same as timeout; the shorter one counts."),
      }),
      outputSchema: z.object({ status, signal: signal.optional() }),
      annotations,
    },
    (input, context) =>
      guarded("await_signal", call.log, async () => {
        const outcome = await wait(input, context, call);
        return outcome.status === "timeout"
          ? done({ status: "timeout" }, "Nothing has arrived yet. Call again to go on waiting.")
          : done({ status: "matched", signal: signalJson(outcome.signal) });
      }),
  );
}

async function wait(input: unknown, context: ServerContext, call: McpCall): Promise<AwaitOutcome> {
  const { signal: abort, release } = call.cancellation(context);
  const stop = reportProgress(context, call.clock, "Waiting for the text message");
  try {
    return await call.waiting.awaitSignal(input, { caller: call.caller }, abort);
  } finally {
    stop();
    release();
  }
}
