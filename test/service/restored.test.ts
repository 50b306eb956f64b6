import { expect, setDefaultTimeout, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { backup, restore } from "../../src/app-data.ts";
import { openCarrier, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { closing } from "../support/cleanup.ts";
import { openProxy } from "../support/proxy.ts";
import { type ApiMessage, PHONE, type Service, STRANGER, startService } from "../support/service.ts";

setDefaultTimeout(30_000);

const OTHER = "+15557650002";

/** A service with a carrier that outlives it, and whose list it reads at every start. */
async function start(): Promise<Service> {
  const outside = closing(openCarrier());
  const front = closing(openProxy());
  const service = closing(
    await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: front.url },
        twilio: twilioSection(outside),
        channels: { sms: { ...TWILIO_SMS, allow_all_senders: true } },
      },
      carrier: outside,
      onListening: (url) => front.pointTo(url),
    }),
  );
  return service;
}

/** Backs the service up, lets `meanwhile` happen, and starts it again from that backup. */
async function goBack(running: Service, meanwhile: () => Promise<void>): Promise<Service> {
  const file = join(running.folder, "backup");
  const dataDir = join(running.folder, "data");
  backup(dataDir, file, false);
  await meanwhile();
  await running.stop();
  restore(dataDir, file);
  rmSync(file);
  const service = await running.restart();
  return service;
}

async function inbound(running: Service): Promise<ApiMessage[]> {
  return (await running.api("GET", "/messages?direction=inbound&limit=200")).body.items;
}

test("texts of between backup and restore are fetched and shown, and nobody is answered again", async () => {
  const first = await start();
  await first.admitted(PHONE, "before");
  await first.received(PHONE, 1);
  const again = await goBack(first, async () => {
    await first.admitted(PHONE, "between");
    await first.received(PHONE, 2);
    await first.admitted(OTHER, "hello");
    await first.received(OTHER, 1);
  });
  await again.logged("catch_up.admitted", { count: 2 });
  await again.app.idle();
  const kept = await inbound(again);
  expect(kept.map(({ text, state }) => [text, state]).sort()).toEqual([
    ["before", "handled"],
    ["between", "failed"],
    ["hello", "failed"],
  ]);
  const between = kept.find(({ text }) => text === "between");
  expect(between.error.meaning).toContain("before the database was restored");
  expect((await again.inbox(PHONE)).map(({ text }) => text)).toEqual(["before", "between"]);
  expect(await again.inbox(OTHER)).toHaveLength(1);
  // Whoever texts now is answered.
  await again.admitted(PHONE, "after");
  await again.received(PHONE, 3);
});

test("a STOP of between backup and restore counts", async () => {
  const first = await start();
  const again = await goBack(first, async () => {
    await first.admitted(STRANGER, "STOP");
    await first.admitted(PHONE, "one");
    await first.received(PHONE, 1);
  });
  await again.logged("catch_up.admitted", { count: 2 });
  const sent = await again.api("POST", "/messages", { channel: "sms", to: STRANGER, body: "are you there?" });
  expect(sent.body.state).toBe("suppressed");
});

test("a command of between backup and restore is not done again", async () => {
  const first = await start();
  await first.admitted(PHONE, "one");
  await first.received(PHONE, 1);
  const again = await goBack(first, async () => {
    await first.admitted(PHONE, "/new");
    await first.received(PHONE, 2);
  });
  await again.logged("catch_up.admitted", { count: 1 });
  await again.app.idle();
  expect((await inbound(again)).map(({ text, state }) => [text, state])).toEqual([
    ["/new", "failed"],
    ["one", "handled"],
  ]);
  expect(await again.inbox(PHONE)).toHaveLength(2);
});
