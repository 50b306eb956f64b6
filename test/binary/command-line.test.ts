import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chownSync, existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import pkg from "../../package.json" with { type: "json" };
import { openSandbox, type Sandbox } from "../support/binary.ts";
import { freePort } from "../support/free-port.ts";
import { ADMIN_TOKEN, field, freePorts, list, type ServiceProcess, startService } from "./running.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

const VERBS = [
  "serve",
  "demo",
  "simulate",
  "check",
  "schema",
  "status",
  "pair",
  "addresses",
  "send",
  "messages",
  "policy",
  "version",
];

const NESTED = [
  "secret encrypt",
  "messages resend",
  "policy list",
  "policy check",
  "token list",
  "token create",
  "token revoke",
];

/** What prints no data: what runs until it is stopped, asks, or only has verbs of its own. */
const WITHOUT_JSON = ["serve", "demo", "simulate", "init", "secret", "policy", "token"];

let sandbox: Sandbox;
let service: ServiceProcess;

/** One service for the whole file; its second channel makes the choice of a channel necessary. */
beforeAll(async () => {
  sandbox = await openSandbox();
  const ports = freePorts();
  sandbox.write(
    "sms.yaml",
    `server: { listen: 127.0.0.1:${ports.publicPort} }
admin: { listen: 127.0.0.1:${ports.adminPort}, token: ${ADMIN_TOKEN} }
channels:
  sms: { provider: simulator, from_number: "+15550100001", agent: parrot }
agents: { parrot: { type: echo } }
`,
  );
  service = await startService(sandbox, ports);
  await service.status("pairing");
}, 60_000);

afterAll(() => sandbox.close());

async function run(...args: readonly string[]): Promise<readonly [number | undefined, string, string]> {
  const { code, stdout, stderr } = await sandbox.run(args);
  return [code, stdout, stderr];
}

describe("help", () => {
  test("of the program names every verb, shows examples and tells the exit codes", async () => {
    const [code, stdout, stderr] = await run("--help");
    expect([code, stderr]).toEqual([0, ""]);
    for (const verb of VERBS) expect(stdout).toMatch(new RegExp(`^ {2}${verb}\\b`, "m"));
    expect(stdout).toContain("\nExamples:\n  sms-agent demo ");
    expect(stdout).toContain("3 cannot reach the service");
  });

  test("of every verb shows an example, and --json where data are printed", async () => {
    const [, stdout] = await run("--help");
    const commands = stdout.slice(stdout.indexOf("\nCommands:\n"), stdout.indexOf("\nExamples:\n"));
    const verbs = [...commands.matchAll(/^ {2}([a-z]+)/gm)].map((match) => match[1] ?? "");
    expect(verbs).toEqual(expect.arrayContaining([...VERBS]));
    for (const verb of [...verbs.filter((verb) => verb !== "help"), ...NESTED]) {
      const [code, help, stderr] = await run(...verb.split(" "), "--help");
      expect([verb, code, stderr]).toEqual([verb, 0, ""]);
      expect(help).toStartWith(`Usage: sms-agent ${verb}`);
      expect(help.slice(help.search(/\nExamples?:\n/))).toContain(`sms-agent ${verb}`);
      expect([verb, / --json /.test(help)]).toEqual([verb, !WITHOUT_JSON.includes(verb)]);
    }
  }, 60_000);

  test("of a verb under another shows the options that it takes, and not those of the other", async () => {
    const [, help] = await run("messages", "resend", "--help");
    expect(help).toContain("--idempotency-key");
    expect(help).toContain("--config");
    expect(help).not.toMatch(/--(cursor|limit|route)/);
  }, 30_000);
});

