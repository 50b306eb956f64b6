import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { openSandbox, type Sandbox } from "../support/binary.ts";
import {
  type CarrierProcess,
  field,
  freePorts,
  type Ports,
  startCarrier,
  startService,
  twilioConfig,
} from "./running.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

let sandbox: Sandbox;
let carrier: CarrierProcess;
let ports: Ports;

beforeEach(async () => {
  sandbox = await openSandbox();
  carrier = await startCarrier(sandbox);
  ports = freePorts();
});

afterEach(() => sandbox.close());

async function doctor(): Promise<{
  readonly code: number | undefined;
  readonly found: Readonly<Record<string, string>>;
}> {
  const { code, stdout, stderr } = await sandbox.run(["doctor", "--json"]);
  expect(stderr).toBe("");
  const { findings } = JSON.parse(stdout) as { findings: readonly unknown[] };
  const found: Record<string, string> = {};
  for (const finding of findings) found[field(finding, "name")] ??= field(finding, "status");
  return { code, found };
}

test("doctor finds nothing wrong with a service that runs, and changes nothing", async () => {
  sandbox.write("sms.yaml", twilioConfig(carrier, ports));
  const service = await startService(sandbox, ports);
  await service.status("pairing");
  const { code, found } = await doctor();
  expect(found).toMatchObject({
    config: "ok",
    policies: "ok",
    service: "ok",
    disk: "ok",
    "channel sms": "ok",
    "agent parrot": "ok",
  });
  expect(code).toBe(0);
  const { stdout } = await sandbox.run(["doctor"]);
  expect(stdout).toContain("ok    channel sms: the carrier has +15550100001");
}, 60_000);

test("doctor says what is wrong, with a fix, and fails", async () => {
  sandbox.write("sms.yaml", twilioConfig(carrier, ports).replace("+15550100001", "+15550100009"));
  const { code, stdout } = await sandbox.run(["doctor"]);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^warn {2}service: does not run at http:.*\n +Start it with sms-agent serve/m);
  expect(stdout).toMatch(/^FAIL {2}channel sms: /m);
  expect(await carrier.webhookOf("+15550100001")).toBeUndefined();
}, 60_000);

test("each line of doctor that warns or fails says what to do", async () => {
  sandbox.write("sms.yaml", twilioConfig(carrier, ports, { channel: "register_webhook: false" }));
  const probed = async () => {
    const { stdout } = await sandbox.run(["doctor", "--json"]);
    const { findings } = JSON.parse(stdout) as { findings: readonly unknown[] };
    const troubles = findings.filter((finding) => field(finding, "status") !== "ok");
    for (const trouble of troubles)
      expect([trouble, field(trouble, "fix").length > 10]).toEqual([trouble, true]);
    return troubles.map((trouble) => `${field(trouble, "name")}: ${field(trouble, "detail")}`);
  };
  // Before the first start there is no data folder; after it, nobody has set the webhook.
  expect(await probed()).toContainEqual(expect.stringMatching(/^disk: .* is not there yet/));
  const service = await startService(sandbox, ports);
  await service.status("pairing");
  expect(await probed()).toContain("channel sms: Texts to +15550100001 go to nobody.");
  const { stdout } = await sandbox.run(["doctor"]);
  const hook = `${service.publicUrl}/webhooks/twilio/sms`;
  expect(stdout).toContain(
    `warn  channel sms: Texts to +15550100001 go to nobody.\n      Set "A message comes in" to ${hook} (HTTP POST)`,
  );
  const status = await sandbox.run(["status"]);
  expect(status.stdout).toContain(`    warning: Texts to +15550100001 go to nobody.\n    Set "A message`);
}, 60_000);

test("doctor warns of an agent that cannot be reached and that nothing uses", async () => {
  const idle = "agents:\n  idle: { type: http, url: http://127.0.0.1:1/ }\n";
  sandbox.write("sms.yaml", twilioConfig(carrier, ports).replace("agents:\n", idle));
  const { stdout } = await sandbox.run(["doctor"]);
  expect(stdout).toMatch(/^warn {2}agent idle: .* \(no channel and no schedule uses it\)\n +Start it, or/m);
}, 60_000);

test("doctor refuses a bad config as check does", async () => {
  sandbox.write("sms.yaml", "chanels: {}\n");
  const { code, stderr } = await sandbox.run(["doctor"]);
  expect(code).toBe(2);
  expect(stderr).toContain("channels");
}, 60_000);
