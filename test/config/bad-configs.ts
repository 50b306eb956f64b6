// One wrong file per entry, for the test beside it. Long, for it is a table.

export interface BadConfig {
  /** What is wrong, as the name of the test. */
  readonly name: string;
  readonly text: string;
  /** Every problem, as `formatProblems` prints it, in the order of the file. */
  readonly problems: readonly string[];
}

const PARROT = "agents: { parrot: { type: echo } }";
const SIMULATED = "channels: { sms: { provider: simulator, agent: parrot } }";

/** A file that is right but for the lines given. */
function beside(lines: string): string {
  return `${SIMULATED}\n${PARROT}\n${lines}\n`;
}

/** A right simulator channel with more keys, each from line 5 on. */
function channelWith(...keys: string[]): string {
  return `${PARROT}\nchannels:\n  sms:\n    provider: simulator\n    agent: parrot\n${keys.map((key) => `    ${key}\n`).join("")}`;
}

/** A right twilio channel, its keys from line 6 on. */
function twilioWith(...keys: string[]): string {
  return `${PARROT}\ntwilio: { account_sid: AC00000000000000000000000000000001, auth_token: abc }\nserver: { public_url: "https://sms.example.com" }\nchannels:\n  sms:\n    agent: parrot\n${keys.map((key) => `    ${key}\n`).join("")}`;
}

/** A right llm agent with more keys, each from line 6 on. */
function llmWith(...keys: string[]): string {
  return `${SIMULATED}\nagents:\n  parrot:\n    type: llm\n    model: qwen3:8b\n${keys.map((key) => `    ${key}\n`).join("")}`;
}