describe("what is wrong in a command line ends with exit code 2, says what, and points to the help", () => {
  const cases: readonly (readonly [args: string, stderr: string])[] = [
    ["dance", "error: unknown command 'dance'\n(--help shows how)\n"],
    ["stauts", "error: unknown command 'stauts'\n(Did you mean status?)\n(--help shows how)\n"],
    ["serve now", "error: serve takes no arguments, and got now\n(--help shows how)\n"],
    ["--loud", "error: unknown option '--loud'\n(--help shows how)\n"],
    ["status --jason", "error: unknown option '--jason'\n(Did you mean --json?)\n(--help shows how)\n"],
    [
      "check this",
      "error: too many arguments for 'check'. Expected 0 arguments but got 1: this.\n(--help shows how)\n",
    ],
    ["check --config", "error: option '-c, --config <file>' argument missing\n(--help shows how)\n"],
    ["send hello", "error: required option '--to <address>' not specified\n(--help shows how)\n"],
    [
      "messages --limit 0",
      "error: option '--limit <count>' argument '0' is invalid. Write a whole number from 1 to 200.\n(--help shows how)\n",
    ],
    [
      "messages --direction up",
      "error: option '--direction <direction>' argument 'up' is invalid. Allowed choices are inbound, outbound.\n(--help shows how)\n",
    ],
    ["messages --url 127.0.0.1:8081", "--url is 127.0.0.1:8081; write it as http://127.0.0.1:8081.\n"],
    ["policy dance", "error: unknown command 'dance'\n(--help shows how)\n"],
    ["policy check", "error: required option '--from <address>' not specified\n(--help shows how)\n"],
    [
      "policy check --from +15551234567 --action dance",
      "error: option '--action <action>' argument 'dance' is invalid. Allowed choices are receive_message, receive_signal, send_message.\n(--help shows how)\n",
    ],
    [
      "simulate --listen 4010",
      "error: option '--listen <address>' argument '4010' is invalid. Write host:port, as in 127.0.0.1:4010.\n(--help shows how)\n",
    ],
    [
      "simulate --number 555",
      "error: option '--number <number>' argument '555' is invalid. Write the number as +15551234567, or whatsapp:+15551234567.\n(--help shows how)\n",
    ],
    [
      "simulate --number +15551234567",
      "error: --number goes with --account-sid and --auth-token\n(--help shows how)\n",
    ],
    ["demo --model x", "--base-url and --model go together.\n"],
    ["pair --new --cancel", "--new and --cancel do not go together.\n"],
    ["addresses --label Ada", '--label is Ada; write address=name, as in "+15551234567=Ada".\n'],
  ];
  for (const [args, expected] of cases) {
    test(`sms-agent ${args}`, async () => {
      expect(await run(...args.split(" "))).toEqual([2, "", expected]);
    });
  }

  test("secret encrypt makes a key that the service can read, also when root runs it for another user", async () => {
    const data = join(sandbox.folder, "owned");
    mkdirSync(data);
    if (process.getuid?.() === 0) chownSync(data, 65_534, 65_534);
    sandbox.write("owned.yaml", "data_dir: ./owned\n");
    const encrypt = async (...more: readonly string[]) => {
      const args = ["secret", "encrypt", "--config", "owned.yaml", ...more];
      const { code, stdout } = await sandbox.run(args, { stdin: { text: "a secret\n" } });
      expect(code).toBe(0);
      return stdout;
    };
    expect(await encrypt()).toMatch(/^enc:v1:\S+\n$/);
    expect(JSON.parse(await encrypt("--json"))).toEqual({ value: expect.stringMatching(/^enc:v1:\S+$/) });
    const { uid, gid, mode } = statSync(join(data, "secret.key"));
    const folder = statSync(data);
    expect([uid, gid, mode & 0o777]).toEqual([folder.uid, folder.gid, 0o600]);
  });

  test("secret encrypt makes no key where it is given no secret", async () => {
    sandbox.write("empty.yaml", "data_dir: ./keyless\n");
    expect(await run("secret", "encrypt", "--config", "empty.yaml")).toEqual([
      2,
      "",
      "Nothing came on standard input.\n",
    ]);
    expect(existsSync(join(sandbox.folder, "keyless"))).toBe(false);
  });

  test("a data folder that cannot be is told with its path, not with a stack", async () => {
    sandbox.write("blocked.yaml", "data_dir: ./blocked.yaml/data\n");
    for (const verb of ["secret encrypt", "backup copy", "check --data"]) {
      const args = [...verb.split(" "), "--config", "blocked.yaml"];
      const { code, stdout, stderr } = await sandbox.run(args, { stdin: { text: "a secret\n" } });
      expect([verb, code, stdout]).toEqual([verb, 1, ""]);
      expect(stderr).toMatch(/^ENOTDIR: .*blocked\.yaml\/data.*\n.*data_dir.*\n$/);
    }
  });

  test("simulate takes numbers of SMS and of WhatsApp", async () => {
    const account = ["--account-sid", "AC00000000000000000000000000000001", "--auth-token", "token"];
    const numbers = ["--number", "+15551230001", "--number", "whatsapp:+15551230002"];
    const carrier = sandbox.start(["simulate", "--listen", "127.0.0.1:0", ...account, ...numbers]);
    const url = (await carrier.shown(/listens on (http:\S+)/))[1] ?? "";
    expect(await (await fetch(`${url}/simulator/numbers`)).json()).toMatchObject({
      items: [
        { number: "+15551230001", whatsapp: false },
        { number: "+15551230002", whatsapp: true },
      ],
    });
    carrier.kill("SIGTERM");
    expect((await carrier.ended).code).toBe(0);
  });

  test("a policy verb without its own verb shows the help", async () => {
    const [code, stdout, stderr] = await run("policy");
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("sms-agent policy check --channel sms");
  });
});

