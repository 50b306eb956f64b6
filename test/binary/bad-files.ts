// One wrong start per entry, for the test beside it. Long, for it is a table.

export interface BadFiles {
  /** What is wrong, as the name of the test. */
  readonly name: string;
  /** Files beside the binary. A text that is undefined makes a folder. */
  readonly files: Readonly<Record<string, string | undefined>>;
  /** Files that the service's user may not read. */
  readonly locked?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** All lines that are printed. `<folder>` stands for the folder of the files. */
  readonly stderr: readonly string[];
}

const SIMULATED =
  "channels: { sms: { provider: simulator, agent: parrot } }\nagents: { parrot: { type: echo } }\n";

function yaml(text: string): Readonly<Record<string, string>> {
  return { "sms.yaml": text };
}

/** A right file with more lines, from line 3 on. */
function beside(lines: string): Readonly<Record<string, string>> {
  return yaml(`${SIMULATED}${lines}\n`);
}

/** A twilio channel, its keys from line 6 on. */
function twilio(...keys: readonly string[]): Readonly<Record<string, string>> {
  return yaml(`agents: { parrot: { type: echo } }
twilio: { account_sid: AC00000000000000000000000000000001, auth_token: abc }
channels:
  sms:
    agent: parrot
${keys.map((key) => `    ${key}\n`).join("")}`);
}

function policies(
  text: string,
  name = "house.cedar",
  config = SIMULATED,
): Readonly<Record<string, string | undefined>> {
  return { "sms.yaml": config, [`policies/${name}`]: text };
}