export const BAD_CONFIGS: readonly BadConfig[] = [
  {
    name: "an empty file",
    text: "",
    problems: [
      "sms.yaml:1:1: is empty — write at least channels: and agents:; `sms.example.yaml` has every key",
    ],
  },
  {
    name: "a file of comments alone",
    text: "# nothing\n",
    problems: [
      "sms.yaml:1:1: is empty — write at least channels: and agents:; `sms.example.yaml` has every key",
    ],
  },
  {
    name: "a list instead of a map",
    text: "- a\n- b\n",
    problems: [
      "sms.yaml:1:1: is a list, not a map of keys — write at least channels: and agents:; `sms.example.yaml` has every key",
    ],
  },
  {
    name: "a single word",
    text: "hello\n",
    problems: [
      "sms.yaml:1:1: is a single value, not a map of keys — write at least channels: and agents:; `sms.example.yaml` has every key",
    ],
  },
  {
    name: "a quote that is never closed",
    text: `${SIMULATED}\n${PARROT}\ntimezone: "UTC\n`,
    problems: [
      'sms.yaml:4:1: is not valid YAML here: Missing closing "quote — write the missing character, or quote the whole value',
    ],
  },
  {
    name: "a tab as indentation",
    text: "channels:\n\tsms: {}\n",
    problems: ["sms.yaml:2:1: is indented with a tab — write spaces"],
  },
  {
    name: "two keys in one line",
    text: "data_dir: a: b\n",
    problems: [
      'sms.yaml:1:11: has a second `key:` where only a value may stand — write the value in "quotes" if it holds a colon, or indent the keys below it',
    ],
  },
  {
    name: "a list that is never closed, and a wrong value before it",
    text: `log: { level: loud }\nchannels: [\n${PARROT}\n`,
    problems: [
      "sms.yaml:1:15 log.level: must be one of debug, info, warn, error (found loud) — write one of debug, info, warn, error",
      "sms.yaml:3:1: is not indented as YAML needs it: Flow sequence in block collection must be sufficiently indented and end with a ] — write all keys of one map, and all items of one list, in the same column",
    ],
  },
  {
    name: "keys in different columns",
    text: "server:\n  listen: 127.0.0.1:1\n   public_url: http://x\n",
    problems: [
      'sms.yaml:2:11: has a second `key:` where only a value may stand — write the value in "quotes" if it holds a colon, or indent the keys below it',
    ],
  },
  {
    name: "a second document",
    text: `${beside("")}---\na: 1\n`,
    problems: ["sms.yaml:4:1: holds a second document after --- or ... — write one document in the file"],
  },
  {
    name: "an unknown tag",
    text: beside("data_dir: !path ./x"),
    problems: [
      'sms.yaml:3:11: has a tag (!…) that is not known here — write the value without it, or in "quotes" if it begins with !',
    ],
  },
  {
    name: "a value that begins with @",
    text: beside("data_dir: @x"),
    problems: ['sms.yaml:3:11: begins with a character that YAML reserves — write the value in "quotes"'],
  },
  {
    name: "a character that is no text",
    text: beside("data_dir: x\u0007"),
    problems: [
      "sms.yaml:3:12: holds the character U+0007, which is no text — write the file as plain UTF-8 text",
    ],
  },
  {
    name: "a key written twice",
    text: beside("data_dir: a\ndata_dir: b"),
    problems: ["sms.yaml:4:1 data_dir: is written twice; it stands in line 3 already — write each key once"],
  },
  {
    name: "an alias of nothing",
    text: beside("data_dir: *folder"),
    problems: [
      'sms.yaml:3:11 data_dir: is an alias (*…) of an anchor (&…) that is not set before it — write the value itself, or in "quotes" if it begins with *',
    ],
  },
  {
    name: "an alias of itself",
    text: "channels: &c\n  sms: *c\n",
    problems: [
      "sms.yaml:2:8 channels.sms: is an alias (*…) of something it is itself part of — write the value itself",
    ],
  },
  {
    name: "a merge of something that is no map",
    text: channelWith("<<: [1]"),
    problems: [
      'sms.yaml:6:10 channels.sms."<<": merges something that is not a map — write <<: *name of a map marked &name',
    ],
  },
  {
    name: "an unknown key at the top, near a known one",
    text: beside("chanels: {}"),
    problems: ["sms.yaml:3:1 chanels: is not a known key — write channels"],
  },
  {
    name: "an unknown key near no other",
    text: beside("limits: { foo: 1 }"),
    problems: [
      "sms.yaml:3:11 limits.foo: is not a known key — take it out; known here are sender_per_minute, segments_per_reply, segments_per_day",
    ],
  },
  {
    name: "a key in camel case",
    text: channelWith("idleTimeout: 5m"),
    problems: ["sms.yaml:6:5 channels.sms.idleTimeout: is not a known key — write idle_timeout"],
  },
  {
    name: "an unknown key deep inside",
    text: channelWith("reply: { max_mesages: 2 }"),
    problems: ["sms.yaml:6:14 channels.sms.reply.max_mesages: is not a known key — write max_messages"],
  },
  {
    name: "an unknown key in an item of a list",
    text: channelWith('allowed_senders: [{ address: "+15559876543", lable: x }]'),
    problems: ["sms.yaml:6:50 channels.sms.allowed_senders[0].lable: is not a known key — write label"],
  },
  {
    name: "a key of another type of agent",
    text: `${SIMULATED}\nagents:\n  parrot:\n    type: echo\n    url: http://localhost\n`,
    problems: [
      "sms.yaml:5:5 agents.parrot.url: is a key of `type: http` only — take it out, or write type: http",
    ],
  },
  {
    name: "an unknown type of agent",
    text: `${SIMULATED}\nagents: { parrot: { type: ecko } }\n`,
    problems: [
      "sms.yaml:2:27 agents.parrot.type: must be one of llm, http, command, echo (found ecko) — write echo",
    ],
  },
  {
    name: "an agent without type",
    text: `${SIMULATED}\nagents: { parrot: {} }\n`,
    problems: ["sms.yaml:2:11 agents.parrot.type: is missing — write one of llm, http, command, echo"],
  },
  {
    name: "an agent that is nothing",
    text: `${SIMULATED}\nagents:\n  parrot:\n`,
    problems: [
      "sms.yaml:3:10 agents.parrot: is missing; an agent is needed here — write one `key: value` per line below it, indented",
    ],
  },
  {
    name: "no channel",
    text: `${PARROT}\n`,
    problems: [
      "sms.yaml:1:1 channels: names no channel — write at least one channel, such as sms: { provider: simulator, agent: parrot }",
    ],
  },
  {
    name: "channels as a list",
    text: `${PARROT}\nchannels:\n  - sms\n`,
    problems: [
      "sms.yaml:3:3 channels: is not a map of keys (found a list) — write one `key: value` per line below it, indented",
    ],
  },
  {
    name: "a channel name that is no part of a URL",
    text: `${PARROT}\nchannels:\n  My Phone: { provider: simulator, agent: parrot }\n`,
    problems: [
      'sms.yaml:3:3 channels."My Phone": is no name for a channel: names are 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit — write my-phone',
    ],
  },
  {
    name: "an agent name that is too long",
    text: `${SIMULATED.replace("parrot", "x".repeat(65))}\nagents: { ${"x".repeat(65)}: { type: echo } }\n`,
    problems: [
      "sms.yaml:2:11 agents.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: is no name for an agent: names are 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit — write xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ],
  },
  {
    name: "a name like a property of every object",
    text: `${PARROT}\nchannels:\n  __proto__: { provider: simulator, agent: parrot }\n`,
    problems: [
      "sms.yaml:3:3 channels.__proto__: is no name for a channel: names are 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit — write proto__",
    ],
  },
  {
    name: "the wrong type: a map for a switch",
    text: channelWith("enabled: { a: 1 }"),
    problems: [
      "sms.yaml:6:14 channels.sms.enabled: is neither true nor false (found a map) — write true or false",
    ],
  },
  {
    name: "yes for true",
    text: channelWith("enabled: yes"),
    problems: [
      "sms.yaml:6:14 channels.sms.enabled: is neither true nor false (found yes) — write true or false",
    ],
  },
  {
    name: "a quoted number",
    text: beside('limits: { segments_per_day: "500" }'),
    problems: [
      'sms.yaml:3:29 limits.segments_per_day: is not a whole number (found "500") — write a whole number such as 1, without quotes',
    ],
  },
  {
    name: "a fraction for a count",
    text: beside("limits: { segments_per_day: 1.5 }"),
    problems: [
      "sms.yaml:3:29 limits.segments_per_day: is not a whole number (found 1.5) — write a whole number such as 1",
    ],
  },
  {
    name: "zero for a limit",
    text: beside("limits: { sender_per_minute: 0 }"),
    problems: ["sms.yaml:3:30 limits.sender_per_minute: is too small (found 0) — write at least 1"],
  },
  {
    name: "a negative price",
    text: beside("prices: { outbound_segment: -1 }"),
    problems: ["sms.yaml:3:29 prices.outbound_segment: is too small (found -1) — write at least 0"],
  },
  {
    name: "a currency in words",
    text: beside("prices: { currency: usd }"),
    problems: ["sms.yaml:3:21 prices.currency: is not a currency code (found usd) — write USD"],
  },
  {
    name: "a duration without unit",
    text: channelWith('idle_timeout: "30"'),
    problems: ['sms.yaml:6:19 channels.sms.idle_timeout: is not a duration (found "30") — write 30s'],
  },
  {
    name: "a duration in words",
    text: channelWith("idle_timeout: 30 minutes"),
    problems: ["sms.yaml:6:19 channels.sms.idle_timeout: is not a duration (found 30 minutes) — write 30m"],
  },
  {
    name: "a duration of two parts",
    text: channelWith("idle_timeout: 1h30m"),
    problems: ["sms.yaml:6:19 channels.sms.idle_timeout: is not a duration (found 1h30m) — write 90m"],
  },
  {
    name: "a duration of no known form",
    text: channelWith("idle_timeout: soon"),
    problems: [
      "sms.yaml:6:19 channels.sms.idle_timeout: is not a duration (found soon) — write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d",
    ],
  },
  {
    name: "a negative duration",
    text: channelWith("idle_timeout: -5"),
    problems: [
      "sms.yaml:6:19 channels.sms.idle_timeout: is less than nothing (found -5) — write a whole number and its unit: 250ms, 30s, 5m, 1h or 7d",
    ],
  },
  {
    name: "a duration of nothing where some is needed",
    text: beside("retention: { messages: 0 }"),
    problems: ["sms.yaml:3:24 retention.messages: is too short (found 0) — write at least 1ms"],
  },
  {
    name: "a timeout longer than a timer holds",
    text: channelWith("idle_timeout: 100d"),
    problems: ["sms.yaml:6:19 channels.sms.idle_timeout: is too long (found 100d) — write at most 24d"],
  },
  {
    name: "a switch for a duration",
    text: channelWith("debounce: true"),
    problems: [
      "sms.yaml:6:15 channels.sms.debounce: is not a duration (found true) — write a duration such as 30s",
    ],
  },
  {
    name: "a misspelt choice",
    text: channelWith("mode: mesage"),
    problems: [
      "sms.yaml:6:11 channels.sms.mode: must be one of message, signal (found mesage) — write message",
    ],
  },
  {
    name: "a choice near no other",
    text: channelWith("reply: { overflow: drop }"),
    problems: [
      "sms.yaml:6:24 channels.sms.reply.overflow: must be one of more, split, truncate (found drop) — write one of more, split, truncate",
    ],
  },
  {
    name: "an economy that does not exist",
    text: channelWith("reply: { economy: maximum }"),
    problems: [
      "sms.yaml:6:23 channels.sms.reply.economy: must be one of true, false, max (found maximum) — write one of true, false, max",
    ],
  },
  {
    name: "an unquoted phone number",
    text: channelWith("from_number: +15551234567"),
    problems: [
      'sms.yaml:6:18 channels.sms.from_number: is a number to YAML; a phone number must be quoted (found +15551234567) — write "+15551234567"',
    ],
  },
  {
    name: "an unquoted phone number without plus",
    text: channelWith("from_number: 15551234567"),
    problems: [
      'sms.yaml:6:18 channels.sms.from_number: is a number to YAML; a phone number must be quoted (found 15551234567) — write "+15551234567"',
    ],
  },
  {
    name: "an unquoted number among the allowed senders",
    text: channelWith("allowed_senders:", "  - +15559876543", "  - { address: +15559876544 }"),
    problems: [
      'sms.yaml:7:9 channels.sms.allowed_senders[0]: is a number to YAML; a phone number must be quoted (found +15559876543) — write "+15559876543"',
      'sms.yaml:8:20 channels.sms.allowed_senders[1].address: is a number to YAML; a phone number must be quoted (found +15559876544) — write "+15559876544"',
    ],
  },
  {
    name: "an unquoted home address",
    text: beside("home: { channel: sms, address: +15559876543 }"),
    problems: [
      'sms.yaml:3:32 home.address: is a number to YAML; a phone number must be quoted (found +15559876543) — write "+15559876543"',
    ],
  },
  {
    name: "a phone number with spaces and brackets",
    text: channelWith('from_number: "+1 (555) 123-4567"'),
    problems: [
      'sms.yaml:6:18 channels.sms.from_number: is not a phone number in international form (found "+1 (555) 123-4567") — write "+15551234567"',
    ],
  },
  {
    name: "a national phone number",
    text: channelWith('from_number: "0555 1234"'),
    problems: [
      'sms.yaml:6:18 channels.sms.from_number: is not a phone number in international form (found "0555 1234") — write it with + and country code, in quotes: "+15551234567"',
    ],
  },
  {
    name: "a name as an allowed sender",
    text: channelWith("allowed_senders: [MYBANK]"),
    problems: [
      'sms.yaml:6:23 channels.sms.allowed_senders[0]: is a name, and nothing can be sent to a name (found MYBANK) — write it with + and country code, in quotes: "+15551234567"',
    ],
  },
  {
    name: "the channel's own number as an allowed sender",
    text: channelWith('from_number: "+15551234567"', 'allowed_senders: ["+15551234567"]'),
    problems: [
      'sms.yaml:7:23 channels.sms.allowed_senders[0]: is the channel\'s own number (found "+15551234567") — write the number of the phone that is to text it',
    ],
  },
  {
    name: "a plain number as an allowed sender of a WhatsApp channel",
    text: channelWith('from_number: "whatsapp:+15551234567"', 'allowed_senders: ["+15559876543"]'),
    problems: [
      'sms.yaml:7:23 channels.sms.allowed_senders[0]: is no WhatsApp address, and this channel is on WhatsApp (found "+15559876543") — write "whatsapp:+15559876543"',
    ],
  },
  {
    name: "an API key sid for the account sid",
    text: twilioWith('from_number: "+15551234567"', "account_sid: SK00000000000000000000000000000001"),
    problems: [
      "sms.yaml:8:18 channels.sms.account_sid: is an API key's sid (found SK00000000000000000000000000000001) — write the account's sid, AC and 32 hexadecimal digits, from the Twilio console",
    ],
  },
  {
    name: "an auth token for the account sid, which is not shown",
    text: twilioWith('from_number: "+15551234567"', "account_sid: 0123456789abcdef0123456789abcdef"),
    problems: [
      "sms.yaml:8:18 channels.sms.account_sid: is not the account's sid (found 01… of 32 characters) — write the account's sid, AC and 32 hexadecimal digits, from the Twilio console",
    ],
  },
  {
    name: "a Messaging Service sid that is cut short",
    text: twilioWith("messaging_service_sid: MG123"),
    problems: [
      "sms.yaml:7:28 channels.sms.messaging_service_sid: is not a Messaging Service's sid (found MG123) — write a Messaging Service's sid, MG and 32 hexadecimal digits, from the Twilio console",
    ],
  },
  {
    name: "an API key sid without its secret",
    text: twilioWith('from_number: "+15551234567"', "api_key_sid: SK00000000000000000000000000000001"),
    problems: [
      "sms.yaml:5:3 channels.sms.api_key_secret: is missing, but api_key_sid is given; an API key is both — write api_key_secret beside it, or take api_key_sid out",
    ],
  },
  {
    name: "a twilio channel without sender",
    text: twilioWith("mode: message"),
    problems: [
      'sms.yaml:5:3 channels.sms.from_number: is missing, and so is messaging_service_sid — write from_number: "+15551234567" (your Twilio number, in quotes) or messaging_service_sid: MG…',
    ],
  },
  {
    name: "a channel with two kinds of sender",
    text: twilioWith(
      'from_number: "+15551234567"',
      "messaging_service_sid: MG00000000000000000000000000000001",
    ),
    problems: [
      "sms.yaml:8:5 channels.sms.messaging_service_sid: is given, and so is from_number; a channel has one sender — write one of the two",
    ],
  },
  {
    name: "two channels with one number",
    text: `${PARROT}\nchannels:\n  a: { provider: simulator, agent: parrot, from_number: "+15551234567" }\n  b: { provider: simulator, agent: parrot, from_number: "+15551234567" }\n`,
    problems: [
      'sms.yaml:4:57 channels.b.from_number: is the sender of channels.a already (found "+15551234567") — write another sender, or take one of the two channels out',
    ],
  },
  {
    name: "a channel with the Messaging Service of another",
    text: `${PARROT}\ntwilio: { account_sid: AC00000000000000000000000000000001, auth_token: abc }\nchannels:\n  a: { agent: parrot, inbound: poll, messaging_service_sid: MG00000000000000000000000000000001 }\n  b: { agent: parrot, inbound: poll, messaging_service_sid: MG00000000000000000000000000000001 }\n`,
    problems: [
      "sms.yaml:5:61 channels.b.messaging_service_sid: is the sender of channels.a already (found MG00000000000000000000000000000001) — write another sender, or take one of the two channels out",
    ],
  },
  {
    name: "an agent that is not there",
    text: `${PARROT}\nchannels:\n  sms:\n    provider: simulator\n    agent: parot\n`,
    problems: ["sms.yaml:5:12 channels.sms.agent: names no agent of agents: (found parot) — write parrot"],
  },
  {
    name: "an agent near no other",
    text: `${PARROT}\nchannels:\n  sms:\n    provider: simulator\n    agent: assistant\n`,
    problems: [
      "sms.yaml:5:12 channels.sms.agent: names no agent of agents: (found assistant) — write parrot",
    ],
  },
  {
    name: "a message channel without agent",
    text: `${PARROT}\nchannels:\n  sms:\n    provider: simulator\n`,
    problems: [
      "sms.yaml:3:3 channels.sms.agent: is missing; in mode message an agent answers — write agent: parrot, or mode: signal",
    ],
  },
  {
    name: "the reserved agent",
    text: channelWith().replace("agent: parrot", "agent: api"),
    problems: [
      "sms.yaml:5:12 channels.sms.agent: is reserved for API, MCP and CLI, and no agent (found api) — write the name of an agent",
    ],
  },
  {
    name: "an agent with the reserved name",
    text: beside("").replace("{ parrot:", "{ api: { type: echo }, parrot:"),
    problems: ["sms.yaml:2:11 agents.api: is reserved for API, MCP and CLI — write another name"],
  },
  {
    name: "a webhook channel without public URL",
    text: `${PARROT}\ntwilio: { account_sid: AC00000000000000000000000000000001, auth_token: abc }\nchannels:\n  sms: { agent: parrot, from_number: "+15551234567" }\n`,
    problems: [
      "sms.yaml:4:3 server.public_url: is missing; channels.sms receives by webhook, and Twilio must know where — write public_url: https://… under server: (what Twilio calls), or inbound: poll in the channel",
    ],
  },
  {
    name: "twilio channels without credentials",
    text: `${PARROT}\nchannels:\n  sms: { agent: parrot, inbound: poll, from_number: "+15551234567" }\n`,
    problems: [
      `sms.yaml:3:3 twilio.account_sid: is missing; needed by channels.sms — write account_sid: \${TWILIO_ACCOUNT_SID} under twilio: and set that variable`,
      `sms.yaml:3:3 twilio.auth_token: is missing; needed by channels.sms — write auth_token: \${TWILIO_AUTH_TOKEN} under twilio: and set that variable`,
    ],
  },
  {
    name: "an auth token that is empty",
    text: twilioWith('from_number: "+15551234567"').replace("abc", `"\${EMPTY}"`),
    problems: [
      `sms.yaml:2:72 twilio.auth_token: is empty; needed by channels.sms — write auth_token: \${TWILIO_AUTH_TOKEN} under twilio: and set that variable`,
    ],
  },
  {
    name: "the URL of an API for the simulator",
    text: channelWith("api_url: http://127.0.0.1:4010"),
    problems: [
      "sms.yaml:6:5 channels.sms.api_url: has no meaning with provider: simulator, which is built in — take it out, or write provider: twilio to reach a simulator that runs by itself",
    ],
  },
  {
    name: "unsigned webhooks on an open listener",
    text: `server: { listen: 0.0.0.0:8080 }\n${channelWith("insecure_no_signature: true")}`,
    problems: [
      "sms.yaml:7:28 channels.sms.insecure_no_signature: is allowed only on this machine alone, but server.listen is reachable from others (found true) — write insecure_no_signature: false, or server.listen: 127.0.0.1:8080",
    ],
  },
  {
    name: "unsigned webhooks behind a public URL",
    text: `server: { public_url: https://sms.example.com }\n${channelWith("insecure_no_signature: true")}`,
    problems: [
      "sms.yaml:7:28 channels.sms.insecure_no_signature: is allowed only on this machine alone, but server.public_url is not a loopback address (found true) — write insecure_no_signature: false, or take public_url out",
    ],
  },
  {
    name: "a listen address without host",
    text: beside('server: { listen: ":8080" }'),
    problems: [
      'sms.yaml:3:19 server.listen: has no host (found ":8080") — write 127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080 for every network it is in',
    ],
  },
  {
    name: "a port for a listen address",
    text: beside("server: { listen: 8080 }"),
    problems: [
      "sms.yaml:3:19 server.listen: is a port without a host (found 8080) — write 127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080 for every network it is in",
    ],
  },
  {
    name: "a host for a listen address",
    text: beside("server: { listen: localhost }"),
    problems: ["sms.yaml:3:19 server.listen: has no port (found localhost) — write localhost:8080"],
  },
  {
    name: "an IPv6 listen address without brackets",
    text: beside('admin: { listen: "::1:8081" }'),
    problems: [
      'sms.yaml:3:18 admin.listen: has an IPv6 address without brackets (found "::1:8081") — write [::1]:8081',
    ],
  },
  {
    name: "a URL for a listen address",
    text: beside("admin: { listen: http://127.0.0.1:8081/ }"),
    problems: ["sms.yaml:3:18 admin.listen: is a URL (found http://127.0.0.1:8081/) — write 127.0.0.1:8081"],
  },
  {
    name: "a port above 65535",
    text: beside("admin: { listen: 127.0.0.1:80810 }"),
    problems: [
      "sms.yaml:3:18 admin.listen: has a port above 65535 (found 127.0.0.1:80810) — write host:port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080",
    ],
  },
  {
    name: "a host that is no address",
    text: beside("admin: { listen: 256.0.0.1:8081 }"),
    problems: [
      "sms.yaml:3:18 admin.listen: has a host that is no address and no name (found 256.0.0.1:8081) — write host:port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080",
    ],
  },
  {
    name: "both listeners on one port",
    text: beside("server: { listen: 127.0.0.1:8081 }"),
    problems: [
      "sms.yaml:3:19 server.listen: has the port of the other listener; what the Internet reaches must not be what you reach (found 127.0.0.1:8081) — write another port, such as 127.0.0.1:8082",
    ],
  },
  {
    name: "a public URL without scheme",
    text: beside("server: { public_url: sms.example.com }"),
    problems: [
      "sms.yaml:3:23 server.public_url: is not a URL (found sms.example.com) — write https://sms.example.com",
    ],
  },
  {
    name: "a public URL of another scheme",
    text: beside("server: { public_url: ftp://user:secret@sms.example.com/x?token=1 }"),
    problems: [
      "sms.yaml:3:23 server.public_url: is not an http or https URL (found ftp://***@sms.example.com/x?…) — write a whole URL, such as https://sms.example.com",
    ],
  },
  {
    name: "a public URL with a query",
    text: beside('server: { public_url: "https://sms.example.com/a?b=c" }'),
    problems: [
      'sms.yaml:3:23 server.public_url: has a query (?…) (found "https://sms.example.com/a?…") — write it without the part from ? on',
    ],
  },
  {
    name: "the URL of a webhook with a fragment",
    text: beside('webhooks: [{ url: "https://example.com/#a", secret: w, events: [alert] }]'),
    problems: [
      'sms.yaml:3:19 webhooks[0].url: has a fragment (#…) (found "https://example.com/#a") — write it without the part from # on',
    ],
  },
  {
    name: "a public URL with an underscore in its host",
    text: beside("server: { public_url: https://my_pi.example.com }"),
    problems: [
      "sms.yaml:3:23 server.public_url: has a host with _ in it, which Twilio refuses for status callbacks (found https://my_pi.example.com) — write a host name without _",
    ],
  },
  {
    name: "an allowed host with a port",
    text: beside("admin: { allowed_hosts: [pi.lan:8081] }"),
    problems: ["sms.yaml:3:26 admin.allowed_hosts[0]: is not a host name (found pi.lan:8081) — write pi.lan"],
  },
  {
    name: "a variable that is not set",
    text: beside(`data_dir: \${NOT_SET}/data`),
    problems: [
      `sms.yaml:3:11 data_dir: needs the environment variable NOT_SET, which is not set — set NOT_SET, or write \${NOT_SET:-default}`,
    ],
  },
  {
    name: "two variables that are not set, in one value of a flow map",
    text: beside(`admin: { token: \${NOT_SET}-\${NOR_THIS} }`),
    problems: [
      `sms.yaml:3:17 admin.token: needs the environment variable NOT_SET, which is not set — set NOT_SET, or write \${NOT_SET:-default}`,
      `sms.yaml:3:17 admin.token: needs the environment variable NOR_THIS, which is not set — set NOR_THIS, or write \${NOR_THIS:-default}`,
    ],
  },
  {
    name: "a variable without its brace",
    text: beside(`data_dir: \${HOME`),
    problems: [
      `sms.yaml:3:11 data_dir: has a \${ without its } — write \${NAME} or \${NAME:-default}, or $\${ for a plain \${`,
    ],
  },
  {
    name: "a variable inside another",
    text: beside(`data_dir: \${A:-\${B}}`),
    problems: [
      `sms.yaml:3:11 data_dir: has a \${…} inside another one — write \${NAME} or \${NAME:-default}, or $\${ for a plain \${`,
    ],
  },
  {
    name: "a variable whose value is no duration, which is not shown",
    text: channelWith(`idle_timeout: \${WORD}`),
    problems: [
      `sms.yaml:6:19 channels.sms.idle_timeout: is not a duration (found \${WORD}) — set the variable to a value such as 30s`,
    ],
  },
  {
    name: "a variable whose value is no choice",
    text: channelWith(`mode: \${WORD}`),
    problems: [
      `sms.yaml:6:11 channels.sms.mode: must be one of message, signal (found \${WORD}) — set the variable to one of message, signal`,
    ],
  },
  {
    name: "a secret that is a number, which is not shown",
    text: beside("admin: { token: 12345 }"),
    problems: [
      'sms.yaml:3:17 admin.token: is a number to YAML; a secret must be quoted — write it in "quotes"',
    ],
  },
  {
    name: "a secret and its file",
    text: beside("admin: { token: abc, token_file: ./token }"),
    problems: ["sms.yaml:3:22 admin.token_file: is given, and so is token — write one of the two"],
  },
  {
    name: "a secret file that is not there",
    text: beside("admin: { token_file: ./missing }"),
    problems: [
      "sms.yaml:3:22 admin.token_file: names a file that cannot be read: there is no such file (found ./missing) — write the path of a file this user can read; a relative one starts at the config file's folder",
    ],
  },
  {
    name: "a secret file that may not be read",
    text: beside("admin: { token_file: ./forbidden }"),
    problems: [
      "sms.yaml:3:22 admin.token_file: names a file that cannot be read: this user may not read it (found ./forbidden) — write the path of a file this user can read; a relative one starts at the config file's folder",
    ],
  },
  {
    name: "an encrypted secret without key",
    text: beside("admin: { token: enc:v1:AAAA }"),
    problems: [
      "sms.yaml:3:17 admin.token: needs the key for encrypted secrets, and there is none — set SMS_AGENT_KEY, or put the key into /etc/sms-agent/data/secret.key",
    ],
  },
  {
    name: "secrets that no key can be read from, which are not shown",
    text: `${SIMULATED}\nagents:\n  parrot: { type: http, url: "http://127.0.0.1:1", secret: whsec_% }\nwebhooks:\n  - { url: "http://127.0.0.1:2", secret: "whsec_!!", events: [alert] }\n`,
    problems: [
      "sms.yaml:3:60 agents.parrot.secret: cannot be used: after whsec_ there must be base64 — write whsec_ and a key in base64 (openssl rand -base64 32 makes one), or any other text without that prefix",
      "sms.yaml:5:42 webhooks[0].secret: cannot be used: after whsec_ there must be base64 — write whsec_ and a key in base64 (openssl rand -base64 32 makes one), or any other text without that prefix",
    ],
  },
  {
    name: "a folder of policies that is not there",
    text: beside("policies: ./rules"),
    problems: [
      "sms.yaml:3:11 policies: is no folder (found ./rules) — make the folder, or write another one; a relative path starts at the config file's folder",
    ],
  },
  {
    name: "a path with a tilde",
    text: beside("data_dir: ~/data"),
    problems: [
      `sms.yaml:3:11 data_dir: begins with ~, which only a shell expands (found ~/data) — write \${HOME} or the whole path`,
    ],
  },
  {
    name: "a misspelt time zone",
    text: beside("timezone: Europe/Berln"),
    problems: ["sms.yaml:3:11 timezone: is not a time zone (found Europe/Berln) — write Europe/Berlin"],
  },
  {
    name: "an offset for a time zone",
    text: beside('timezone: "+02:00"'),
    problems: [
      'sms.yaml:3:11 timezone: is not a time zone (found "+02:00") — write an IANA name such as Europe/Berlin or UTC',
    ],
  },
  {
    name: "a home on a channel that is not there",
    text: beside('home: { channel: smss, address: "+15559876543" }'),
    problems: ["sms.yaml:3:18 home.channel: names no channel of channels: (found smss) — write sms"],
  },
  {
    name: "a home without address",
    text: beside("home: { channel: sms }"),
    problems: [
      'sms.yaml:3:1 home.address: is missing; a phone number is needed here — write it, such as "+15559876543"',
    ],
  },
  {
    name: "schedules without home, two of one name, one without agent",
    text: beside(
      'schedules:\n  - { name: a, cron: "0 7 * * *", agent: parrot, prompt: x }\n  - { name: a, cron: "0 7 * * *", agent: nobody, prompt: x, missed: skipp }',
    ),
    problems: [
      'sms.yaml:3:1 home: is missing; it is where schedules deliver — write home: { channel: sms, address: "+15559876543" }',
      "sms.yaml:5:13 schedules[1].name: is the name of schedules[0] already (found a) — write a name of its own",
      "sms.yaml:5:42 schedules[1].agent: names no agent of agents: (found nobody) — write parrot",
      "sms.yaml:5:69 schedules[1].missed: must be one of skip, run_once (found skipp) — write skip",
    ],
  },
  ...(
    [
      [
        "an hour of 25",
        "0 25 * * *",
        'sms.yaml:5:22 schedules[0].cron: is not a cron expression: the hour is not 0 to 23 (found "0 25 * * *") — write five fields "minute hour day-of-month month day-of-week", such as "0 7 * * mon-fri"',
      ],
      [
        "six fields",
        "0 0 7 * * *",
        'sms.yaml:5:22 schedules[0].cron: has six fields; seconds are not supported (found "0 0 7 * * *") — write "0 7 * * *"',
      ],
      [
        "four fields",
        "0 7 * *",
        'sms.yaml:5:22 schedules[0].cron: is not a cron expression: it has 4 fields, not five (found "0 7 * *") — write five fields "minute hour day-of-month month day-of-week", such as "0 7 * * mon-fri"',
      ],
      [
        "a nickname",
        "@daily",
        'sms.yaml:5:22 schedules[0].cron: is a cron nickname (found "@daily") — write "0 0 * * *"',
      ],
      [
        "a range that runs backwards",
        "0 7 * * fri-mon",
        'sms.yaml:5:22 schedules[0].cron: is not a cron expression: the day of week has a range that runs backwards (found "0 7 * * fri-mon") — write five fields "minute hour day-of-month month day-of-week", such as "0 7 * * mon-fri"',
      ],
      [
        "a step without a range",
        "5/10 * * * *",
        'sms.yaml:5:22 schedules[0].cron: is not a cron expression: the minute has a step without a range (found "5/10 * * * *") — write five fields "minute hour day-of-month month day-of-week", such as "0 7 * * mon-fri"',
      ],
      [
        "a day that never comes",
        "0 0 30 2 *",
        'sms.yaml:5:22 schedules[0].cron: is never due: no such day is in that month (found "0 0 30 2 *") — write a day that the month has',
      ],
      [
        "a word",
        "0 7 * * someday",
        'sms.yaml:5:22 schedules[0].cron: is not a cron expression: the day of week is not 0 to 7 or sun to sat (found "0 7 * * someday") — write five fields "minute hour day-of-month month day-of-week", such as "0 7 * * mon-fri"',
      ],
    ] as const
  ).map(([what, cron, problem]) => ({
    name: `a cron expression with ${what}`,
    text: beside(
      `home: { channel: sms, address: "+15559876543" }\nschedules:\n  - { name: a, cron: "${cron}", agent: parrot, prompt: x }`,
    ),
    problems: [problem],
  })),
  {
    name: "an event that does not exist, and a webhook without secret",
    text: beside("webhooks:\n  - { url: http://127.0.0.1:9001, events: [message.recieved] }"),
    problems: [
      `sms.yaml:4:5 webhooks[0].secret: is missing; requests are signed with it — write secret: \${WEBHOOK_SECRET} and set that variable`,
      "sms.yaml:4:44 webhooks[0].events[0]: must be one of message.received, message.status, signal.matched, channel.status, conversation.ended, alert (found message.recieved) — write message.received",
    ],
  },
  {
    name: "a webhook with no event",
    text: beside("webhooks:\n  - { url: http://127.0.0.1:9001, secret: abc, events: [] }"),
    problems: [
      "sms.yaml:4:56 webhooks[0].events: is an empty list (found []) — write a list such as [alert]",
    ],
  },
  {
    name: "an openai-compatible agent without base URL",
    text: llmWith(),
    problems: [
      "sms.yaml:3:3 agents.parrot.base_url: is missing; an openai-compatible endpoint has no address of its own — write base_url: http://127.0.0.1:11434/v1 (or where yours is)",
    ],
  },
  {
    name: "an agent of OpenAI without key",
    text: llmWith("provider: openai"),
    problems: [
      `sms.yaml:3:3 agents.parrot.api_key: is missing; openai answers nobody without one — write api_key: \${OPENAI_API_KEY} and set that variable`,
    ],
  },
  {
    name: "an llm agent without model",
    text: llmWith("base_url: http://127.0.0.1:11434/v1").replace("    model: qwen3:8b\n", ""),
    problems: [
      "sms.yaml:3:3 agents.parrot.model: is missing; a model name is needed here — write it, such as qwen3:8b",
    ],
  },
  {
    name: "an unknown built-in tool",
    text: llmWith("base_url: http://127.0.0.1:11434/v1", "tools: [await_signals]"),
    problems: [
      "sms.yaml:7:13 agents.parrot.tools[0]: must be one of await_signal, send_message, remind (found await_signals) — write await_signal",
    ],
  },
  {
    name: "a confirm of a tool of no configured server",
    text: llmWith(
      "base_url: http://127.0.0.1:11434/v1",
      "mcp_servers: { home: { url: http://127.0.0.1:8123/mcp } }",
      "confirm: [hoem.unlock_door, unlock, home.]",
    ),
    problems: [
      "sms.yaml:8:15 agents.parrot.confirm[0]: names a tool of a server that is not in mcp_servers of this agent (found hoem.unlock_door) — write home.unlock_door",
      "sms.yaml:8:33 agents.parrot.confirm[1]: names no tool of this agent (found unlock) — write server.tool, or a built-in tool of tools",
      "sms.yaml:8:41 agents.parrot.confirm[2]: names a server, but no tool of it (found home.) — write home.<tool>",
    ],
  },
  {
    name: "a confirm of a built-in tool that is not given",
    text: llmWith("base_url: http://127.0.0.1:11434/v1", "tools: []", "confirm: [send_message]"),
    problems: [
      "sms.yaml:8:15 agents.parrot.confirm[0]: names a tool this agent is not given in tools (found send_message) — write server.tool, or a built-in tool of tools",
    ],
  },
  {
    name: "an MCP server that is neither, one that is both, one with a dot",
    text: llmWith(
      "base_url: http://127.0.0.1:11434/v1",
      "mcp_servers:",
      "  a: {}",
      "  b: { url: http://x.example, command: [x] }",
      "  c.d: { command: [x], headers: { A: b } }",
    ),
    problems: [
      "sms.yaml:8:7 agents.parrot.mcp_servers.a: has neither url nor command — write url: for a server reached over HTTP, or command: for a program that is started",
      "sms.yaml:9:7 agents.parrot.mcp_servers.b: has both url and command — write url: for a server reached over HTTP, or command: for a program that is started",
      'sms.yaml:10:7 agents.parrot.mcp_servers."c.d": is no name for an MCP server: names are 1 to 64 of a-z, A-Z, 0-9, _ and - — write another name',
    ],
  },
  {
    name: "a command in one string",
    text: `${SIMULATED}\nagents:\n  parrot: { type: command, command: ./reply.sh --fast }\n`,
    problems: [
      "sms.yaml:3:37 agents.parrot.command: is not a list (found ./reply.sh --fast) — write a list: [first, second], or one `- item` per line",
    ],
  },
  {
    name: "an empty command",
    text: `${SIMULATED}\nagents:\n  parrot: { type: command, command: [] }\n`,
    problems: [
      "sms.yaml:3:37 agents.parrot.command: is an empty list (found []) — write a command such as [./reply.sh]",
    ],
  },
  {
    name: "an environment variable that is a number, and one with a bad name",
    text: `${SIMULATED}\nagents:\n  parrot: { type: command, command: [x], env: { LEVEL: 1, "A-B": x } }\n`,
    problems: [
      'sms.yaml:3:56 agents.parrot.env.LEVEL: is a number to YAML; a text must be quoted — write "1"',
      "sms.yaml:3:59 agents.parrot.env.A-B: is no name of an environment variable — write letters, digits and _, not beginning with a digit",
    ],
  },
  {
    name: "a header that cannot be sent",
    text: `${SIMULATED}\nagents:\n  parrot: { type: http, url: http://127.0.0.1:9, headers: { "X Y": a, B: "a\\nb" } }\n`,
    problems: [
      'sms.yaml:3:61 agents.parrot.headers."X Y": is no header name — write letters, digits and -',
      "sms.yaml:3:74 agents.parrot.headers.B: has a value that no header can carry — write it in one line, in Latin letters",
    ],
  },
  {
    name: "an http agent without URL, whose secret is a list",
    text: `${SIMULATED}\nagents:\n  parrot: { type: http, secret: [abc] }\n`,
    problems: [
      "sms.yaml:3:3 agents.parrot.url: is missing; a URL is needed here — write it, such as https://example.com/path",
      "sms.yaml:3:33 agents.parrot.secret: is not a text — write a secret",
    ],
  },
];
