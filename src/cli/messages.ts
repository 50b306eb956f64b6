import { type Command, InvalidArgumentError, Option } from "commander";
import { call } from "./client.ts";
import { print, printable, shorten, stdout, table } from "./output.ts";
import { resendVerb } from "./resend.ts";
import { list, type Message, message } from "./shapes.ts";
import { withTarget } from "./target.ts";

interface MessagesOptions {
  readonly channel?: string;
  readonly direction?: string;
  readonly address?: string;
  readonly route?: string;
  readonly state?: string;
  readonly cursor?: string;
  readonly limit: number;
  readonly json?: boolean;
}

const ROUTES = ["pairing", "command", "message", "signal", "dropped"];
const INBOUND_STATES = ["received", "queued", "handled", "dropped", "failed"];
const OUTBOUND_STATES = ["pending", "sending", "queued", "sent", "delivered", "read"].concat([
  "undelivered",
  "failed",
  "canceled",
  "suppressed",
  "unknown",
]);

export function messagesVerb(program: Command): void {
  const verb = program
    .command("messages [id]")
    .description("list messages, newest first; or show one with its events and the policies that decided")
    .option("--channel <id>", "only this channel")
    .addOption(new Option("--direction <direction>", "one way only").choices(["inbound", "outbound"]))
    .option("--address <address>", "only texts from or to this address")
    .addOption(new Option("--route <route>", "only inbound ones of this route").choices(ROUTES))
    .addOption(
      new Option("--state <state>", "only messages in this state").choices([
        ...new Set([...INBOUND_STATES, ...OUTBOUND_STATES]),
      ]),
    )
    .option("--limit <count>", "how many, at most 200", count, 20)
    .option("--cursor <cursor>", "go on where a list ended: its next_cursor")
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent messages --limit 5\n  sms-agent messages --direction inbound --json\n  sms-agent messages msg_01m7yfpjra8n54a127q0etd8rc\n  sms-agent messages resend msg_01m7yfpjra8n54a127q0etd8rc",
    );
  resendVerb(verb);
  withTarget<MessagesOptions>(verb, async (target, options, id) => {
    const json = options.json === true;
    if (id !== undefined) {
      const one = await call(target, "GET", `/messages/${encodeURIComponent(id)}`, message);
      print(stdout, one, json, describe);
      return;
    }
    const query = new URLSearchParams({ limit: String(options.limit) });
    for (const name of ["channel", "direction", "address", "route", "state", "cursor"] as const) {
      const value = options[name];
      if (value !== undefined) query.set(name, value);
    }
    const found = await call(target, "GET", `/messages?${query}`, list(message));
    print(stdout, found, json, ({ items, next_cursor }) => {
      if (items.length === 0) return "No messages.";
      const more = next_cursor === undefined ? [] : [`Older ones: --cursor ${next_cursor}`];
      return [messageTable(items, { ids: true }), ...more].join("\n");
    });
  });
}

function count(value: string): number {
  if (!/^\d{1,3}$/.test(value) || Number(value) < 1 || Number(value) > 200)
    throw new InvalidArgumentError("Write a whole number from 1 to 200.");
  return Number(value);
}

/**
 * As many as were listed, in their order. The lines fit into 100 columns; what decided, or went wrong, stands under
 * its message, with the id that `messages ID` and `messages resend ID` take where `ids` asks for it.
 */
export function messageTable(
  items: readonly Message[],
  { ids }: { readonly ids: boolean } = { ids: false },
): string {
  const [titles = "", ...rows] = table(
    ["TIME", "", "FROM", "TO", "STATE", "ROUTE", "TEXT"],
    items.map((item) => [
      item.created_at.slice(0, 19).replace("T", " "),
      item.direction === "inbound" ? "←" : "→",
      item.from,
      item.to,
      item.state,
      item.route ?? "",
      shorten(printable(item.text ?? "(not kept)"), TEXT_WIDTH),
    ]),
  ).split("\n");
  const lines = items.flatMap((item, index) => {
    const why = item.error?.meaning ?? (item.policies ?? []).join(", ");
    const under = [...(ids ? [item.id] : []), ...(why === "" ? [] : [printable(why)])].join("  ");
    const row = rows[index] ?? "";
    return under === "" ? [row] : [row, `    ${ids ? shorten(under, UNDER_WIDTH) : under}`];
  });
  return [titles, ...lines].join("\n");
}

const TEXT_WIDTH = 28;
const UNDER_WIDTH = 96;

function describe(item: Message): string {
  const lines = [
    `${item.id}  ${item.direction}  ${item.channel}`,
    `from ${item.from} to ${item.to} at ${item.created_at}`,
    `state ${item.state}${item.route === undefined ? "" : `, route ${item.route}`}${item.segments === undefined ? "" : `, ${item.segments} segment${item.segments === 1 ? "" : "s"}`}`,
  ];
  if (item.policies !== undefined)
    lines.push(`policies ${item.policies.join(", ") || "none (default deny)"}`);
  if (item.error !== undefined) {
    const code = item.error.code === undefined ? "" : `${item.error.code}: `;
    lines.push(`error ${code}${printable(item.error.meaning)}`, `fix ${printable(item.error.fix)}`);
  }
  lines.push(`text ${item.text === undefined ? "(not kept)" : printable(item.text)}`);
  for (const media of item.media ?? []) lines.push(printable(`media ${media.content_type} ${media.url}`));
  for (const event of item.events ?? [])
    lines.push(`  ${event.at}  ${event.state}  ${printable(event.detail ?? "")}`.trimEnd());
  if (item.turn !== undefined) lines.push(...turnLines(item.turn));
  return lines.join("\n");
}

function turnLines({ id, agent, state, attempt, usage, calls }: NonNullable<Message["turn"]>): string[] {
  const again = attempt > 1 ? `, run ${attempt}` : "";
  const tokens = usage === undefined ? "" : `, ${usage.input_tokens} + ${usage.output_tokens} tokens`;
  return [
    `turn ${id}  ${agent}  ${state}${again}${tokens}`,
    ...calls.map(({ tool, outcome, policies, reason }) => {
      const decided = policies === undefined ? "" : `  [${policies.join(", ") || "no policy"}]`;
      const why = reason === undefined ? "" : `  ${shorten(printable(reason), 100)}`;
      return `  ${printable(tool)}  ${outcome}${decided}${why}`;
    }),
  ];
}
