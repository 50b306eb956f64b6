import { afterEach, beforeEach, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import {
  type CarrierProcess,
  field,
  freePorts,
  list,
  PHONE,
  type ServiceProcess,
  startCarrier,
  startService,
  twilioConfig,
} from "../binary/running.ts";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(90_000);

let sandbox: Sandbox;
let carrier: CarrierProcess;

beforeEach(async () => {
  sandbox = await openSandbox();
  carrier = await startCarrier(sandbox);
});

afterEach(() => sandbox.close());

/** Kills the service from within, as a broken native module would; everybody else gets an answer. */
const AGENT = `{ type: command, command: [/bin/sh, -c, 'asked=$(cat); case "$asked" in *poison*) kill -9 $PPID; sleep 5;; esac; sleep 0.2; printf fine'] }`;

const OTHERS = [1, 2, 3].map((n) => `+1555444000${n}`);

test("a text that kills the service each time is set aside; nobody else's answer is lost or doubled", async () => {
  const ports = freePorts();
  sandbox.write(
    "sms.yaml",
    twilioConfig(carrier, ports, { channel: "allow_all_senders: true", agent: AGENT }),
  );
  let service: ServiceProcess = await startService(sandbox, ports);
  await service.status("connected");
  await carrier.text(PHONE, "poison");
  for (const other of OTHERS) carrier.text(other, "hello").catch(() => {}); // it may be down just then
  let deaths = 0;
  const setAside = async (): Promise<unknown> => {
    for (;;) {
      const answer = await Promise.race([
        service.process.ended.then(() => "died"),
        until("the text to be set aside", async () => {
          const [failed] = list(
            await service.api("GET", "/messages?state=failed").catch(() => ({ items: [] })),
          );
          return failed;
        }).catch(() => "died"),
      ]);
      if (answer !== "died") return answer;
      deaths += 1;
      if (deaths > 8) throw new Error("it is never set aside");
      service = await startService(sandbox, ports);
    }
  };
  const message = await setAside();
  expect(deaths).toBe(5);
  const { error } = Object(message);
  expect(error.meaning).toContain("died 5 times");
  expect(error.fix).toContain("messages resend");
  const apologies = await carrier.received(PHONE, 1);
  await carrier.text(PHONE, "hello again");
  const texts = await carrier.received(PHONE, 2);
  expect(texts.map(({ text }) => text)).toEqual([apologies[0]?.text ?? "", "fine"]);
  for (const other of OTHERS) {
    await carrier.text(other, "and now?");
    await until(`answers to ${other}`, async () => {
      const all = list(await service.api("GET", `/messages?address=${encodeURIComponent(other)}`));
      const inbound = all.filter((one) => field(one, "direction") === "inbound");
      return inbound.some((one) => field(one, "text") === "and now?") &&
        inbound.every((one) => field(one, "state") === "handled")
        ? inbound
        : undefined;
    });
    const answered = await service.api("GET", `/messages?address=${encodeURIComponent(other)}&limit=200`);
    const turns = list(answered).map((one) => field(one, "turn_id"));
    const outbound = list(answered).filter((one) => field(one, "direction") === "outbound");
    expect(outbound).toHaveLength(new Set(turns).size);
  }
  await service.stop();
});

test("of several texts in one turn only the one that kills the service is set aside; the others are answered, in order", async () => {
  const ports = freePorts();
  // Alone it kills only when the reply before it has arrived: one whose call is cut off waits for the carrier's list.
  const arrived = join(sandbox.folder, "arrived");
  const agent = `{ type: command, command: [/bin/sh, -c, 'asked=$(cat); case "$asked" in *split_from*) said=alone;; *) said=together;; esac; case "$asked" in *poison*) while [ $said = alone ] && [ ! -e ${arrived} ]; do sleep 0.05; done; kill -9 $PPID; sleep 5;; esac; printf $said'] }`;
  sandbox.write(
    "sms.yaml",
    twilioConfig(carrier, ports, { channel: "allow_all_senders: true", agent }).replace(
      "debounce: 0s",
      "debounce: 2s",
    ),
  );
  let service: ServiceProcess = await startService(sandbox, ports);
  await service.status("connected");
  for (const body of ["before", "poison", "after"]) await carrier.text(PHONE, body);
  const first = carrier.received(PHONE, 1, 60_000).then(() => sandbox.write("arrived", ""));
  let deaths = 0;
  const inbound = async () =>
    list(await service.api("GET", "/messages?direction=inbound").catch(() => ({ items: [] }))).toReversed();
  const settled = async (): Promise<readonly unknown[]> => {
    for (;;) {
      const found = await Promise.race([
        service.process.ended.then(() => undefined),
        until("all texts to be settled", async () => {
          const all = await inbound();
          return all.length === 3 && all.every((one) => field(one, "state") !== "queued") ? all : undefined;
        }).catch(() => undefined),
      ]);
      if (found !== undefined) return found;
      deaths += 1;
      if (deaths > 10) throw new Error("it is never settled");
      service = await startService(sandbox, ports);
    }
  };
  const texts = await settled();
  expect(texts.map((one) => [field(one, "text"), field(one, "state")])).toEqual([
    ["before", "handled"],
    ["poison", "failed"],
    ["after", "handled"],
  ]);
  // As often together as a turn is tried, and twice alone.
  expect(deaths).toBe(7);
  await first;
  const got = await carrier.received(PHONE, 3);
  expect(got.map(({ text }) => text.split(",")[0])).toEqual(["alone", "Sorry", "alone"]);
  await service.stop();
});
