import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import {
  ADMIN_TOKEN,
  AUTH_TOKEN,
  field,
  freePorts,
  list,
  NUMBER,
  PHONE,
  type Ports,
  STRANGER,
  startCarrier,
  startService,
  twilioConfig,
} from "./running.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

let sandbox: Sandbox;
let ports: Ports;

beforeEach(async () => {
  sandbox = await openSandbox();
  ports = freePorts();
});

afterEach(() => sandbox.close());

/** A simulated channel; the token is made by the service. `top`: more lines. */
function config({ publicPort, adminPort }: Ports, top = ""): string {
  return `server: { listen: 127.0.0.1:${publicPort} }
admin: { listen: 127.0.0.1:${adminPort} }
channels: { sms: { provider: simulator, from_number: "${NUMBER}", agent: parrot, debounce: 0s } }
agents: { parrot: { type: echo } }
${top}
`;
}

function mode(name: string): string {
  return (statSync(join(sandbox.folder, name)).mode & 0o777).toString(8);
}

describe("what cannot be started says so, with exit code 1", () => {
  test("a listener whose port is taken", async () => {
    // As the runtime listens unless told otherwise: programs of one user may then share a port on Linux.
    const port = freePorts().publicPort;
    const taken = Bun.serve({ hostname: "127.0.0.1", port, reusePort: true, fetch: () => new Response() });
    try {
      for (const [name, both] of [
        ["public", { ...ports, publicPort: taken.port ?? 0 }],
        ["admin", { ...ports, adminPort: taken.port ?? 0 }],
      ] as const) {
        sandbox.write(`${name}.yaml`, config(both, `data_dir: ./${name}`));
        const { code, stderr, stdout } = await sandbox.run(["serve", "-c", `${name}.yaml`]);
        expect([code, stdout]).toEqual([1, ""]);
        expect(stderr).toEndWith(
          `cannot listen on 127.0.0.1:${taken.port}: another program listens there\nStop that program, or write another port.\n`,
        );
      }
      const { code, stderr } = await sandbox.run(["simulate", "--listen", `127.0.0.1:${taken.port}`]);
      expect([code, stderr]).toEqual([
        1,
        `cannot listen on 127.0.0.1:${taken.port}: another program listens there\nStop that program, or write another port.\n`,
      ]);
    } finally {
      await taken.stop(true);
    }
  }, 30_000);

  test("a second process on the same data folder, which leaves the first one alone", async () => {
    sandbox.write("sms.yaml", config(ports));
    sandbox.write("second.yaml", config(freePorts()));
    const service = await startService(sandbox, ports, { token: "unused" });
    const { code, stderr } = await sandbox.run(["serve", "-c", "second.yaml"]);
    expect([code, stderr]).toEqual([
      1,
      `the data folder ${sandbox.folder}/data is in use by another sms-agent (process ${service.process.pid})\nStop that one, or give this one another data_dir.\n`,
    ]);
    expect((await sandbox.run(["status"])).code).toBe(0);
    expect((await service.stop()).code).toBe(0);
    // What is free again can be had again.
    const next = await startService(sandbox, ports, { token: "unused" });
    expect((await next.stop()).code).toBe(0);
  }, 30_000);

  test("a data folder that is a file, and one this user may not write", async () => {
    sandbox.write("data", "a file");
    sandbox.write("sms.yaml", config(ports));
    const file = await sandbox.run(["serve"]);
    expect([file.code, file.stderr]).toEqual([
      1,
      `cannot use ${sandbox.folder}/data: there is a file in the way\nGive the service's user write access to data_dir, or set data_dir to another folder.\n`,
    ]);
    sandbox.write("locked/sms.yaml", config(ports));
    chmodSync(join(sandbox.folder, "locked"), 0o555);
    const uid = process.getuid?.() === 0 ? { uid: 65_534 } : {};
    const locked = await sandbox.run(["serve", "-c", "locked/sms.yaml"], uid);
    chmodSync(join(sandbox.folder, "locked"), 0o755);
    expect([locked.code, locked.stderr]).toEqual([
      1,
      `cannot use ${sandbox.folder}/locked/data: permission denied\nGive the service's user write access to data_dir, or set data_dir to another folder.\n`,
    ]);
  }, 30_000);
});

