import type { Command } from "commander";
import { call } from "./client.ts";
import { print, stdout } from "./output.ts";
import { sent } from "./shapes.ts";
import { withTarget } from "./target.ts";

interface ResendOptions {
  readonly idempotencyKey?: string;
  readonly json?: boolean;
}

/** `messages resend`: for what came to a bad end, or to one that nobody knows. */
export function resendVerb(messages: Command): void {
  const verb = messages
    .command("resend <id>")
    .description(
      "send again what is unknown, failed or undelivered; have the agent answer a text that failed",
    )
    .option("--idempotency-key <key>", "the same key is one request, however often it is made")
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent messages --state unknown\n  sms-agent messages resend msg_01m7yfpjra8n54a127q0etd8rc",
    );
  withTarget<ResendOptions>(verb, async (target, options, id = "") => {
    const answer = await call(target, "POST", `/messages/${encodeURIComponent(id)}/resend`, sent, {
      headers: options.idempotencyKey === undefined ? {} : { "idempotency-key": options.idempotencyKey },
    });
    print(stdout, answer, options.json === true, (value) => `${value.id}  ${value.state}`);
  });
}
