// Long, for it follows every key of the file from text to settings.
import { describe, expect, test } from "bun:test";
import { problemsOf, settingsOf, warningsOf } from "./loading.ts";

const PARROT = "agents: { parrot: { type: echo } }";
const SIMULATED = `${PARROT}\nchannels: { sms: { provider: simulator, agent: parrot } }\n`;
const SID = "AC00000000000000000000000000000001";
const TWILIO = `${PARROT}\nserver: { public_url: "https://sms.example.com" }\ntwilio: { account_sid: ${SID}, auth_token: abc }\n`;

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test("a file of two lines gets every default", () => {
  const { channels, agents, ...rest } = settingsOf(SIMULATED);
  expect(rest).toEqual({
    server: { listen: { host: "127.0.0.1", port: 8080 } },
    admin: { listen: { host: "127.0.0.1", port: 8081 }, allowedHosts: [] },
    dataDir: "/etc/sms-agent/data",
    timezone: "Europe/Paris",
    prices: { currency: "USD", outboundSegment: 0.0083, inboundSegment: 0.0083 },
    schedules: [],
    webhooks: [],
    limits: { senderPerMinute: 20, segmentsPerReply: 10, segmentsPerDay: 500 },
    retention: { messages: 90 * DAY, denied: 7 * DAY, codes: HOUR },
    log: { level: "info", format: "auto" },
  });
  expect(agents.parrot).toEqual({ id: "parrot", type: "echo" });
  expect(channels.sms).toEqual({
    id: "sms",
    provider: "simulator",
    sender: { kind: "number", number: "+15550100001" },
    mode: "message",
    agent: "parrot",
    enabled: true,
    inbound: "webhook",
    pollInterval: 5_000,
    catchUp: DAY,
    registerWebhook: true,
    allowedSenders: [],
    allowAllSenders: false,
    idleTimeout: 30 * MINUTE,
    session: "address",
    debounce: 1_200,
    reply: { maxMessages: 1, overflow: "more", economy: true },
    insecureNoSignature: false,
    account: {
      accountSid: expect.stringMatching(/^AC[0-9a-f]{32}$/),
      authToken: expect.stringMatching(/^[0-9a-f]{32}$/),
      apiUrl: "",
      messagingUrl: "",
    },
  });
});

test("agents of each type get their defaults", () => {
  const { agents } = settingsOf(`channels: { sms: { provider: simulator, agent: a } }
agents:
  a: { type: llm, base_url: "http://127.0.0.1:11434/v1/", model: qwen3:8b }
  b: { type: http, url: "http://127.0.0.1:9000/sms" }
  c: { type: command, command: [./reply.sh, -v] }
  d: { type: command, command: [python3, reply.py], env: { LANG: C.UTF-8 }, timeout: 30s }
`);
  expect(agents.a).toEqual({
    id: "a",
    type: "llm",
    provider: "openai-compatible",
    baseUrl: "http://127.0.0.1:11434/v1",
    model: "qwen3:8b",
    system: "You are a helpful assistant reached by SMS. Be brief.",
    timeout: 120_000,
    maxSteps: 12,
    history: 40,
    tools: ["await_signal", "send_message", "remind"],
    confirm: [],
    mcpServers: {},
  });
  expect(agents.b).toEqual({
    id: "b",
    type: "http",
    url: "http://127.0.0.1:9000/sms",
    headers: {},
    timeout: 120_000,
  });
  expect(agents.c).toEqual({
    id: "c",
    type: "command",
    command: ["/etc/sms-agent/reply.sh", "-v"],
    env: {},
    cwd: "/etc/sms-agent",
    timeout: 120_000,
  });
  expect(agents.d).toMatchObject({
    command: ["python3", "reply.py"],
    env: { LANG: "C.UTF-8" },
    timeout: 30_000,
  });
});

