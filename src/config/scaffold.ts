import { isMap, isScalar, type YAMLMap } from "yaml";
import { parseYaml } from "./syntax.ts";

/** What `init` was told, as it goes into sms.yaml. */
export interface Plan {
  readonly publicUrl?: string;
  readonly channel: ChannelPlan;
  /** Absent where the channel uses an agent that is there already. */
  readonly agent?: AgentPlan;
}

export interface ChannelPlan {
  readonly name: string;
  readonly provider: "twilio" | "simulator";
  readonly number: string;
  readonly inbound: "webhook" | "poll";
  readonly agent: string;
  /** The account of a twilio channel; absent where the file's own `twilio:` is meant. */
  readonly account?: { readonly sid: string; readonly tokenFile: string };
}

export type AgentPlan =
  | { readonly name: string; readonly type: "echo" }
  | { readonly name: string; readonly type: "http"; readonly url: string }
  | {
      readonly name: string;
      readonly type: "llm";
      readonly provider: "openai-compatible" | "openai" | "anthropic";
      readonly baseUrl?: string;
      readonly model: string;
      readonly apiKeyFile?: string;
    };

/** Ports of loopback that were free. */
export interface Ports {
  readonly public: number;
  readonly admin: number;
}

/** A whole sms.yaml, commented. */
export function newConfig({ publicUrl, channel, agent }: Plan, ports: Ports): string {
  const { account } = channel;
  return `# sms-agent. \`sms-agent check\` says what is wrong with this file, \`sms-agent doctor\` what is wrong around it.
# Save it while the service runs, and it is in force. Secrets lie in files of their own, readable by their owner only.

# What the carrier reaches: webhooks and outbound media. Never the console or the API.
server:
  listen: 127.0.0.1:${ports.public}
${
  publicUrl === undefined
    ? "  # With a tunnel or reverse proxy, texts come at once instead of every few seconds: give its address here, and\n  # set inbound: webhook below.\n  #public_url: https://sms.example.com"
    : `  # The tunnel or reverse proxy that leads to the listener above.\n  public_url: ${quoted(publicUrl)}`
}

# What you reach: console, REST API, MCP. \`sms-agent console\` prints a link.
admin:
  listen: 127.0.0.1:${ports.admin}

data_dir: ./data
${
  account === undefined
    ? ""
    : `
twilio:
  account_sid: ${quoted(account.sid)}
  auth_token_file: ${quoted(account.tokenFile)}
`
}
channels:
${indented(channelLines(channel, false), 2)}

agents:
${agent === undefined ? "  {}" : indented(agentLines(agent), 2)}

# Who may text the agent: nobody but who texts the pairing code (\`sms-agent pair\`). Numbers can be let in without one
# by allowed_senders in the channel, and finer rules go into ./policies.

# Texts that go out cost by the segment; over this many a day they wait, and you are told.
limits:
  segments_per_day: 500
`;
}

export type Added =
  | { readonly ok: true; readonly text: string }
  /** The file is written in a way that nothing can be put into by program. */
  | { readonly ok: false; readonly lines: string };

/** The text of sms.yaml with one more channel (and agent), and not a character else changed. */
export function withChannel(text: string, plan: Plan): Added {
  const channel = channelLines(plan.channel, true);
  const agent = plan.agent === undefined ? undefined : agentLines(plan.agent);
  const byHand = [
    `channels:\n${indented(channel, 2)}`,
    ...(agent === undefined ? [] : [`agents:\n${indented(agent, 2)}`]),
  ].join("\n");
  let next = inserted(text, "channels", channel);
  if (next !== undefined && agent !== undefined) next = inserted(next, "agents", agent);
  return next === undefined ? { ok: false, lines: byHand } : { ok: true, text: next };
}

/** The lines put behind the last entry of a block map at the top; a map that is not there is made. */
function inserted(text: string, key: string, lines: string): string | undefined {
  const yaml = parseYaml(text);
  const root = yaml.document?.contents;
  if (yaml.problems.length > 0 || !isMap(root)) return undefined;
  const pair = root.items.find(({ key: found }) => isScalar(found) && found.value === key);
  if (pair === undefined) return `${text.replace(/\n*$/, "\n")}\n${key}:\n${indented(lines, 2)}\n`;
  if (!isMap(pair.value) || pair.value.flow === true) return undefined;
  const { range } = pair.value;
  const first = firstKey(pair.value);
  if (range === undefined || range === null || first === undefined) return undefined;
  const column = first - (text.lastIndexOf("\n", first - 1) + 1);
  // Comments behind the last entry belong to what comes next.
  const end = range[1];
  const head = text.slice(0, end).replace(/\s*$/, "\n");
  return `${head}${indented(lines, column)}\n${text.slice(end)}`;
}

function firstKey({ items }: YAMLMap): number | undefined {
  const key = items[0]?.key;
  return isScalar(key) ? key.range?.[0] : undefined;
}

function channelLines(plan: ChannelPlan, ownAccount: boolean): string {
  const { name, provider, number, inbound, agent, account } = plan;
  return [
    `${name}:`,
    `  provider: ${provider}`,
    `  from_number: ${quoted(number)}`,
    ...(ownAccount && account !== undefined
      ? [`  account_sid: ${quoted(account.sid)}`, `  auth_token_file: ${quoted(account.tokenFile)}`]
      : []),
    `  agent: ${agent}`,
    "  mode: message # message: the agent answers. signal: codes are captured, nothing is ever answered",
    ...(provider === "simulator"
      ? []
      : [
          `  inbound: ${inbound}${inbound === "poll" ? " # asks every poll_interval (5s); no open port is needed" : ""}`,
        ]),
  ].join("\n");
}

function agentLines(plan: AgentPlan): string {
  switch (plan.type) {
    case "echo":
      return `${plan.name}:\n  type: echo # answers with the text it got; give it a model when all else works`;
    case "http":
      return `${plan.name}:\n  type: http\n  url: ${quoted(plan.url)}`;
    case "llm":
      return [
        `${plan.name}:`,
        "  type: llm",
        `  provider: ${plan.provider}`,
        ...(plan.baseUrl === undefined ? [] : [`  base_url: ${quoted(plan.baseUrl)}`]),
        `  model: ${quoted(plan.model)}`,
        ...(plan.apiKeyFile === undefined ? [] : [`  api_key_file: ${quoted(plan.apiKeyFile)}`]),
        "  system: You are a helpful assistant reached by SMS. Be brief.",
        "  #tools: [await_signal, send_message, remind]",
        "  #mcp_servers: { home: { url: http://127.0.0.1:8123/mcp } }",
      ].join("\n");
  }
}

function indented(lines: string, by: number): string {
  return lines.replace(/^(?=.)/gm, " ".repeat(by));
}

/** JSON strings are YAML strings; `${` would be taken for a variable. */
function quoted(text: string): string {
  return JSON.stringify(text.replaceAll("${", "$${"));
}
