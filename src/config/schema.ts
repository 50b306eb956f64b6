// Longer than most files here, for it is the whole of sms.yaml: one key per line, in the order of the file.
import { z } from "zod";
import { EVENT_TYPES } from "../event.ts";
import { BUILT_IN_TOOLS } from "../policy.ts";
import { DEFAULTS } from "./defaults.ts";
import {
  accountSid,
  address,
  amount,
  apiKeySid,
  choice,
  command,
  count,
  cron,
  currency,
  duration,
  environment,
  flag,
  headers,
  host,
  listenAddress,
  name,
  path,
  publicUrl,
  secret,
  secretFile,
  senderNumber,
  serviceSid,
  text,
  timezone,
  url,
} from "./field-schema.ts";

const server = z
  .strictObject({
    listen: listenAddress("Public listener: Twilio's webhooks, outbound media, health.").prefault(
      DEFAULTS.server.listen,
    ),
    public_url: publicUrl(
      "Where Twilio reaches the public listener. Needed by channels with `inbound: webhook`; signatures are checked over it.",
    ).optional(),
  })
  .meta({ title: "server", description: "The listener the Internet reaches." });

const admin = z
  .strictObject({
    listen: listenAddress("Admin listener: console, API, MCP, metrics.").prefault(DEFAULTS.admin.listen),
    token: secret("Admin token; made at first start in <data_dir>/admin-token when absent.").optional(),
    token_file: secretFile("token").optional(),
    allowed_hosts: z
      .array(host("Host name, without port."))
      .meta({
        title: "list",
        description: "Host names besides localhost by which the admin listener is reached.",
      })
      .prefault([...DEFAULTS.admin.allowed_hosts]),
  })
  .meta({ title: "admin", description: "The listener the operator reaches." });

/** Keys of `twilio:`, each of which a channel may override. */
const account = {
  account_sid: accountSid("The Twilio account.").optional(),
  auth_token: secret(
    "Its auth token; checks webhook signatures, and signs REST calls without an API key.",
  ).optional(),
  auth_token_file: secretFile("auth_token").optional(),
  auth_token_previous: secret("Also accepted on webhooks while the auth token is rotated.").optional(),
  auth_token_previous_file: secretFile("auth_token_previous").optional(),
  api_key_sid: apiKeySid("API key used for REST calls instead of the auth token.").optional(),
  api_key_secret: secret("Secret of the API key.").optional(),
  api_key_secret_file: secretFile("api_key_secret").optional(),
  api_url: url("Twilio's API, for its regions and edges.").optional(),
  messaging_url: url("Twilio's Messaging API, for its regions and edges.").optional(),
};

const twilio = z
  .strictObject({
    ...account,
    api_url: account.api_url.unwrap().prefault(DEFAULTS.twilio.api_url),
    messaging_url: account.messaging_url.unwrap().prefault(DEFAULTS.twilio.messaging_url),
  })
  .meta({
    title: "twilio",
    description: "What all twilio channels have in common; a channel may override any key.",
  });

const label = text("Name of this phone, for people.", "Home").optional();

const allowedSender = z
  .union([
    address("The sender's number.").transform((sender) => ({ address: sender })),
    z
      .strictObject({ address: address("The sender's number."), label })
      .meta({ title: "sender", description: "A sender with a name." }),
  ])
  .meta({
    title: "phone number",
    description: 'A number "+1…", or {address, label}.',
    examples: ["+15559876543"],
  });

const reply = z
  .strictObject({
    max_messages: count("Outbound messages one turn may cost at once.", 10).prefault(
      DEFAULTS.reply.max_messages,
    ),
    overflow: choice(
      "What becomes of the rest of a long reply: `more` holds it until the person texts MORE, `split` sends it all, `truncate` drops it.",
      ["more", "split", "truncate"],
    ).prefault(DEFAULTS.reply.overflow),
    economy: z
      .union([z.boolean(), z.literal("max")])
      .meta({
        title: "choice",
        description:
          "Spend fewer segments: plain punctuation and no emoji where that helps; `max` also drops accents.",
        examples: [true],
      })
      .prefault(DEFAULTS.reply.economy),
  })
  .meta({ title: "reply", description: "What one reply may cost." });

const { channel: CHANNEL } = DEFAULTS;