test("nothing of the folder it happens to run in is read: no .env, no bunfig, no package", async () => {
  sandbox.write(".env", "SMS_AGENT_ADMIN_TOKEN=from-the-env-file\nWORD=from-the-env-file\n");
  sandbox.write(".env.local", "WORD=from-the-env-file\n");
  sandbox.write("bunfig.toml", 'preload = ["./evil.ts"]\n');
  sandbox.write("package.json", '{ "type": "commonjs", "name": "evil" }');
  sandbox.write("tsconfig.json", '{ "compilerOptions": { "paths": { "*": ["./evil.ts"] } } }');
  sandbox.write("evil.ts", 'require("node:fs").writeFileSync("read", "");');
  sandbox.write("sms.yaml", config(ports, `timezone: \${WORD}`));
  const check = await sandbox.run(["check"]);
  expect([check.code, check.stderr]).toEqual([
    2,
    `sms.yaml:5:11 timezone: needs the environment variable WORD, which is not set — set WORD, or write \${WORD:-default}\n`,
  ]);
  const set = await sandbox.run(["check"], { env: { WORD: "Europe/Berlin" } });
  expect(set.code).toBe(0);
  expect(existsSync(join(sandbox.folder, "read"))).toBe(false);
}, 30_000);

test("what it writes is for its own user alone, and lies in data_dir", async () => {
  sandbox.write("sms.yaml", config(ports));
  const service = await startService(sandbox, ports, { token: "unused" });
  const files = readdirSync(join(sandbox.folder, "data"), { recursive: true, encoding: "utf8" });
  expect(files).toContain("sms-agent.db-wal");
  expect(mode("data")).toBe("700");
  for (const name of files) {
    const folder = statSync(join(sandbox.folder, "data", name)).isDirectory();
    expect([name, mode(join("data", name))]).toEqual([name, folder ? "700" : "600"]);
  }
  expect(readdirSync(sandbox.folder).sort()).toEqual(["data", "sms-agent", "sms.yaml"]);
  expect(readdirSync(sandbox.temporary)).toEqual([]);

  const { stdout } = await sandbox.run(["status", "--json"]);
  expect(list(JSON.parse(stdout))).toHaveLength(1);
  const open = await fetch(`${service.adminUrl}/api/v1/channels`);
  expect(open.status).toBe(401);
  expect((await fetch(`${service.publicUrl}/healthz`)).status).toBe(200);
  expect((await fetch(`${service.publicUrl}/api/v1/channels`)).status).toBe(404);
  expect((await service.stop()).code).toBe(0);
  expect(mode("data/sms-agent.db")).toBe("600");
}, 30_000);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} finishes the turn that runs and sends its answer, then ends with exit code 0`, async () => {
    const carrier = await startCarrier(sandbox);
    // The agent says that it runs, and answers when it is let go.
    const script = "touch started; while ! test -e go; do sleep 0.05; done; echo the answer";
    sandbox.write(
      "sms.yaml",
      twilioConfig(carrier, ports, {
        channel: `allowed_senders: ["${PHONE}"]`,
        agent: `{ type: command, command: [sh, -c, "${script}"] }`,
      }),
    );
    const service = await startService(sandbox, ports);
    await service.status("connected");
    await carrier.text(PHONE, "take your time");
    await until("the agent to run", () => existsSync(join(sandbox.folder, "started")) || undefined);
    service.process.kill(signal);
    await service.process.shown(/"event":"signal"/, "stderr");
    // Nothing new is taken meanwhile.
    await until("the listener to close", async () =>
      fetch(`${service.publicUrl}/healthz`).then(
        () => undefined,
        () => true,
      ),
    );
    writeFileSync(join(sandbox.folder, "go"), "");
    const { code, stderr } = await service.process.ended;
    expect(stderr.trimEnd().split("\n").at(-1)).toContain('"event":"stopped"');
    expect(code).toBe(0);
    const texts = await carrier.received(PHONE, 1);
    expect(texts.map((text) => text.text)).toEqual(["the answer"]);
  }, 40_000);
}

test("the log holds ids to join on, and no text, no token, no number of a person", async () => {
  const carrier = await startCarrier(sandbox);
  sandbox.write("sms.yaml", twilioConfig(carrier, ports, { top: "log: { level: debug, format: json }" }));
  const service = await startService(sandbox, ports);
  await service.status("pairing");
  const pair = await sandbox.run(["pair", "--json"]);
  await carrier.text(PHONE, field(JSON.parse(pair.stdout), "code"));
  await carrier.received(PHONE, 1);
  await carrier.text(PHONE, "the secret word is xylophone");
  await carrier.received(PHONE, 2);
  await carrier.text(STRANGER, "your xylophone code is 482913");
  await carrier.text("+15550004444", "ABCD-2345");
  await carrier.fault({ on: "send", kind: "error", code: 21211, times: 1 });
  await carrier.fault({
    on: "send",
    kind: "error",
    code: 29999,
    message: `The number ${PHONE} is odd`,
    times: 1,
  });
  await sandbox.run(["send", "xylophone by hand", "--to", "+15550005555"]);
  await sandbox.run(["send", "xylophone again", "--to", "+15550005555"]);
  await carrier.text(PHONE, "STOP");
  // A forged, a foreign and a broken webhook.
  const forged = new URLSearchParams({ MessageSid: `SM${"0".repeat(32)}`, From: PHONE, Body: "xylophone" });
  for (const body of [forged.toString(), "%%%", ""])
    await fetch(`${service.publicUrl}/webhooks/twilio/sms?token=xylophone`, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", "x-twilio-signature": "xylophone" },
      body,
    });
  await until("both sends to be settled", async () => {
    const sends = list(await service.api("GET", "/messages?direction=outbound&address=%2B15550005555"));
    return sends.every((send) => field(send, "state") === "failed") || undefined;
  });
  await until("every text to be in", async () =>
    list(await service.api("GET", "/messages?direction=inbound")).length === 5 ? true : undefined,
  );
  const { code, stderr } = await service.stop();
  expect(code).toBe(0);

  const lines = stderr.trimEnd().split("\n");
  for (const line of lines) expect(() => JSON.parse(line)).not.toThrow();
  const events = lines.map((line) => JSON.parse(line));
  const admitted = events.filter((line) => line.event === "inbound.admitted");
  expect(admitted).toHaveLength(5);
  for (const line of admitted) {
    expect(line.sid).toMatch(/^SM[0-9a-f]{32}$/);
    expect(line.message).toMatch(/^msg_/);
    expect(line.from).toMatch(/^\+1555\*\*\*\d{4}$/);
  }
  expect(events.map((line) => line.event)).toEqual(
    expect.arrayContaining(["send.accepted", "send.refused", "delivery.status", "webhook.signature"]),
  );
  expect(stderr).not.toMatch(/xylophone|482913|ABCD-2345/i);
  expect(stderr).not.toContain(AUTH_TOKEN);
  expect(stderr).not.toContain(ADMIN_TOKEN);
  for (const number of [PHONE, STRANGER, "+15550004444", "+15550005555"])
    expect(stderr).not.toContain(number.slice(1));
  // Our own number stands only where a person is to text it.
  for (const line of lines.filter((line) => line.includes(NUMBER.slice(1))))
    expect(line).toMatch(/"event":"(pairing\.code|channel\.status)"/);
}, 60_000);
