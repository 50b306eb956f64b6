import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { ADMIN_TOKEN, field, freePorts, list, type ServiceProcess, startService } from "../binary/running.ts";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import { GENERATIONS } from "./mcp-clients.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

const ports = freePorts();
let sandbox: Sandbox;
let service: ServiceProcess;

beforeAll(async () => {
  sandbox = await openSandbox();
  sandbox.write(
    "sms.yaml",
    `server: { listen: 127.0.0.1:${ports.publicPort} }
admin: { listen: 127.0.0.1:${ports.adminPort}, token: ${ADMIN_TOKEN} }
channels:
  sms: { provider: simulator, from_number: "+15550100002", mode: signal }
`,
  );
  service = await startService(sandbox, ports);
  await service.status("connected");
}, 60_000);
afterAll(() => sandbox.close());

async function text(from: string, body: string): Promise<void> {
  await service.api("POST", "/simulator/inbound", { from, channel: "sms", body });
}

async function waiting(count: number): Promise<void> {
  await until(`${count} waiting watches`, async () => {
    const items = list(await service.api("GET", "/watches?state=pending&limit=200"));
    return items.length === count ? true : undefined;
  });
}

describe("sms-agent await", () => {
  test("prints the code alone", async () => {
    const verb = sandbox.start([
      "await",
      "--channel",
      "sms",
      "--from",
      "22000",
      "--timeout",
      "20s",
      "--code",
    ]);
    await waiting(1);
    await text("22000", "Hello, this is your bank.");
    await text("22000", "Your code is 482 913.");
    expect(await verb.ended).toMatchObject({ code: 0, stdout: "482913\n", stderr: "" });
  });

  test("prints the API's answer when asked for it", async () => {
    await text("23000", "Your code is 771 204.");
    const { code, stdout } = await sandbox.run(["await", "--from", "23000", "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      status: "matched",
      signal: { code: "771204", from: "23000" },
    });
  });

  test("prints the text, on one line, where there is nothing else in it", async () => {
    await text("24000", "Your table\nis ready.\u001b[2J");
    const { stdout } = await sandbox.run(["await", "--from", "24000", "--match", "(?i)TABLE"]);
    expect(stdout).toBe("Your table ⏎ is ready.\\u001b[2J\n");
  });

  test("exits with 4 when nothing comes in time, and prints nothing", async () => {
    const { code, stdout, stderr } = await sandbox.run(["await", "--from", "25000", "--timeout", "100ms"]);
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toBe("Nothing has arrived within 100ms.\n");
  });

  test("says what is wrong with a request and with the address", async () => {
    const wrong = await sandbox.run(["await", "--channel", "smms", "--match", "(a)\\1"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain("channel: There is no channel smms; write sms.");
    expect(wrong.stderr).toContain("match: The pattern cannot be run. Backreferences");
    expect((await sandbox.run(["await", "--timeout", "5 min"])).stderr).toContain("write 5m");
    const nobody = await sandbox.run(["await", "--url", "http://127.0.0.1:1", "--token", "x"]);
    expect(nobody.code).toBe(3);
  });

  test("takes nothing for nobody after it was interrupted", async () => {
    const verb = sandbox.start(["await", "--from", "26000", "--timeout", "60s"]);
    await waiting(1);
    verb.kill("SIGINT");
    expect((await verb.ended).code).toBe(130);
    await waiting(0);
    await text("26000", "Your code is 606060");
    expect((await sandbox.run(["await", "--from", "26000"])).stdout).toBe("606060\n");
  });

  test("gets its code although the service is killed and started again meanwhile", async () => {
    const verb = sandbox.start(["await", "--from", "27000", "--timeout", "60s"]);
    await waiting(1);
    service.process.kill("SIGKILL");
    await service.process.ended;
    service = await startService(sandbox, ports);
    await service.status("connected");
    await text("27000", "Your code is 515253");
    expect(await verb.ended).toMatchObject({ code: 0, stdout: "515253\n" });
  }, 40_000);
});

test("a pattern of nested repetitions answers 1,600 characters within 50 ms in the compiled service", async () => {
  await text("28000", `${"a".repeat(1_599)}!`);
  await sandbox.run(["await", "--from", "28000"]);
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const watch = { match: "(a+)+$", from: "28000", consume: "peek", expires_in: "1s" };
    expect(field(await service.api("POST", "/watches", watch), "state")).toBe("pending");
    times.push(performance.now() - start);
  }
  // The best of a few: the machine may be busy with something else.
  expect(Math.min(...times)).toBeLessThan(50);
}, 20_000);

for (const [name, connect] of Object.entries(GENERATIONS)) {
  test(`${name} gets a code from the compiled service by MCP`, async () => {
    const client = await connect(`${service.adminUrl}/mcp`, ADMIN_TOKEN);
    try {
      expect(await client.tools()).toContain("wait_for_code");
      const call = client.call("wait_for_code", { from: "29000", timeout: "15s" });
      await waiting(1);
      await text("29000", "Your code is 909192");
      expect((await call).text).toBe("909192");
    } finally {
      await client.close();
    }
  });
}