const channel = z
  .strictObject({
    provider: choice("Who carries the texts; the simulator is built in.", ["twilio", "simulator"]).prefault(
      CHANNEL.provider,
    ),
    from_number: senderNumber(
      'The sending number, in quotes: "+15551234567", or "whatsapp:+1555…". This or messaging_service_sid; a simulator channel gets one by itself.',
    ).optional(),
    messaging_service_sid: serviceSid("The sending Messaging Service, instead of from_number.").optional(),
    mode: choice("`message`: the agent answers. `signal`: capture only, never a reply.", [
      "message",
      "signal",
    ]).prefault(CHANNEL.mode),
    agent: name("The agent of `agents` that answers; needed in mode message.", "assistant").optional(),
    enabled: flag("A disabled channel keeps what it receives, and neither answers nor sends.").prefault(
      CHANNEL.enabled,
    ),
    inbound: choice(
      "How texts arrive: `webhook` (Twilio calls public_url), `poll` (no public URL needed), `none` (send only).",
      ["webhook", "poll", "none"],
    ).prefault(CHANNEL.inbound),
    poll_interval: duration("Between two polls, with `inbound: poll`.").prefault(CHANNEL.poll_interval),
    catch_up: duration("Texts that arrived at most this long ago while we were down are fetched.", {
      least: 0,
      timer: false,
    }).prefault(CHANNEL.catch_up),
    register_webhook: flag("Set the number's webhook at Twilio; false only checks it.").prefault(
      CHANNEL.register_webhook,
    ),
    allowed_senders: z
      .array(allowedSender)
      .meta({ title: "list", description: "Who may text the agent without pairing." })
      .prefault([...CHANNEL.allowed_senders]),
    allow_all_senders: flag("Everybody may text the agent.").prefault(CHANNEL.allow_all_senders),
    idle_timeout: duration("A conversation ends this long after its last text.").prefault(
      CHANNEL.idle_timeout,
    ),
    session: choice("One conversation per `address`, or one `shared` by all paired addresses of the agent.", [
      "address",
      "shared",
    ]).prefault(CHANNEL.session),
    debounce: duration(
      "Texts in quick succession become one turn; sliding, at most five times after the first.",
      {
        least: 0,
      },
    ).prefault(CHANNEL.debounce),
    reply: reply.prefault({}),
    insecure_no_signature: flag(
      "Accept unsigned webhooks. Only while server.listen and public_url, if any, are loopback.",
    ).prefault(CHANNEL.insecure_no_signature),
    ...account,
  })
  .meta({
    title: "channel",
    description: "One sending number (or Messaging Service) with one mode and one agent.",
  });

const agentTimeout = duration("One turn may take this long.").prefault(DEFAULTS.agent.timeout);

const mcpServer = z
  .strictObject({
    url: url("The server's endpoint (Streamable HTTP). This or command.").optional(),
    headers: headers("Headers of every request.").optional(),
    command: command("The server as a program that speaks on stdin and stdout. This or url.").optional(),
    env: environment("Environment of the program, besides PATH, HOME and LANG.").optional(),
  })
  .meta({ title: "MCP server", description: "A server whose tools the agent may use, as `server.tool`." });

const { llm: LLM } = DEFAULTS;

const llmAgent = z
  .strictObject({
    type: z.literal("llm").meta({ description: "A language model with tools." }),
    provider: choice("Which API the endpoint speaks.", ["openai-compatible", "openai", "anthropic"]).prefault(
      LLM.provider,
    ),
    base_url: url("The endpoint; needed with `provider: openai-compatible`.").optional(),
    model: text("The model's name at the endpoint.", "qwen3:8b", "model name"),
    api_key: secret("Key for the endpoint.").optional(),
    api_key_file: secretFile("api_key").optional(),
    system: text("System prompt.", LLM.system).prefault(LLM.system),
    timeout: agentTimeout,
    max_steps: count("Model calls in one turn.", 200).prefault(LLM.max_steps),
    history: count("Messages of the conversation given to the model.", 1_000).prefault(LLM.history),
    tools: z
      .array(choice("A built-in tool.", BUILT_IN_TOOLS))
      .meta({ title: "list", description: "Built-in tools the model may use." })
      .prefault([...LLM.tools]),
    confirm: z
      .array(name("`server.tool`, or a built-in tool.", "home.unlock_door"))
      .meta({
        title: "list",
        description: "Calls that wait until the sender texts back a code texted to them.",
      })
      .prefault([...LLM.confirm]),
    mcp_servers: z
      .record(z.string(), mcpServer)
      .meta({ title: "MCP servers", description: "Servers whose tools the model may use, by name." })
      .prefault(LLM.mcp_servers),
  })
  .meta({ title: "llm agent", description: "A language model with tools." });

const httpAgent = z
  .strictObject({
    type: z.literal("http").meta({ description: "An HTTP endpoint that composes the reply." }),
    url: url("POSTed to, one request per turn."),
    secret: secret("Signs requests as Standard Webhooks do.").optional(),
    secret_file: secretFile("secret").optional(),
    headers: headers("Headers of every request.").prefault(DEFAULTS.agent.headers),
    timeout: agentTimeout,
  })
  .meta({ title: "http agent", description: "An HTTP endpoint that composes the reply." });

const commandAgent = z
  .strictObject({
    type: z.literal("command").meta({ description: "A program that composes the reply." }),
    command: command("Started once per turn: the turn as JSON on stdin, the reply on stdout. No shell."),
    env: environment("Environment of the program, besides PATH, HOME and LANG.").prefault(DEFAULTS.agent.env),
    timeout: agentTimeout,
  })
  .meta({ title: "command agent", description: "A program that composes the reply." });

const echoAgent = z
  .strictObject({ type: z.literal("echo").meta({ description: "Answers with the text it got." }) })
  .meta({ title: "echo agent", description: "Answers with the text it got." });

const agent = z
  .discriminatedUnion("type", [llmAgent, httpAgent, commandAgent, echoAgent])
  .meta({ title: "agent", description: "What composes replies." });

