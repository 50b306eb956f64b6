import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import {
  type CarrierProcess,
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
let carrier: CarrierProcess;
let ports: Ports;

beforeEach(async () => {
  sandbox = await openSandbox();
  carrier = await startCarrier(sandbox);
  ports = freePorts();
});

afterEach(() => sandbox.close());

/** What `sms-agent messages --json` lists, oldest first. */
async function messages(...args: readonly string[]): Promise<readonly unknown[]> {
  const { code, stdout, stderr } = await sandbox.run(["messages", "--json", ...args]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return [...list(JSON.parse(stdout))].reverse();
}

/** The list once every outbound message of it is delivered. */
function delivered(count: number): Promise<readonly unknown[]> {
  return until(`${count} deliveries`, async () => {
    const found = await messages("--direction", "outbound");
    const states = found.map((message) => field(message, "state"));
    return states.length === count && states.every((state) => state === "delivered") ? found : undefined;
  });
}

async function pairingCode(): Promise<string> {
  const { code, stdout } = await sandbox.run(["pair", "--json"]);
  expect(code).toBe(0);
  const answer: unknown = JSON.parse(stdout);
  expect(field(answer, "number")).toBe(NUMBER);
  expect(field(answer, "sms_uri")).toBe(`sms:${NUMBER}?body=${field(answer, "code")}`);
  return field(answer, "code");
}

describe("against a carrier in another process, reached by its URL alone", () => {
  test("the webhook is registered, a phone pairs, is answered, and every state up to delivered is seen", async () => {
    sandbox.write("sms.yaml", twilioConfig(carrier, ports));
    const service = await startService(sandbox, ports);
    await service.status("pairing");
    const webhook = await carrier.webhookOf(NUMBER);
    expect(webhook).toStartWith(`${service.publicUrl}/webhooks/twilio/sms#`);

    await carrier.text(PHONE, await pairingCode());
    await carrier.received(PHONE, 1);
    expect(await service.status("connected")).toBe("connected");
    await carrier.text(PHONE, "is the oven off?");
    const texts = await carrier.received(PHONE, 2);
    expect(texts[1]?.text).toBe("is the oven off?");
    await carrier.text(STRANGER, "open the garage");

    const outbound = await delivered(2);
    for (const message of outbound) {
      const { stdout } = await sandbox.run(["messages", field(message, "id"), "--json"]);
      const one: unknown = JSON.parse(stdout);
      const events = typeof one === "object" && one !== null && "events" in one ? one.events : [];
      const states = Array.isArray(events) ? events.map((event) => field(event, "state")) : [];
      // The carrier's own queued, sending and sent fall into two of our states.
      expect(states.filter((state, i) => state !== states[i - 1])).toEqual([
        "pending",
        "sending",
        "queued",
        "sent",
        "delivered",
      ]);
    }
    const inbound = await until("the stranger's text", async () => {
      const found = await messages("--direction", "inbound");
      return found.length === 3 ? found : undefined;
    });
    expect(inbound.map((message) => [field(message, "route"), field(message, "state")])).toEqual([
      ["pairing", "handled"],
      ["message", "handled"],
      ["signal", "dropped"],
    ]);
    expect(await carrier.texts(STRANGER)).toHaveLength(1);

    const addresses = await sandbox.run(["addresses", "--json"]);
    expect(list(JSON.parse(addresses.stdout)).map((item) => field(item, "address"))).toEqual([PHONE]);
    const allowed = await sandbox.run(["policy", "check", "--from", PHONE]);
    expect([allowed.code, allowed.stdout]).toEqual([0, "allow: paired-senders\n"]);
    const denied = await sandbox.run(["policy", "check", "--from", STRANGER]);
    expect([denied.code, denied.stdout]).toEqual([
      1,
      expect.stringMatching(/^deny: no policy \(default deny\)\nPair the phone /),
    ]);
    const status = await sandbox.run(["status"]);
    expect([status.code, status.stdout]).toEqual([
      0,
      `sms  connected  ${NUMBER}  message → parrot  1 paired\n`,
    ]);
    expect((await service.stop()).code).toBe(0);
  }, 60_000);

  test("texts that arrived while the service was down are answered after its start", async () => {
    sandbox.write("sms.yaml", twilioConfig(carrier, ports, { channel: `allowed_senders: ["${PHONE}"]` }));
    const first = await startService(sandbox, ports);
    await first.status("connected");
    await carrier.text(PHONE, "before");
    await carrier.received(PHONE, 1);
    expect((await first.stop()).code).toBe(0);
    await carrier.text(PHONE, "while you were out");
    await carrier.text(STRANGER, "me too");

    const second = await startService(sandbox, ports);
    const texts = await carrier.received(PHONE, 2);
    expect(texts.map((text) => text.text)).toEqual(["before", "while you were out"]);
    const inbound = await until("all texts", async () => {
      const found = await messages("--direction", "inbound");
      return found.length === 3 ? found : undefined;
    });
    expect(inbound.map((message) => [field(message, "state"), field(message, "late")]).sort()).toEqual([
      ["dropped", "true"],
      ["handled", ""],
      ["handled", "true"],
    ]);
    await second.process.shown(/"event":"catch_up.admitted".*"count":2/, "stderr");
    expect(await carrier.texts(STRANGER)).toHaveLength(1);
    expect((await second.stop()).code).toBe(0);
  }, 60_000);

  test("with inbound: poll and no public_url the whole scenario works, delivery states included", async () => {
    const config = twilioConfig(carrier, ports, { channel: "inbound: poll\npoll_interval: 1s" });
    sandbox.write("sms.yaml", config.replace(/ {2}public_url: .*\n/, ""));
    const service = await startService(sandbox, ports);
    await service.status("pairing");
    expect(await carrier.webhookOf(NUMBER)).toBeUndefined();
    await carrier.text(PHONE, await pairingCode());
    await carrier.received(PHONE, 1);
    await carrier.text(PHONE, "anything new?");
    const texts = await carrier.received(PHONE, 2);
    expect(texts[1]?.text).toBe("anything new?");
    await carrier.text(STRANGER, "open the garage");
    await delivered(2);
    const inbound = await until("the stranger's text", async () => {
      const found = await messages("--direction", "inbound");
      return found.length === 3 ? found : undefined;
    });
    expect(inbound.map((message) => field(message, "state"))).toEqual(["handled", "handled", "dropped"]);
    expect(inbound.map((message) => field(message, "late"))).toEqual(["", "", ""]);
    expect(await carrier.texts(STRANGER)).toHaveLength(1);
    expect((await service.stop()).code).toBe(0);
  }, 60_000);
});
