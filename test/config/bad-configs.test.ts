import { describe, expect, test } from "bun:test";
import { loadConfig } from "../../src/config/load.ts";
import { BAD_CONFIGS } from "./bad-configs.ts";
import { load, problemsOf } from "./loading.ts";

const env = { EMPTY: "", WORD: "sesame" };

describe("refused, with place, finding and what to write", () => {
  for (const { name, text, problems } of BAD_CONFIGS) {
    test(name, () => {
      expect(problemsOf(text, { env })).toEqual([...problems]);
    });
  }
});

test("every problem has a line and a column inside the file", () => {
  for (const { text } of BAD_CONFIGS) {
    const loaded = load(text, { env });
    const lines = text.split("\n");
    for (const { line, column } of loaded.kind === "invalid" ? loaded.problems : []) {
      expect(column).toBeGreaterThanOrEqual(1);
      expect(column).toBeLessThanOrEqual((lines[line - 1] ?? "").length + 1);
    }
  }
});

test("all problems of a file are told at once, those between keys included", () => {
  const text = `server:
  listen: :8080
  publicUrl: https://sms.example.com
admin: { token: \${NOPE} }
twilio:
  account_sid: AC123
channels:
  sms:
    from_number: +15551234567
    agent: asistant
    idle_timeout: 30 minutes
    allowed_senders: [+15559876543, { address: "5551234567", lable: x }]
  Second: { provider: simulator, enabled: yes }
agents:
  assistant: { type: llm, modle: x }
  hook: { type: http, url: ftp://x, timeout: 100d }
home: { channel: smss }
schedules:
  - { name: a, cron: "0 25 * * *", agent: nobody, prompt: x }
  - { name: a, agent: assistant, prompt: x }
`;
  const places = problemsOf(text).map((problem) => problem.split(": ")[0]);
  expect(places).toEqual([
    "sms.yaml:2:11 server.listen",
    "sms.yaml:3:3 server.publicUrl",
    "sms.yaml:4:17 admin.token",
    "sms.yaml:5:1 twilio.auth_token",
    "sms.yaml:6:16 twilio.account_sid",
    "sms.yaml:9:18 channels.sms.from_number",
    "sms.yaml:10:12 channels.sms.agent",
    "sms.yaml:11:19 channels.sms.idle_timeout",
    "sms.yaml:12:23 channels.sms.allowed_senders[0]",
    "sms.yaml:12:48 channels.sms.allowed_senders[1].address",
    "sms.yaml:12:62 channels.sms.allowed_senders[1].lable",
    "sms.yaml:13:3 channels.Second.agent",
    "sms.yaml:13:3 channels.Second",
    "sms.yaml:13:43 channels.Second.enabled",
    "sms.yaml:15:3 agents.assistant.base_url",
    "sms.yaml:15:27 agents.assistant.modle",
    "sms.yaml:16:28 agents.hook.url",
    "sms.yaml:16:46 agents.hook.timeout",
    "sms.yaml:17:1 home.address",
    "sms.yaml:17:18 home.channel",
    "sms.yaml:19:22 schedules[0].cron",
    "sms.yaml:19:43 schedules[0].agent",
    "sms.yaml:20:5 schedules[1].cron",
    "sms.yaml:20:13 schedules[1].name",
  ]);
});

test("no value of an environment variable and no secret is shown, wherever it stands", () => {
  const secret = "hunter2.example";
  const env = { SECRET: secret };
  const keys = [
    `server: { listen: \${SECRET}, public_url: \${SECRET} }`,
    `twilio: { account_sid: \${SECRET}, api_key_sid: \${SECRET} }`,
    `data_dir: [ \${SECRET} ]`,
    `timezone: \${SECRET}`,
    `log: { level: \${SECRET} }`,
    `limits: { segments_per_day: \${SECRET} }`,
    `retention: { codes: \${SECRET} }`,
    `policies: \${SECRET}`,
    `channels: { sms: { from_number: \${SECRET}, agent: \${SECRET}, mode: \${SECRET}, auth_token_file: \${SECRET} } }`,
    `agents: { a: { type: http, url: \${SECRET}, secret: [ \${SECRET} ], headers: { A: [ \${SECRET} ] } }, b: { type: \${SECRET} } }`,
    `home: { channel: \${SECRET}, address: \${SECRET} }`,
    `schedules: [ { name: a, cron: \${SECRET}, agent: \${SECRET}, prompt: x, timezone: \${SECRET} } ]`,
    `webhooks: [ { url: \${SECRET}, secret_file: \${SECRET}, events: [ \${SECRET} ] } ]`,
    `prices: { currency: \${SECRET} }`,
    `admin: { token: 77777777, allowed_hosts: [ "a:\${SECRET}" ] }`,
  ];
  const shown = problemsOf(`${keys.join("\n")}\n`, { env }).join("\n");
  expect(shown.split("\n").length).toBeGreaterThan(20);
  expect(shown).not.toContain("hunter2");
  expect(shown).not.toContain("77777777");
});

test("a syntax error quotes nothing of the file", () => {
  for (const text of [
    "admin:\n  token: *s3cret\n",
    "admin:\n  token: !s3cret x\n",
    "admin: { token: 's3cret }\n",
    "admin:\n  token: [s3cret}\n",
  ]) {
    expect(problemsOf(text).length).toBeGreaterThan(0);
    expect(problemsOf(text).join("\n")).not.toContain("s3cret");
  }
});

test("a file that cannot be read is told so, with the reason", () => {
  const loaded = loadConfig({ path: "missing/sms.yaml", env: {} });
  expect(loaded).toEqual({
    kind: "invalid",
    problems: [
      {
        file: "missing/sms.yaml",
        line: 1,
        column: 1,
        path: "",
        message: "cannot be read: there is no such file",
        fix: "make one with sms-agent init, or name the config file with --config FILE",
      },
    ],
  });
});
