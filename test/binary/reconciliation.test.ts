import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import {
  type CarrierProcess,
  field,
  freePorts,
  list,
  type Ports,
  type ServiceProcess,
  startCarrier,
  startService,
  twilioConfig,
} from "./running.ts";

setDefaultTimeout(60_000);

const TAKEN = "+15557000001";
const MISSING = "+15557000002";
const AFTER = "the next text";

let sandbox: Sandbox;
let carrier: CarrierProcess;
let ports: Ports;

beforeEach(async () => {
  sandbox = await openSandbox();
  carrier = await startCarrier(sandbox);
  ports = freePorts();
  sandbox.write("sms.yaml", twilioConfig(carrier, ports, { channel: "inbound: none" }));
});

afterEach(() => sandbox.close());

async function send(service: ServiceProcess, to: string, body: string): Promise<string> {
  return field(await service.api("POST", "/messages", { channel: "sms", to, body }), "id");
}

/** Ends it as a power cut does. */
async function kill(service: ServiceProcess): Promise<void> {
  service.process.kill("SIGKILL");
  expect((await service.process.ended).signal).toBe("SIGKILL");
}

async function restart(): Promise<ServiceProcess> {
  const service = await startService(sandbox, ports);
  await service.status("connected", "pairing");
  return service;
}

/** Moves what is written of the attempts back in time, as if we had been down that long. */
function laterBy(ms: number): void {
  const database = new Database(join(sandbox.folder, "data", "sms-agent.db"));
  database.run("UPDATE attempts SET started_at = started_at - ?", [ms]);
  database.run("UPDATE doubts SET started_at = started_at - ?, missed_at = missed_at - ?", [ms, ms]);
  database.close();
}

function state(service: ServiceProcess, id: string, wanted: string): Promise<true> {
  return until(`${id} to be ${wanted}`, async () => {
    const message = await service.api("GET", `/messages/${id}`);
    return field(message, "state") === wanted || undefined;
  });
}

async function textsOf(phone: string): Promise<readonly string[]> {
  return (await carrier.texts(phone)).map(({ text }) => text);
}

describe("a service that is killed in the middle of a send", () => {
  test("sends no second text where the carrier had taken it, and exactly one where it had not", async () => {
    // No callback helps; only the list tells.
    await carrier.fault({ on: "callback", kind: "lost" });
    await carrier.fault({ on: "send", kind: "timeout_after", times: 1, match: { to: TAKEN } });
    await carrier.fault({ on: "send", kind: "timeout_before", times: 1, match: { to: MISSING } });

    const first = await restart();
    const taken = await send(first, TAKEN, "hello");
    const missing = await send(first, MISSING, "hello");
    const behind = await send(first, MISSING, AFTER);
    await until("the carrier to have it", async () => (await textsOf(TAKEN)).length === 1 || undefined);
    // All but the lost callbacks.
    await until("the carrier to be called", async () => (await carrier.faultsLeft()) === 1 || undefined);
    await kill(first);

    // Minutes later: the list has the one, and not the other. It is killed again between the looks.
    laterBy(200_000);
    const second = await restart();
    await state(second, taken, "delivered");
    const database = () => new Database(join(sandbox.folder, "data", "sms-agent.db"), { readonly: true });
    await until("the first look to be over", () => {
      const open = database();
      const row = open.query("SELECT missed_at FROM doubts WHERE missed_at IS NOT NULL").get();
      open.close();
      return row === null ? undefined : true;
    });
    await state(second, missing, "unknown");
    await state(second, behind, "pending");
    await kill(second);

    laterBy(60_000);
    const third = await restart();
    await state(third, missing, "delivered");
    await state(third, behind, "delivered");
    expect(await textsOf(TAKEN)).toEqual(["hello"]);
    expect(await textsOf(MISSING)).toEqual(["hello", AFTER]);
    const messages = list(await third.api("GET", "/messages?direction=outbound"));
    expect(messages.map((message) => field(message, "state"))).toEqual([
      "delivered",
      "delivered",
      "delivered",
    ]);
    expect((await third.stop()).code).toBe(0);
  });

  test("does not send by itself what it left four hours ago, and sends it once when told to", async () => {
    await carrier.fault({ on: "send", kind: "timeout_before", times: 1, match: { to: MISSING } });
    const first = await restart();
    const id = await send(first, MISSING, "hello");
    await until("the carrier to be called", async () => (await carrier.faultsLeft()) === 0 || undefined);
    await kill(first);
    const database = new Database(join(sandbox.folder, "data", "sms-agent.db"));
    const hours = 4 * 3_600_000;
    database.run("UPDATE attempts SET started_at = started_at - ?", [hours]);
    database.run("UPDATE outbox SET created_at = created_at - ?", [hours]);
    database.close();
    const second = await restart();
    await state(second, id, "unknown");
    const early = await sandbox.run(["messages", "resend", id]);
    expect([early.code, early.stdout]).toEqual([1, ""]);
    expect(early.stderr).toContain("is being found out from the carrier's list");
    await kill(second);
    // As after two listings.
    const again = new Database(join(sandbox.folder, "data", "sms-agent.db"));
    again.run("UPDATE doubts SET missed_at = missed_at - 60000");
    again.close();
    const third = await restart();
    await state(third, id, "failed");
    expect(await textsOf(MISSING)).toEqual([]);
    expect((await sandbox.run(["messages", "resend", id])).code).toBe(0);
    await state(third, id, "delivered");
    expect((await sandbox.run(["messages", "resend", id])).code).toBe(1);
    expect(await textsOf(MISSING)).toEqual(["hello"]);
    expect((await third.stop()).code).toBe(0);
  });
});