test("every key of a full file arrives", () => {
  const settings = settingsOf(
    `
server: { listen: "[::1]:0", public_url: "https://sms.example.com/agent/" }
admin: { listen: 0.0.0.0:9999, token: t0ken, allowed_hosts: [Pi.lan] }
data_dir: /var/lib/sms-agent
policies: ./rules
twilio:
  account_sid: ${SID}
  auth_token: abc
  auth_token_previous: old
  api_key_sid: SK00000000000000000000000000000002
  api_key_secret: key
  api_url: https://api.dublin.ie1.twilio.com/
  messaging_url: http://127.0.0.1:4010
channels:
  sms:
    provider: twilio
    from_number: "whatsapp:+15551234567"
    mode: signal
    agent: assistant
    enabled: false
    inbound: poll
    poll_interval: 250ms
    catch_up: 0
    register_webhook: false
    allowed_senders: ["whatsapp:+15559876543", { address: "whatsapp:+15559876544", label: Anna }]
    idle_timeout: 90
    session: shared
    debounce: 0s
    reply: { max_messages: 3, overflow: split, economy: max }
  service: { messaging_service_sid: MG00000000000000000000000000000003, agent: assistant, allow_all_senders: true }
agents:
  assistant:
    type: llm
    provider: anthropic
    model: claude
    api_key: key
    system: Be brief.
    timeout: 1m
    max_steps: 3
    history: 5
    tools: [remind]
    confirm: [home.unlock_door, remind]
    mcp_servers:
      home: { url: "http://127.0.0.1:8123/mcp", headers: { Authorization: "Bearer x" } }
      files: { command: [npx, -y, server], env: { A: b } }
  hook: { type: http, url: "http://127.0.0.1:9000/sms", secret: s, headers: { X-A: b }, timeout: 5s }
home: { channel: service, address: "+15559876543", label: Home }
timezone: Europe/Berlin
prices: { currency: EUR, outbound_segment: 0.1, inbound_segment: 0 }
schedules:
  - { name: morning, cron: "0 7 * * mon-fri", agent: assistant, prompt: Weather }
  - { name: night, cron: "*/15 22-23,0 1,15 jan,6 *", timezone: UTC, agent: hook, prompt: x, missed: run_once }
webhooks: [{ url: "http://127.0.0.1:9001/events?a=b", secret: w, events: [alert, message.status], include_codes: true }]
limits: { sender_per_minute: 1, segments_per_reply: 2, segments_per_day: 3 }
retention: { messages: 1d, denied: 2h, codes: 3m }
log: { level: debug, format: json }
`,
    { folders: ["/etc/sms-agent/rules"] },
  );
  const account = {
    accountSid: SID,
    authToken: "abc",
    authTokenPrevious: "old",
    apiKeySid: "SK00000000000000000000000000000002",
    apiKeySecret: "key",
    apiUrl: "https://api.dublin.ie1.twilio.com",
    messagingUrl: "http://127.0.0.1:4010",
  };
  expect(settings).toEqual({
    server: { listen: { host: "::1", port: 0 }, publicUrl: "https://sms.example.com/agent" },
    admin: { listen: { host: "0.0.0.0", port: 9999 }, token: "t0ken", allowedHosts: ["pi.lan"] },
    dataDir: "/var/lib/sms-agent",
    policiesDir: "/etc/sms-agent/rules",
    channels: {
      sms: {
        id: "sms",
        provider: "twilio",
        sender: { kind: "number", number: "whatsapp:+15551234567" },
        mode: "signal",
        agent: "assistant",
        enabled: false,
        inbound: "poll",
        pollInterval: 250,
        catchUp: 0,
        registerWebhook: false,
        allowedSenders: [
          { address: "whatsapp:+15559876543" },
          { address: "whatsapp:+15559876544", label: "Anna" },
        ],
        allowAllSenders: false,
        idleTimeout: 90_000,
        session: "shared",
        debounce: 0,
        reply: { maxMessages: 3, overflow: "split", economy: "max" },
        insecureNoSignature: false,
        account,
      },
      service: expect.objectContaining({
        sender: { kind: "service", sid: "MG00000000000000000000000000000003" },
        allowAllSenders: true,
        account,
      }),
    },
    agents: {
      assistant: {
        id: "assistant",
        type: "llm",
        provider: "anthropic",
        model: "claude",
        apiKey: "key",
        system: "Be brief.",
        timeout: MINUTE,
        maxSteps: 3,
        history: 5,
        tools: ["remind"],
        confirm: ["home.unlock_door", "remind"],
        mcpServers: {
          home: { url: "http://127.0.0.1:8123/mcp", headers: { Authorization: "Bearer x" } },
          files: { command: ["npx", "-y", "server"], env: { A: "b" }, cwd: "/etc/sms-agent" },
        },
      },
      hook: {
        id: "hook",
        type: "http",
        url: "http://127.0.0.1:9000/sms",
        secret: "s",
        headers: { "X-A": "b" },
        timeout: 5_000,
      },
    },
    home: { channel: "service", address: "+15559876543", label: "Home" },
    timezone: "Europe/Berlin",
    prices: { currency: "EUR", outboundSegment: 0.1, inboundSegment: 0 },
    schedules: [
      {
        name: "morning",
        cron: "0 7 * * mon-fri",
        timezone: "Europe/Berlin",
        agent: "assistant",
        prompt: "Weather",
        missed: "skip",
      },
      {
        name: "night",
        cron: "*/15 22-23,0 1,15 jan,6 *",
        timezone: "UTC",
        agent: "hook",
        prompt: "x",
        missed: "run_once",
      },
    ],
    webhooks: [
      {
        url: "http://127.0.0.1:9001/events?a=b",
        secret: "w",
        events: ["alert", "message.status"],
        includeCodes: true,
      },
    ],
    limits: { senderPerMinute: 1, segmentsPerReply: 2, segmentsPerDay: 3 },
    retention: { messages: DAY, denied: 2 * HOUR, codes: 3 * MINUTE },
    log: { level: "debug", format: "json" },
  });
});

