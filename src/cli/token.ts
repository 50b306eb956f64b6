import { type Command, Option } from "commander";
import { z } from "zod";
import { SCOPES } from "../token.ts";
import { call, type Target } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";
import { print, stderr, stdout, table } from "./output.ts";
import { list } from "./shapes.ts";
import { withTarget } from "./target.ts";

const token = z.looseObject({
  id: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  channels: z.array(z.string()).optional(),
  created_at: z.string(),
  expires_at: z.string().optional(),
  last_used_at: z.string().optional(),
});
const created = token.extend({ token: z.string() });

type Token = z.infer<typeof token>;

interface CreateOptions {
  readonly name: string;
  readonly scope: readonly string[];
  readonly channel?: readonly string[];
  readonly expires?: string;
  readonly json?: boolean;
}

export function tokenVerb(program: Command): void {
  const tokens = program
    .command("token")
    .description("API tokens: for programs that read, send, or wait for codes")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent token create --name ci --scope signals:await --channel codes --expires 30d\n  sms-agent token list\n  sms-agent token revoke ci",
    );
  listVerb(tokens);
  createVerb(tokens);
  revokeVerb(tokens);
}

function listVerb(tokens: Command): void {
  const verb = tokens
    .command("list")
    .description("every token, newest first; what they are themselves is not kept")
    .option("--json", "print the API's answer")
    .addHelpText("after", "\nExample:\n  sms-agent token list --json");
  withTarget<{ readonly json?: boolean }>(verb, async (target, options) => {
    const found = await call(target, "GET", "/tokens", list(token));
    print(stdout, found, options.json === true, ({ items }) =>
      items.length === 0
        ? "There is no token but the admin token. sms-agent token create makes one."
        : table(
            ["ID", "NAME", "SCOPES", "CHANNELS", "EXPIRES", "LAST USED"],
            items.map((item) => [
              item.id,
              item.name,
              item.scopes.join(" "),
              item.channels?.join(" ") ?? "all",
              item.expires_at ?? "never",
              item.last_used_at ?? "never",
            ]),
          ),
    );
  });
}

function createVerb(tokens: Command): void {
  const verb = tokens
    .command("create")
    .description("make a token and print it; it is not shown again")
    .requiredOption("--name <name>", "who uses it")
    .addOption(
      new Option("--scope <scope...>", "what it allows; `read` shows no codes")
        .choices(SCOPES)
        .makeOptionMandatory(),
    )
    .option("--channel <id...>", "limit it to these channels")
    .option("--expires <duration>", "how long it is good for, as 12h or 30d; for ever unless given")
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      "\nExample:\n  sms-agent token create --name ci --scope signals:await --channel codes --expires 30d",
    );
  withTarget<CreateOptions>(verb, async (target, options) => {
    const made = await call(target, "POST", "/tokens", created, {
      body: {
        name: options.name,
        scopes: options.scope,
        ...(options.channel === undefined ? {} : { channels: options.channel }),
        ...(options.expires === undefined ? {} : { expires_in: options.expires }),
      },
    });
    if (options.json !== true) stderr.line(`${describe(made)} It is not shown again:`);
    print(stdout, made, options.json === true, (item) => item.token);
  });
}

function revokeVerb(tokens: Command): void {
  const verb = tokens
    .command("revoke <token>")
    .description("revoke a token, by its id or its name; what is open for it ends at once")
    .option("--json", "print the revoked token's id")
    .addHelpText("after", "\nExample:\n  sms-agent token revoke ci");
  withTarget<{ readonly json?: boolean }>(verb, async (target, options, wanted = "") => {
    const { id } = await findToken(target, wanted);
    await call(target, "DELETE", `/tokens/${encodeURIComponent(id)}`, z.undefined());
    print(stdout, { revoked: id }, options.json === true, () => `${id} is revoked.`);
  });
}

async function findToken(target: Target, wanted: string): Promise<Token> {
  const { items } = await call(target, "GET", "/tokens", list(token));
  const found = items.filter((item) => item.id === wanted || item.name === wanted);
  const [only, ...others] = found;
  if (only === undefined)
    throw new CliError(EXIT.failed, `There is no token ${wanted}; sms-agent token list shows them.`);
  if (others.length > 0)
    throw new CliError(
      EXIT.usage,
      `Several tokens are named ${wanted}; give an id: ${found.map(({ id }) => id).join(", ")}.`,
    );
  return only;
}

function describe(item: Token): string {
  const channels = item.channels === undefined ? "all channels" : item.channels.join(", ");
  const until = item.expires_at === undefined ? "" : `, until ${item.expires_at}`;
  return `${item.id} (${item.name}): ${item.scopes.join(", ")} on ${channels}${until}.`;
}
