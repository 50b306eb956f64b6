import { type Command, Option } from "commander";
import { call } from "./client.ts";
import { EXIT } from "./exit.ts";
import { print, shorten, stdout, table } from "./output.ts";
import { chooseChannel } from "./pair.ts";
import { decision, list, policy } from "./shapes.ts";
import { withTarget } from "./target.ts";

interface CheckOptions {
  readonly from: string;
  readonly channel?: string;
  readonly action: string;
  readonly agent?: string;
  readonly json?: boolean;
}

const ACTIONS = ["receive_message", "receive_signal", "send_message"];

export function policyVerb(program: Command): void {
  const policies = program
    .command("policy")
    .description("show the policies in force, or ask what they decide")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent policy list\n  sms-agent policy check --channel sms --from +15551234567",
    );
  listVerb(policies);
  checkVerb(policies);
}

function listVerb(policies: Command): void {
  const verb = policies
    .command("list")
    .description("every policy in force: built-in, generated and from files")
    .option("--text", "with their text")
    .option("--json", "print the API's answer")
    .addHelpText("after", "\nExample:\n  sms-agent policy list --config sms.yaml");
  withTarget<{ readonly text?: boolean; readonly json?: boolean }>(verb, async (target, options) => {
    const found = await call(target, "GET", "/policies", list(policy));
    print(stdout, found, options.json === true, ({ items }) =>
      options.text === true
        ? items.map((item) => `// ${item.id} (${item.source}, ${item.hits} hits)\n${item.text}\n`).join("\n")
        : table(
            ["ID", "EFFECT", "SOURCE", "HITS"],
            items.map((item) => [item.id, item.effect, shorten(item.source, 60), String(item.hits)]),
          ),
    );
  });
}

function checkVerb(policies: Command): void {
  const verb = policies
    .command("check")
    .description("would this sender get through, and why; exit code 1 when not")
    .requiredOption("--from <address>", "the sender (for send_message the recipient)")
    .option("--channel <id>", "the channel; needed when there are several")
    .addOption(
      new Option("--action <action>", "what is asked for").choices(ACTIONS).default("receive_message"),
    )
    .option("--agent <id>", "another agent than the channel's")
    .option("--json", "print the API's answer")
    .addHelpText("after", "\nExample:\n  sms-agent policy check --channel sms --from +15551234567");
  withTarget<CheckOptions>(verb, async (target, options) => {
    const answer = await call(target, "POST", "/policies/check", decision, {
      body: {
        action: options.action,
        channel: await chooseChannel(target, options.channel),
        from: options.from,
        ...(options.agent === undefined ? {} : { agent: options.agent }),
      },
    });
    print(stdout, answer, options.json === true, (value) => {
      const by = value.policies.length === 0 ? "no policy (default deny)" : value.policies.join(", ");
      const way =
        value.decision === "deny" && value.policies.length === 0 && options.action === "receive_message"
          ? ["Pair the phone (sms-agent pair), add it to allowed_senders, or write a policy that permits it."]
          : [];
      return [`${value.decision}: ${by}`, ...value.errors, ...way].join("\n");
    });
    if (answer.decision !== "allow") process.exitCode = EXIT.failed;
  });
}