describe("environment variables", () => {
  test("take their place anywhere in a text, in flow maps too", () => {
    const settings = settingsOf(
      `${PARROT}\ndata_dir: \${ROOT}/sms/\${NAME:-data}\nadmin: { token: \${TOKEN}, listen: 127.0.0.1:\${PORT:-9000}, allowed_hosts: [\${HOST:-pi.lan}] }\nchannels: { sms: { provider: simulator, agent: \${AGENT:-parrot} } }\n`,
      { env: { ROOT: "/srv", TOKEN: "a{b}: c, #d" } },
    );
    expect(settings.dataDir).toBe("/srv/sms/data");
    expect(settings.admin).toEqual({
      token: "a{b}: c, #d",
      listen: { host: "127.0.0.1", port: 9000 },
      allowedHosts: ["pi.lan"],
    });
  });

  test("take their place in quoted and block texts", () => {
    const { agents } = settingsOf(
      `channels: { sms: { provider: simulator, agent: a } }\nagents:\n  a:\n    type: llm\n    base_url: http://127.0.0.1:1\n    model: "\${MODEL}"\n    system: |\n      You are \${NAME}.\n      Cost: $\${5}\n`,
      { env: { MODEL: "m", NAME: "Ada" } },
    );
    expect(agents.a).toMatchObject({ model: "m", system: `You are Ada.\nCost: $\{5}\n` });
  });

  test("become numbers, switches and durations where those are wanted, and stay text elsewhere", () => {
    const settings = settingsOf(
      `${PARROT}\nadmin: { token: \${NUMBER} }\nlimits: { segments_per_day: \${NUMBER} }\nchannels: { sms: { provider: simulator, agent: parrot, from_number: \${PHONE}, enabled: \${OFF}, idle_timeout: \${NUMBER}, debounce: \${SHORT}, reply: { economy: \${ECONOMY} } } }\n`,
      { env: { NUMBER: "77", PHONE: "+15551234567", OFF: "false", SHORT: "250ms", ECONOMY: "max" } },
    );
    expect(settings.admin.token).toBe("77");
    expect(settings.limits.segmentsPerDay).toBe(77);
    expect(settings.channels.sms).toMatchObject({
      sender: { kind: "number", number: "+15551234567" },
      enabled: false,
      idleTimeout: 77_000,
      debounce: 250,
      reply: { economy: "max" },
    });
  });

  test("that are empty take the default, and without one leave nothing", () => {
    const settings = settingsOf(
      `${SIMULATED}server: { public_url: \${EMPTY} }\nadmin: { token: "\${EMPTY}" }\ntimezone: \${EMPTY:-UTC}\n`,
      { env: { EMPTY: "" } },
    );
    expect(settings.server).toEqual({ listen: { host: "127.0.0.1", port: 8080 } });
    expect(settings.admin.token).toBeUndefined();
    expect(settings.timezone).toBe("UTC");
  });

  test("named like a property of every object are not set", () => {
    expect(problemsOf(`${SIMULATED}data_dir: \${constructor}\n`)).toHaveLength(1);
  });
});