describe("a running service", () => {
  test("is asked in words and in JSON", async () => {
    const [code, stdout] = await run("status");
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^sms {2}pairing {2}\+15550100001 {2}message → parrot {2}0 paired\n {4}Nobody may text the agent yet\.\n {4}Text \S{9} to \+15550100001 from your phone\.\n$/,
    );
    const [, json] = await run("status", "--json");
    expect(list(JSON.parse(json)).map((channel) => field(channel, "id"))).toEqual(["sms"]);
    const [, pair] = await run("pair");
    expect(pair).toMatch(/[█▀▄]/);
    const pending = /Text {2}(\S{9}) {2}to {2}\+15550100001\n/.exec(pair)?.[1];
    const [, fresh] = await run("pair", "--new", "--json");
    expect(field(JSON.parse(fresh), "code")).not.toBe(pending ?? "");
    expect(await run("addresses")).toEqual([
      0,
      "No address is paired. sms-agent pair shows the code that lets a phone in.\n",
      "",
    ]);
    const [, policies] = await run("policy", "list");
    expect(policies).toMatch(/^ID +EFFECT +SOURCE +HITS\npaired-senders +permit +default +0\n/);
    const [, texts] = await run("policy", "list", "--text");
    expect(texts).toContain('@id("paired-senders")');
  }, 30_000);

  test("sends once under one key, and shows what became of it", async () => {
    const send = ["send", "The oven is off.", "--to", "+15551112222", "--idempotency-key", "k1", "--json"];
    const [code, first] = await run(...send);
    expect(code).toBe(0);
    const [, again] = await run(...send);
    const id = field(JSON.parse(first), "id");
    expect(field(JSON.parse(again), "id")).toBe(id);
    const [, one] = await run("messages", id);
    expect(one).toContain("from +15550100001 to +15551112222 at 20");
    const [, listed] = await run("messages", "--address", "+15551112222");
    expect(listed).toMatch(new RegExp(`^TIME .*\\n20.* The oven is off\\.\\n {4}${id}\\n$`));
    expect(one).toContain("text The oven is off.\n");
    expect(one).toMatch(/ {2}20\S+Z {2}pending\n/);
    expect(await run("send", "Another text", ...send.slice(2))).toEqual([
      1,
      "",
      "This Idempotency-Key was used for another message.\n  Use a new key for a new message, or repeat the first request exactly.\n",
    ]);
  }, 30_000);

  test("prints a long answer whole into a pipe that is read slowly", async () => {
    for (let i = 0; i < 60; i++)
      await service.api("POST", "/messages", {
        channel: "sms",
        to: "+15551113333",
        body: `${i} `.padEnd(1500, "x"),
      });
    // The reader lets the pipe run full first.
    const { stdout } = await sandbox.run(["messages", "--json", "--limit", "60"], {
      under: ["/bin/sh", "-c", '"$0" "$@" | (sleep 1; cat)'],
    });
    expect(list(JSON.parse(stdout))).toHaveLength(60);
    expect(stdout.length).toBeGreaterThan(65_536);
  }, 30_000);

  test("finds input wrong with exit code 2, and refuses for other reasons with exit code 1", async () => {
    expect(await run("send", "hi", "--to", "nobody at all")).toEqual([
      2,
      "",
      'The message cannot be sent as given.\n  to: Write the number in E.164 form, "+15551234567" or "whatsapp:+15551234567".\n',
    ]);
    expect(await run("messages", "msg_nothing")).toEqual([1, "", "There is no message msg_nothing.\n"]);
    for (const verb of [
      ["pair", "fax"],
      ["mode", "fax", "signal"],
      ["addresses", "fax"],
      ["messages", "--channel", "fax"],
      ["policy", "check", "--channel", "fax", "--from", "+15551112222"],
      ["send", "hi", "--to", "+15551112222", "--channel", "fax", "--media", "./sms.yaml"],
    ])
      expect([verb, ...(await run(...verb))]).toEqual([
        verb,
        2,
        "",
        "There is no channel fax.\n  channel: Write sms.\n",
      ]);
    expect(await run("send", "hi", "--to", "+15551112222", "--channel", "fax")).toEqual([
      2,
      "",
      "The message cannot be sent as given.\n  channel: There is no channel fax; write sms.\n",
    ]);
    expect(await run("addresses", "--revoke", "+15551112222")).toEqual([
      1,
      "",
      "+15551112222 is not paired with sms.\n",
    ]);
    expect(await run("status", "--token", "wrong")).toEqual([
      1,
      "",
      "The token is not valid.\n  Give the right one with --token, or name the config file the service runs with.\n",
    ]);
    expect(await run("status", "--url", service.publicUrl)).toEqual([
      1,
      "",
      `What listens at ${service.publicUrl} answered 404; is it the admin address?\n`,
    ]);
  }, 30_000);

  test("is reached without its config by --url and --token", async () => {
    const args = ["status", "--url", `${service.adminUrl}/`, "--token", ADMIN_TOKEN];
    const { code, stdout } = await sandbox.run(args, { cwd: sandbox.temporary });
    expect(code).toBe(0);
    expect(stdout).toStartWith("sms  pairing");
  });

  test("that is not there gives exit code 3", async () => {
    const url = `http://127.0.0.1:${freePort()}`;
    expect(await run("status", "--url", url)).toEqual([
      3,
      "",
      `No service answers at ${url}. Start it with sms-agent serve, or name another with --url.\n`,
    ]);
    sandbox.write(
      "other/sms.yaml",
      "channels: { sms: { provider: simulator, agent: parrot } }\nagents: { parrot: { type: echo } }\n",
    );
    const [code, , stderr] = await run("status", "-c", "other/sms.yaml");
    expect(code).toBe(3);
    expect(stderr).toMatch(
      /^There is no admin token at \S+\/other\/data\/admin-token: the service has not been started/,
    );
    expect(readdirSync(`${sandbox.folder}/other`)).toEqual(["sms.yaml"]);
  });
});