export const BAD_FILES: readonly BadFiles[] = [
  {
    name: "secrets that no key can be read from",
    files: yaml(
      `${SIMULATED}webhooks:\n  - { url: "http://127.0.0.1:2", secret: "whsec_!!", events: [alert] }\n`,
    ),
    stderr: [
      "sms.yaml:4:42 webhooks[0].secret: cannot be used: after whsec_ there must be base64 — write whsec_ and a key in base64 (openssl rand -base64 32 makes one), or any other text without that prefix",
    ],
  },
  {
    name: "no file",
    files: {},
    stderr: [
      "sms.yaml:1:1: cannot be read: there is no such file — make one with sms-agent init, or name the config file with --config FILE",
    ],
  },
  {
    name: "a folder instead of a file",
    files: { "sms.yaml": undefined },
    stderr: ["sms.yaml:1:1: cannot be read: it is a folder — name the config file with --config FILE"],
  },
  {
    name: "a file this user may not read",
    files: beside(""),
    locked: ["sms.yaml"],
    stderr: [
      "sms.yaml:1:1: cannot be read: this user may not read it — name the config file with --config FILE",
    ],
  },
  {
    name: "an empty file",
    files: yaml(""),
    stderr: [
      "sms.yaml:1:1: is empty — write at least channels: and agents:; `sms.example.yaml` has every key",
    ],
  },
  {
    name: "a value of the wrong type",
    files: beside("limits: { sender_per_minute: many }"),
    stderr: [
      "sms.yaml:3:30 limits.sender_per_minute: is not a whole number (found many) — write a whole number such as 1, without quotes",
    ],
  },
  {
    name: "a misspelt key",
    files: beside("polices: ./policies"),
    stderr: ["sms.yaml:3:1 polices: is not a known key — write policies"],
  },
  {
    name: "a misspelt key of a channel",
    files: twilio('from_numbr: "+15551234567"', "inbound: poll"),
    stderr: ["sms.yaml:6:5 channels.sms.from_numbr: is not a known key — write from_number"],
  },
  {
    name: "an unquoted number",
    files: twilio("from_number: +15551234567", "inbound: poll"),
    stderr: [
      'sms.yaml:6:18 channels.sms.from_number: is a number to YAML; a phone number must be quoted (found +15551234567) — write "+15551234567"',
    ],
  },
  {
    name: "no public URL for a webhook",
    files: twilio('from_number: "+15551234567"'),
    stderr: [
      "sms.yaml:4:3 server.public_url: is missing; channels.sms receives by webhook, and Twilio must know where — write public_url: https://… under server: (what Twilio calls), or inbound: poll in the channel",
    ],
  },
  {
    name: "an agent that is not there",
    files: yaml(
      "channels: { sms: { provider: simulator, agent: parot } }\nagents: { parrot: { type: echo } }\n",
    ),
    stderr: ["sms.yaml:1:48 channels.sms.agent: names no agent of agents: (found parot) — write parrot"],
  },
  {
    name: "a bad duration",
    files: twilio('from_number: "+15551234567"', "inbound: poll", "idle_timeout: 30 minutes"),
    stderr: ["sms.yaml:8:19 channels.sms.idle_timeout: is not a duration (found 30 minutes) — write 30m"],
  },
  {
    name: "two channels with one number",
    files: yaml(`agents: { parrot: { type: echo } }
twilio: { account_sid: AC00000000000000000000000000000001, auth_token: abc }
channels:
  one: { agent: parrot, from_number: "+15551234567", inbound: poll }
  two: { agent: parrot, from_number: "+15551234567", inbound: poll }
`),
    stderr: [
      'sms.yaml:5:38 channels.two.from_number: is the sender of channels.one already (found "+15551234567") — write another sender, or take one of the two channels out',
    ],
  },
  {
    name: "no sender at all",
    files: twilio("inbound: poll"),
    stderr: [
      'sms.yaml:4:3 channels.sms.from_number: is missing, and so is messaging_service_sid — write from_number: "+15551234567" (your Twilio number, in quotes) or messaging_service_sid: MG…',
    ],
  },
  {
    name: "two senders at once",
    files: twilio(
      'from_number: "+15551234567"',
      "messaging_service_sid: MG00000000000000000000000000000001",
      "inbound: poll",
    ),
    stderr: [
      "sms.yaml:7:5 channels.sms.messaging_service_sid: is given, and so is from_number; a channel has one sender — write one of the two",
    ],
  },
  {
    name: "no credentials",
    files: yaml(
      'channels: { sms: { from_number: "+15551234567", inbound: poll, agent: parrot } }\nagents: { parrot: { type: echo } }\n',
    ),
    stderr: [
      `sms.yaml:1:13 twilio.account_sid: is missing; needed by channels.sms — write account_sid: \${TWILIO_ACCOUNT_SID} under twilio: and set that variable`,
      `sms.yaml:1:13 twilio.auth_token: is missing; needed by channels.sms — write auth_token: \${TWILIO_AUTH_TOKEN} under twilio: and set that variable`,
    ],
  },
  {
    name: "an unset variable",
    files: beside(`admin: { token: \${ADMIN_TOKEN} }`),
    stderr: [
      `sms.yaml:3:17 admin.token: needs the environment variable ADMIN_TOKEN, which is not set — set ADMIN_TOKEN, or write \${ADMIN_TOKEN:-default}`,
    ],
  },
  {
    name: "an empty secret",
    files: yaml(
      `channels: { sms: { from_number: "+15551234567", inbound: poll, agent: parrot } }\nagents: { parrot: { type: echo } }\ntwilio: { account_sid: AC00000000000000000000000000000001, auth_token: "\${TOKEN}" }\n`,
    ),
    env: { TOKEN: "" },
    stderr: [
      `sms.yaml:3:72 twilio.auth_token: is empty; needed by channels.sms — write auth_token: \${TWILIO_AUTH_TOKEN} under twilio: and set that variable`,
    ],
  },
  {
    name: "a secret file that is not there",
    files: beside("admin: { token_file: ./token }"),
    stderr: [
      "sms.yaml:3:22 admin.token_file: names a file that cannot be read: there is no such file (found ./token) — write the path of a file this user can read; a relative one starts at the config file's folder",
    ],
  },
  {
    name: "a secret file this user may not read",
    files: { ...beside("admin: { token_file: ./token }"), token: "x" },
    locked: ["token"],
    stderr: [
      "sms.yaml:3:22 admin.token_file: names a file that cannot be read: this user may not read it (found ./token) — write the path of a file this user can read; a relative one starts at the config file's folder",
    ],
  },
  {
    name: "a secret given twice",
    files: { ...beside("admin: { token: abc, token_file: ./token }"), token: "x" },
    stderr: ["sms.yaml:3:22 admin.token_file: is given, and so is token — write one of the two"],
  },
  {
    name: "an encrypted secret without a key",
    files: beside("admin: { token: enc:AAAA }"),
    stderr: [
      "sms.yaml:3:17 admin.token: needs the key for encrypted secrets, and there is none — set SMS_AGENT_KEY, or put the key into <folder>/data/secret.key",
    ],
  },
  {
    name: "a listen address without a port",
    files: beside("server: { listen: 127.0.0.1 }"),
    stderr: ["sms.yaml:3:19 server.listen: has no port (found 127.0.0.1) — write 127.0.0.1:8080"],
  },
  {
    name: "one address for both listeners",
    files: beside("server: { listen: 127.0.0.1:8081 }"),
    stderr: [
      "sms.yaml:3:19 server.listen: has the port of the other listener; what the Internet reaches must not be what you reach (found 127.0.0.1:8081) — write another port, such as 127.0.0.1:8082",
    ],
  },
  {
    name: "unsigned webhooks on an open listener",
    files: yaml(`agents: { parrot: { type: echo } }
server: { listen: 0.0.0.0:8080, public_url: "https://sms.example.com" }
twilio: { account_sid: AC00000000000000000000000000000001, auth_token: abc }
channels: { sms: { agent: parrot, from_number: "+15551234567", insecure_no_signature: true } }
`),
    stderr: [
      "sms.yaml:4:87 channels.sms.insecure_no_signature: is allowed only on this machine alone, but server.listen is reachable from others (found true) — write insecure_no_signature: false, or server.listen: 127.0.0.1:8080",
    ],
  },
  {
    name: "a channel name that is no name",
    files: yaml(
      "channels: { My Phone: { provider: simulator, agent: parrot } }\nagents: { parrot: { type: echo } }\n",
    ),
    stderr: [
      'sms.yaml:1:13 channels."My Phone": is no name for a channel: names are 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit — write my-phone',
    ],
  },
  {
    name: "an llm without a model",
    files: yaml(
      "channels: { sms: { provider: simulator, agent: a } }\nagents: { a: { type: llm, base_url: http://127.0.0.1:11434/v1 } }\n",
    ),
    stderr: [
      "sms.yaml:2:11 agents.a.model: is missing; a model name is needed here — write it, such as qwen3:8b",
    ],
  },
  {
    name: "a command that is one text",
    files: yaml(
      "channels: { sms: { provider: simulator, agent: a } }\nagents: { a: { type: command, command: ./reply.sh --fast } }\n",
    ),
    stderr: [
      "sms.yaml:2:40 agents.a.command: is not a list (found ./reply.sh --fast) — write a list: [first, second], or one `- item` per line",
    ],
  },
  {
    name: "a schedule by a wrong clock",
    files: beside(
      'home: { channel: sms, address: "+15559876543" }\nschedules:\n  - { name: a, cron: "0 25 * * *", agent: parrot, prompt: x }\n  - { name: b, cron: "0 7 * * *", timezone: Europe/Atlantis, agent: parrot, prompt: x }',
    ),
    stderr: [
      'sms.yaml:5:22 schedules[0].cron: is not a cron expression: the hour is not 0 to 23 (found "0 25 * * *") — write five fields "minute hour day-of-month month day-of-week", such as "0 7 * * mon-fri"',
      "sms.yaml:6:45 schedules[1].timezone: is not a time zone (found Europe/Atlantis) — write Europe/Athens",
    ],
  },
  {
    name: "a quote that is never closed",
    files: beside('timezone: "UTC'),
    stderr: [
      'sms.yaml:4:1: is not valid YAML here: Missing closing "quote — write the missing character, or quote the whole value',
    ],
  },
  {
    name: "a tab as indentation",
    files: yaml("channels:\n\tsms: {}\n"),
    stderr: ["sms.yaml:2:1: is indented with a tab — write spaces"],
  },
  {
    name: "several things at once",
    files: yaml("server:\n  listen: :8080\nchanels: {}\nagents:\n  a: { type: ecko }\n"),
    stderr: [
      "sms.yaml:2:11 server.listen: has no host (found :8080) — write 127.0.0.1:8080 for this machine alone, or 0.0.0.0:8080 for every network it is in",
      "sms.yaml:3:1 chanels: is not a known key — write channels",
      "sms.yaml:5:14 agents.a.type: must be one of llm, http, command, echo (found ecko) — write echo",
    ],
  },
  {
    name: "a policies folder that is not there",
    files: beside("policies: ./rules"),
    stderr: [
      "sms.yaml:3:11 policies: is no folder (found ./rules) — make the folder, or write another one; a relative path starts at the config file's folder",
    ],
  },
  {
    name: "a policies folder this user may not read",
    files: policies("permit (principal, action, resource);"),
    locked: ["policies"],
    stderr: [
      "<folder>/policies:1:1: the policies folder cannot be read (EACCES)",
      "  Create it, correct `policies:` in sms.yaml, or delete that line.",
    ],
  },
  {
    name: "a policy file this user may not read",
    files: policies("permit (principal, action, resource);"),
    locked: ["policies/house.cedar"],
    stderr: [
      "<folder>/policies/house.cedar:1:1: cannot be read (EACCES)",
      "  Save it as UTF-8 text that the service may read, or move it away.",
    ],
  },
  {
    name: "Cedar that does not parse",
    files: policies('@id("a")\npermit (principal, action\n  resource);\n'),
    stderr: [
      '<folder>/policies/house.cedar:3:3: policy "a": unexpected token `resource`, expected `!=`, `)`, `,`, `:`, `<`, `<=`, `==`, `>`, `>=`, `in`, or `is`',
      '  A policy reads: @id("name") permit (principal, action, resource) when { … };',
    ],
  },
  {
    name: "a sender compared with a text",
    files: policies(
      '@id("bank")\nforbid (principal, action == Policy::Action::"receive_message", resource)\nwhen { resource.sender == "22000" };\n',
    ),
    stderr: [
      '<folder>/policies/house.cedar:3:8: policy "bank": the sender is a record, which a value of another type never equals',
      '  Compare one of its attributes: resource.sender.address == "+15551234567" (also kind, country, paired).',
    ],
  },
  {
    name: "a policy for an agent that is not configured",
    files: policies(
      '@id("bank")\nforbid (principal == Policy::Agent::"parot", action == Policy::Action::"receive_message", resource);\n',
    ),
    stderr: [
      '<folder>/policies/house.cedar:2:22: policy "bank": Policy::Agent::"parot" names no agent of the configuration',
      '  Did you mean Policy::Agent::"parrot"?',
    ],
  },
  {
    name: "a policy for a channel that is not configured",
    files: policies(
      '@id("bank")\nforbid (principal, action == Policy::Action::"receive_signal", resource in Policy::Channel::"smss");\n',
    ),
    stderr: [
      '<folder>/policies/house.cedar:2:76: policy "bank": Policy::Channel::"smss" names no channel of the configuration',
      '  Did you mean Policy::Channel::"sms"?',
    ],
  },
  {
    name: "two policies with one id",
    files: {
      ...policies(
        '@id("a")\nforbid (principal, action == Policy::Action::"receive_signal", resource);\n',
        "one.cedar",
      ),
      "policies/two.cedar":
        '\n@id("a")\nforbid (principal, action == Policy::Action::"receive_signal", resource);\n',
    },
    stderr: [
      '<folder>/policies/two.cedar:2:1: policy "a": the @id is taken by the policy at <folder>/policies/one.cedar:1',
      "  Give each policy an @id of its own, or delete one of the two.",
    ],
  },
  {
    name: "a policy file with a misspelt ending",
    files: policies('@id("a")\nforbid (principal, action, resource);\n', "house.ceder"),
    stderr: [
      "<folder>/policies/house.ceder:1:1: this file is not read, since its name does not end in .cedar",
      "  Rename it, or move it away.",
    ],
  },
];