describe("secret files", () => {
  test("are read beside the config file, without the line break at their end", () => {
    const files = {
      "/etc/sms-agent/token": "t0ken \r\n",
      "/run/secrets/key": "key\n",
      "/run/secrets/hook": "h",
    };
    const settings = settingsOf(
      `admin: { token_file: token }\nchannels: { sms: { provider: simulator, agent: a } }\nagents:\n  a: { type: llm, provider: openai, model: m, api_key_file: /run/secrets/key }\n  b: { type: http, url: "http://127.0.0.1:1", secret_file: /run/secrets/hook }\nwebhooks: [{ url: "http://127.0.0.1:2", secret_file: /run/secrets/hook, events: [alert] }]\n`,
      { files },
    );
    expect(settings.admin.token).toBe("t0ken ");
    expect(settings.agents.a).toMatchObject({ apiKey: "key" });
    expect(settings.agents.b).toMatchObject({ secret: "h" });
    expect(settings.webhooks[0]?.secret).toBe("h");
  });

  test("stand in for every secret of twilio: and of a channel", () => {
    const files = { "/s/a": "a\n", "/s/b": "b\n", "/s/c": "c\n" };
    const { channels } = settingsOf(
      `${PARROT}\ntwilio: { account_sid: ${SID}, auth_token_file: /s/a, auth_token_previous_file: /s/b, api_key_sid: SK00000000000000000000000000000002, api_key_secret_file: /s/c }\nchannels: { sms: { agent: parrot, inbound: poll, from_number: "+15551234567" }, two: { agent: parrot, inbound: poll, from_number: "+15551234568", auth_token_file: /s/b } }\n`,
      { files },
    );
    expect(channels.sms?.account).toMatchObject({
      authToken: "a",
      authTokenPrevious: "b",
      apiKeySecret: "c",
    });
    expect(channels.two?.account.authToken).toBe("b");
  });

  test("that are empty count as absent, and are warned of", () => {
    const text = `${SIMULATED}admin: { token_file: /s/empty }\n`;
    const files = { "/s/empty": "\n" };
    expect(settingsOf(text, { files }).admin.token).toBeUndefined();
    expect(warningsOf(text, { files })).toEqual([
      "sms.yaml:3:22 admin.token_file: is an empty file, which counts as no secret (found /s/empty) — write the secret into it",
    ]);
  });

  test("beside an empty secret are used", () => {
    const files = { "/s/token": "t" };
    const text = `${SIMULATED}admin: { token: "", token_file: /s/token }\n`;
    expect(settingsOf(text, { files }).admin.token).toBe("t");
  });
});