const home = z
  .strictObject({
    channel: name("The channel it is texted from.", "sms"),
    address: address("The operator's number, in quotes."),
    label,
  })
  .meta({ title: "home", description: "Where `notify`, alerts and schedules deliver." });

const prices = z
  .strictObject({
    currency: currency("Currency of the prices.").prefault(DEFAULTS.prices.currency),
    outbound_segment: amount("Price of one segment sent.").prefault(DEFAULTS.prices.outbound_segment),
    inbound_segment: amount("Price of one segment received.").prefault(DEFAULTS.prices.inbound_segment),
  })
  .meta({ title: "prices", description: "What Twilio charges, for the cost figures." });

const schedule = z
  .strictObject({
    name: text("Its name, unlike the others'.", "morning", "name"),
    cron: cron('When: "minute hour day-of-month month day-of-week".'),
    timezone: timezone("Time zone of `cron`; that of the file when absent.").optional(),
    agent: name("The agent that runs the prompt.", "assistant"),
    prompt: text("What the agent is asked; its reply goes to `home`.", "Weather and calendar in two lines"),
    missed: choice("A run missed while we were down: `skip` it, or `run_once` at the start.", [
      "skip",
      "run_once",
    ]).prefault(DEFAULTS.schedule.missed),
  })
  .meta({ title: "schedule", description: "A prompt that runs by the clock." });

const webhook = z
  .strictObject({
    url: url("POSTed to, one request per event."),
    secret: secret("Signs requests as Standard Webhooks do; required.").optional(),
    secret_file: secretFile("secret").optional(),
    events: z
      .array(choice("An event.", EVENT_TYPES))
      .min(1)
      .meta({ title: "list", description: "The events it wants.", examples: [["alert"]] }),
    include_codes: flag("Send verification codes in the clear instead of redacted.").prefault(
      DEFAULTS.webhook.include_codes,
    ),
  })
  .meta({ title: "webhook", description: "A program that is told what happens." });

const limits = z
  .strictObject({
    sender_per_minute: count("Turns per sender and minute; the rest waits.", 10_000).prefault(
      DEFAULTS.limits.sender_per_minute,
    ),
    segments_per_reply: count("Segments one reply may cost.", 100).prefault(
      DEFAULTS.limits.segments_per_reply,
    ),
    segments_per_day: count("Segments sent in a day, all channels; over it sends wait.", 10_000_000).prefault(
      DEFAULTS.limits.segments_per_day,
    ),
  })
  .meta({ title: "limits", description: "Bounds on work and cost." });

const kept = { timer: false };

const retention = z
  .strictObject({
    messages: duration("How long messages are kept.", kept).prefault(DEFAULTS.retention.messages),
    denied: duration("How long the traces of denied senders are kept.", kept).prefault(
      DEFAULTS.retention.denied,
    ),
    codes: duration("How long codes and the texts that held them are kept.", kept).prefault(
      DEFAULTS.retention.codes,
    ),
  })
  .meta({ title: "retention", description: "How long things are kept." });

const log = z
  .strictObject({
    level: choice("Least level that is logged.", ["debug", "info", "warn", "error"]).prefault(
      DEFAULTS.log.level,
    ),
    format: choice("`auto` is pretty on a terminal and JSON lines otherwise.", [
      "auto",
      "pretty",
      "json",
    ]).prefault(DEFAULTS.log.format),
  })
  .meta({ title: "log", description: "What is logged, and how." });

/** sms.yaml, before names are resolved and secrets read. Input keys are the file's own. */
export const configSchema = z
  .strictObject({
    server: server.prefault({}),
    admin: admin.prefault({}),
    data_dir: path("Folder for the database and everything else that is written.").prefault(
      DEFAULTS.data_dir,
    ),
    policies: path(`Folder of .cedar files; ${DEFAULTS.policies} when that exists.`).optional(),
    twilio: twilio.prefault({}),
    channels: z
      .record(z.string(), channel)
      .meta({
        title: "channels",
        description: "The numbers, by a name of [a-z0-9_-] that becomes part of URLs.",
      })
      .prefault({}),
    agents: z
      .record(z.string(), agent)
      .meta({ title: "agents", description: "What composes replies, by a name of [a-z0-9_-]." })
      .prefault({}),
    home: home.optional(),
    timezone: timezone("Time zone of schedules and agents; the system's when absent.").optional(),
    prices: prices.prefault({}),
    schedules: z
      .array(schedule)
      .meta({ title: "list", description: "Prompts that run by the clock and deliver to `home`." })
      .prefault([]),
    webhooks: z
      .array(webhook)
      .meta({ title: "list", description: "Programs that are told what happens." })
      .prefault([]),
    limits: limits.prefault({}),
    retention: retention.prefault({}),
    log: log.prefault({}),
  })
  .meta({ title: "sms.yaml", description: "Configuration of sms-agent." });

/** The file with defaults applied: keys as in the file, durations in ms. */
export type Config = z.output<typeof configSchema>;
export type ChannelConfig = Config["channels"][string];
export type AgentConfig = Config["agents"][string];
