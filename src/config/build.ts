import { resolve } from "node:path";
import type {
  AgentSettings,
  ChannelSettings,
  McpServerSettings,
  ScheduleSettings,
  Settings,
  TwilioAccount,
  WebhookSettings,
} from "../settings.ts";
import type { Account } from "./accounts.ts";
import type { AgentConfig, ChannelConfig, Config } from "./schema.ts";

/** What does not stand in the file as it is used. */
interface Resolved {
  /** Folder of the config file, absolute. */
  readonly folder: string;
  readonly policiesDir: string | undefined;
  readonly systemTimezone: string;
  readonly adminToken: string | undefined;
  readonly accounts: ReadonlyMap<string, Account>;
  /** The sending number of each channel that has one. */
  readonly numbers: ReadonlyMap<string, string>;
  /** api_key and secret of agents. */
  readonly agentSecrets: ReadonlyMap<string, string | undefined>;
  readonly webhookSecrets: readonly (string | undefined)[];
}

/** The settings of a file without problems. */
export function buildSettings(config: Config, resolved: Resolved): Settings {
  const { folder } = resolved;
  const timezone = config.timezone ?? resolved.systemTimezone;
  return {
    server: { listen: config.server.listen, ...given("publicUrl", config.server.public_url) },
    admin: {
      listen: config.admin.listen,
      ...given("token", resolved.adminToken),
      allowedHosts: config.admin.allowed_hosts,
    },
    dataDir: resolve(folder, config.data_dir),
    ...given("policiesDir", resolved.policiesDir),
    channels: record(config.channels, (id, channel) => buildChannel(id, channel, resolved)),
    agents: record(config.agents, (id, agent) => buildAgent(id, agent, resolved)),
    ...given("home", config.home && labelled({ channel: config.home.channel }, config.home)),
    timezone,
    prices: {
      currency: config.prices.currency,
      outboundSegment: config.prices.outbound_segment,
      inboundSegment: config.prices.inbound_segment,
    },
    schedules: config.schedules.map(
      (schedule): ScheduleSettings => ({ ...schedule, timezone: schedule.timezone ?? timezone }),
    ),
    webhooks: config.webhooks.map(
      (webhook, i): WebhookSettings => ({
        url: webhook.url,
        secret: resolved.webhookSecrets[i] ?? "",
        events: webhook.events,
        includeCodes: webhook.include_codes,
      }),
    ),
    limits: {
      senderPerMinute: config.limits.sender_per_minute,
      segmentsPerReply: config.limits.segments_per_reply,
      segmentsPerDay: config.limits.segments_per_day,
    },
    retention: config.retention,
    log: config.log,
  };
}

function buildChannel(id: string, channel: ChannelConfig, { accounts, numbers }: Resolved): ChannelSettings {
  return {
    id,
    provider: channel.provider,
    sender:
      channel.messaging_service_sid === undefined
        ? { kind: "number", number: numbers.get(id) ?? "" }
        : { kind: "service", sid: channel.messaging_service_sid },
    mode: channel.mode,
    ...given("agent", channel.agent),
    enabled: channel.enabled,
    inbound: channel.inbound,
    pollInterval: channel.poll_interval,
    catchUp: channel.catch_up,
    registerWebhook: channel.register_webhook,
    allowedSenders: channel.allowed_senders.map((sender) => labelled({}, sender)),
    allowAllSenders: channel.allow_all_senders,
    idleTimeout: channel.idle_timeout,
    session: channel.session,
    debounce: channel.debounce,
    reply: {
      maxMessages: channel.reply.max_messages,
      overflow: channel.reply.overflow,
      economy: channel.reply.economy,
    },
    insecureNoSignature: channel.insecure_no_signature,
    account: buildAccount(accounts.get(id)),
  };
}

function buildAccount(account: Account | undefined): TwilioAccount {
  return {
    accountSid: account?.accountSid ?? "",
    authToken: account?.authToken ?? "",
    ...given("authTokenPrevious", account?.authTokenPrevious),
    ...given("apiKeySid", account?.apiKeySid),
    ...given("apiKeySecret", account?.apiKeySecret),
    apiUrl: account?.apiUrl ?? "",
    messagingUrl: account?.messagingUrl ?? "",
  };
}

function buildAgent(id: string, agent: AgentConfig, { folder, agentSecrets }: Resolved): AgentSettings {
  switch (agent.type) {
    case "echo":
      return { id, type: "echo" };
    case "http":
      return {
        id,
        type: "http",
        url: agent.url,
        ...given("secret", agentSecrets.get(id)),
        headers: agent.headers,
        timeout: agent.timeout,
      };
    case "command":
      return {
        id,
        type: "command",
        command: fromFolder(folder, agent.command),
        env: agent.env,
        cwd: folder,
        timeout: agent.timeout,
      };
    case "llm":
      return {
        id,
        type: "llm",
        provider: agent.provider,
        ...given("baseUrl", agent.base_url),
        model: agent.model,
        ...given("apiKey", agentSecrets.get(id)),
        system: agent.system,
        timeout: agent.timeout,
        maxSteps: agent.max_steps,
        history: agent.history,
        tools: agent.tools,
        confirm: agent.confirm,
        mcpServers: record(
          agent.mcp_servers,
          (_, server): McpServerSettings =>
            server.url === undefined
              ? { command: fromFolder(folder, server.command ?? []), env: server.env ?? {}, cwd: folder }
              : { url: server.url, headers: server.headers ?? {} },
        ),
      };
  }
}

/** A program named by a relative path (`./reply.sh`) lies beside the config file; a bare name is looked up. */
function fromFolder(folder: string, command: readonly string[]): readonly string[] {
  const [program = "", ...args] = command;
  return [program.includes("/") ? resolve(folder, program) : program, ...args];
}

/** An object with the key, or without it where there is no value. */
function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  const object: { [P in K]?: V } = {};
  if (value !== undefined) object[key] = value;
  return object;
}

function labelled<T extends object>(rest: T, from: { address: string; label?: string | undefined }) {
  return { ...rest, address: from.address, ...given("label", from.label) };
}

/** A record without a prototype, so that a channel called `constructor` is found only when there is one. */
function record<T, U>(
  from: Readonly<Record<string, T>>,
  make: (key: string, value: T) => U,
): Record<string, U> {
  const made: Record<string, U> = Object.create(null);
  for (const [key, value] of Object.entries(from)) made[key] = make(key, value);
  return made;
}

/**
 * The sending numbers: those of the file, and for simulator channels without one `+1555010xxxx` counted up in
 * the order of the file, past numbers that are taken.
 */
export function senderNumbers(config: Config): ReadonlyMap<string, string> {
  const numbers = new Map<string, string>();
  for (const [id, { from_number }] of Object.entries(config.channels)) {
    if (from_number !== undefined) numbers.set(id, from_number);
  }
  const taken = new Set(numbers.values());
  let next = 1;
  for (const [id, channel] of Object.entries(config.channels)) {
    const own = channel.from_number !== undefined || channel.messaging_service_sid !== undefined;
    if (own || channel.provider !== "simulator") continue;
    let number: string;
    do number = `+1555010${String(next++).padStart(4, "0")}`;
    while (taken.has(number));
    numbers.set(id, number);
  }
  return numbers;
}