describe("twilio: and channels", () => {
  test("a channel overrides any key of twilio:", () => {
    const { channels } = settingsOf(
      `${TWILIO}channels:\n  a: { agent: parrot, from_number: "+15551234567" }\n  b: { agent: parrot, from_number: "+15551234568", account_sid: AC00000000000000000000000000000002, auth_token: own, api_url: "http://127.0.0.1:4010" }\n`,
    );
    expect(channels.a?.account).toEqual({
      accountSid: SID,
      authToken: "abc",
      apiUrl: "https://api.twilio.com",
      messagingUrl: "https://messaging.twilio.com",
    });
    expect(channels.b?.account).toEqual({
      accountSid: "AC00000000000000000000000000000002",
      authToken: "own",
      apiUrl: "http://127.0.0.1:4010",
      messagingUrl: "https://messaging.twilio.com",
    });
  });

  test("the previous token of another token is not accepted for a channel's own", () => {
    const { channels } = settingsOf(
      `${TWILIO.replace("auth_token: abc", "auth_token: abc, auth_token_previous: old")}channels:\n  a: { agent: parrot, from_number: "+15551234567" }\n  b: { agent: parrot, from_number: "+15551234568", auth_token: own }\n`,
    );
    expect(channels.a?.account.authTokenPrevious).toBe("old");
    expect(channels.b?.account.authTokenPrevious).toBeUndefined();
  });

  test("one number in two accounts makes two channels", () => {
    const { channels } = settingsOf(
      `${TWILIO}channels:\n  a: { agent: parrot, from_number: "+15551234567" }\n  b: { agent: parrot, from_number: "+15551234567", account_sid: AC00000000000000000000000000000002, auth_token: own }\n`,
    );
    expect(Object.keys(channels)).toEqual(["a", "b"]);
  });

  test("simulator channels never use the real account, and share one of their own", () => {
    const { channels } = settingsOf(
      `${TWILIO}channels:\n  a: { provider: simulator, agent: parrot }\n  b: { provider: simulator, agent: parrot }\n`,
    );
    expect(channels.a?.account.accountSid).not.toBe(SID);
    expect(channels.a?.account.authToken).not.toBe("abc");
    expect(channels.b?.account).toEqual(channels.a?.account);
  });

  test("simulator channels without number get one in the order of the file, past those that are taken", () => {
    const { channels } = settingsOf(
      `${PARROT}\nchannels:\n  a: { provider: simulator, agent: parrot }\n  b: { provider: simulator, agent: parrot, from_number: "+15550100002" }\n  c: { provider: simulator, agent: parrot }\n`,
    );
    expect(Object.values(channels).map(({ sender }) => sender)).toEqual([
      { kind: "number", number: "+15550100001" },
      { kind: "number", number: "+15550100002" },
      { kind: "number", number: "+15550100003" },
    ]);
  });

  test("polling, disabled, send-only and unsigned loopback channels need no public URL", () => {
    const head = TWILIO.replace(/server:.*\n/, "");
    for (const key of ["inbound: poll", "inbound: none", "enabled: false", "insecure_no_signature: true"]) {
      const text = `${head}channels: { sms: { agent: parrot, from_number: "+15551234567", ${key} } }\n`;
      expect(problemsOf(text)).toEqual([]);
    }
  });

  test("unsigned webhooks are allowed with a public URL of this machine", () => {
    const text = `${TWILIO.replace("https://sms.example.com", "http://localhost:8080")}channels: { sms: { agent: parrot, from_number: "+15551234567", insecure_no_signature: true, api_url: "http://127.0.0.1:4010" } }\n`;
    expect(problemsOf(text)).toEqual([]);
  });

  test("a channel is found by its own name only", () => {
    const { channels } = settingsOf(SIMULATED);
    expect(channels.constructor).toBeUndefined();
    const named = settingsOf(SIMULATED.replace("sms:", "constructor:"));
    expect(named.channels.constructor).toMatchObject({ id: "constructor" });
  });
});

describe("YAML", () => {
  test("aliases and merge keys work, and a channel's own keys win", () => {
    const { channels } = settingsOf(
      `${PARROT}\nchannels:\n  a: &a\n    provider: simulator\n    agent: &agent parrot\n    idle_timeout: 5m\n    reply: &reply { economy: max }\n  b:\n    <<: *a\n    idle_timeout: 6m\n  c:\n    idle_timeout: 7m\n    reply: *reply\n    agent: *agent\n    <<: [{ debounce: 0 }, *a]\n`,
    );
    expect(channels.b).toMatchObject({ agent: "parrot", idleTimeout: 6 * MINUTE, reply: { economy: "max" } });
    expect(channels.c).toMatchObject({ idleTimeout: 7 * MINUTE, debounce: 0, reply: { economy: "max" } });
  });

  test("a key with nothing behind it takes its default", () => {
    const settings = settingsOf(`${SIMULATED}limits:\n  segments_per_day:\nschedules:\nhome:\nserver:\n`);
    expect(settings.limits.segmentsPerDay).toBe(500);
    expect(settings.home).toBeUndefined();
  });

  test("a byte order mark and Windows line ends do no harm", () => {
    const text = `\uFEFF${SIMULATED}timezone: Nowhere\n`.replaceAll("\n", "\r\n");
    expect(problemsOf(text).map((problem) => problem.split(": ")[0])).toEqual(["sms.yaml:3:11 timezone"]);
    expect(settingsOf(text.replace("Nowhere", "UTC")).timezone).toBe("UTC");
  });
});

