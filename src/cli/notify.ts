import type { Command } from "commander";
import { call } from "./client.ts";
import { print, stdout } from "./output.ts";
import { sent } from "./shapes.ts";
import { withTarget } from "./target.ts";

interface NotifyOptions {
  readonly idempotencyKey?: string;
  readonly json?: boolean;
}

export function notifyVerb(program: Command): void {
  const verb = program
    .command("notify <text>")
    .description("text the home phone (home: in sms.yaml)")
    .option("--idempotency-key <key>", "the same key sends once, however often it is tried")
    .option("--json", "print the API's answer")
    .addHelpText("after", '\nExample:\n  sms-agent notify "The washing machine is done."');
  withTarget<NotifyOptions>(verb, async (target, options, text) => {
    const answer = await call(target, "POST", "/notify", sent, {
      body: { text },
      headers: options.idempotencyKey === undefined ? {} : { "idempotency-key": options.idempotencyKey },
    });
    print(stdout, answer, options.json === true, (value) => `${value.id}  ${value.state}`);
  });
}