test("version is that of the package", async () => {
  expect(await run("--version")).toEqual([0, `${pkg.version}\n`, ""]);
  expect(await run("version")).toEqual([
    0,
    `sms-agent ${pkg.version} (${process.platform}-${process.arch})\n`,
    "",
  ]);
  const [, json] = await run("version", "--json");
  expect(JSON.parse(json)).toMatchObject({ version: pkg.version, bun: Bun.version });
});

test("schema is a JSON Schema that knows every section of the config", async () => {
  const [code, stdout, stderr] = await run("schema");
  expect([code, stderr]).toEqual([0, ""]);
  const schema = JSON.parse(stdout);
  expect(schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
  expect(Object.keys(schema.properties)).toEqual(
    expect.arrayContaining(["server", "admin", "twilio", "channels", "agents", "limits", "log"]),
  );
  expect(schema.additionalProperties).toBe(false);
  expect(await run("schema", "--json")).toEqual([0, stdout, ""]);
});

test("completions are the script alone, or in JSON", async () => {
  const [code, script] = await run("completions", "bash");
  expect([code, script.split("\n").at(-2)]).toEqual([0, "complete -o filenames -F _sms_agent sms-agent"]);
  const [, json] = await run("completions", "bash", "--json");
  expect(JSON.parse(json)).toEqual({ shell: "bash", script: script.trimEnd() });
});
