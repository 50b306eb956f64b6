import { expect, setDefaultTimeout, test } from "bun:test";
import { fdatasync } from "node:fs";
import type { AppError } from "../../src/errors.ts";
import { closing } from "../support/cleanup.ts";
import { PHONE, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

test("a disk that fails to keep a commit has nothing acknowledged from then on, and the process told to end", async () => {
  let fails = false;
  const told: AppError[] = [];
  const service = closing(
    await startService({
      config: { channels: { sms: { ...SMS, allow_all_senders: true } } },
      seams: {
        syncFile: (descriptor, done) =>
          fails
            ? setImmediate(done, Object.assign(new Error("EIO"), { code: "EIO" }))
            : fdatasync(descriptor, done),
        onBroken: (error) => told.push(error),
      },
    }),
  );
  const send = () => service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "hi" });
  expect((await send()).status).toBe(202);
  await service.received(PHONE, 1);
  await service.app.idle();
  fails = true;
  expect((await send()).status).toBe(503);
  expect(told.map(({ code }) => code)).toEqual(["unavailable"]);
  fails = false;
  // That the next sync would succeed proves nothing of what the failed one was for.
  const refused = await send();
  expect([refused.status, refused.body.fix]).toEqual([
    503,
    expect.stringContaining("start the service again"),
  ]);
  expect((await fetch(`${service.publicUrl}/readyz`)).status).toBe(503);
  expect(told).toHaveLength(1);
  expect(await service.logged("store.broken", {}, 1)).toHaveLength(1);
});