test("the folder of policies is used when it is named, or when the default one is there", () => {
  const there = { folders: ["/etc/sms-agent/policies", "/srv/rules"] };
  expect(settingsOf(SIMULATED, there).policiesDir).toBe("/etc/sms-agent/policies");
  expect(settingsOf(`${SIMULATED}policies: /srv/rules\n`, there).policiesDir).toBe("/srv/rules");
  expect(settingsOf(SIMULATED).policiesDir).toBeUndefined();
});

describe("warned of, and accepted", () => {
  const cases: readonly [what: string, text: string, warning: string][] = [
    [
      "allowed senders beside allow_all_senders",
      `${PARROT}\nchannels:\n  sms:\n    provider: simulator\n    agent: parrot\n    allow_all_senders: true\n    allowed_senders: ["+15559876543"]\n`,
      "sms.yaml:7:5 channels.sms.allowed_senders: changes nothing beside allow_all_senders: true — write allow_all_senders: false to admit only these",
    ],
    [
      "an agent nobody can reach",
      `${PARROT}\nchannels:\n  sms:\n    provider: simulator\n    agent: parrot\n    inbound: none\n`,
      "sms.yaml:6:14 channels.sms.inbound: is none, so nobody reaches the agent of this channel; it only sends (found none) — write inbound: webhook or poll to receive",
    ],
    [
      "a public URL without encryption",
      `${TWILIO.replace("https:", "http:")}channels: { sms: { agent: parrot, from_number: "+15551234567" } }\n`,
      'sms.yaml:2:23 server.public_url: is not encrypted: texts and signatures can be read on the way (found "http://sms.example.com") — write an https URL',
    ],
    [
      "a public URL that Twilio cannot reach",
      `${TWILIO.replace("https://sms.example.com", "http://127.0.0.1:8080")}channels: { sms: { agent: parrot, from_number: "+15551234567" } }\n`,
      'sms.yaml:2:23 server.public_url: is an address of this machine, which Twilio cannot reach (found "http://127.0.0.1:8080") — write the URL under which the Internet reaches this machine, or inbound: poll in the channel',
    ],
    [
      "a public URL with a fragment",
      `${SIMULATED}server: { public_url: https://ann:pw@sms.example.com/a/#b?c }\n`,
      "sms.yaml:3:23 server.public_url: has a fragment (#…), which is left out: no request carries one (found https://***@sms.example.com/a/#b?…) — write it without the part from # on",
    ],
    [
      "texts that are to go while the carrier still lists them",
      `${SIMULATED}retention: { messages: 2h, denied: 25h }\n`,
      "sms.yaml:3:24 retention.messages: is shorter than channels.sms.catch_up (1d) and 1h, so they are kept 25h: a text that the carrier still lists would be taken for a new one and answered again (found 2h) — write messages: 25h or more, or a shorter catch_up",
    ],
    [
      "an admin token that can be guessed, without showing it",
      `${SIMULATED}admin: { token: hunter2 }\n`,
      "sms.yaml:3:17 admin.token: is short enough to be guessed — write at least 16 characters that nobody can know, or leave it out: one is made at the first start",
    ],
    [
      "another account with the token of twilio:",
      `${TWILIO}channels: { sms: { agent: parrot, from_number: "+15551234567", account_sid: AC00000000000000000000000000000002 } }\n`,
      "sms.yaml:4:77 channels.sms.account_sid: is another account than that of twilio:, whose auth_token is used with it (found AC00000000000000000000000000000002) — write the auth_token of this account beside it",
    ],
  ];
  for (const [what, text, warning] of cases) {
    test(what, () => {
      expect(warningsOf(text)).toEqual([warning]);
    });
  }
});

test("a fragment of the public URL is left out, whatever it is written in", () => {
  const of = (url: string, env = {}) =>
    settingsOf(`${SIMULATED}server: { public_url: ${url} }\n`, { env }).server.publicUrl;
  expect(of("https://sms.example.com/a/#b/c?d#")).toBe("https://sms.example.com/a");
  expect(of("https://sms.example.com#")).toBe("https://sms.example.com");
  expect(of(`\${URL}`, { URL: "https://sms.example.com/#x" })).toBe("https://sms.example.com");
});
