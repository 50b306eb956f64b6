import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { NUMBER, PHONE, type Service, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const SECOND = "+15550100002";
const SILENT = "+15550100003";

/** Two numbers whose agents answer everybody, and one that only captures. */
async function start(): Promise<Service> {
  const open = { ...SMS, allow_all_senders: true };
  const service = closing(
    await startService({
      config: {
        channels: {
          sms: open,
          second: { ...open, from_number: SECOND },
          silent: { ...SMS, from_number: SILENT, mode: "signal" },
        },
      },
    }),
  );
  return service;
}

describe("a text from a number of this service itself", () => {
  test("is not answered where its own agent would answer the answer, and says why", async () => {
    const service = await start();
    for (const body of ["hello, agent", "MORE", "482913"]) {
      const sid = await service.admitted(SECOND, body, NUMBER);
      expect(await service.message(sid)).toMatchObject({
        state: "dropped",
        error: { meaning: expect.stringContaining("came from a number of this service") },
      });
    }
    // What comes after them is answered: they wait for nothing.
    await service.text(PHONE, "hello");
    expect((await service.received(PHONE, 1)).map(({ text }) => text)).toEqual(["hello"]);
    expect(await service.inbox(SECOND)).toEqual([]);
  });

  test("is answered where nobody would answer that: one number tests the other", async () => {
    const service = await start();
    await service.text(SILENT, "hello, agent", NUMBER);
    expect((await service.received(SILENT, 1)).map(({ text }) => text)).toEqual(["hello, agent"]);
  });
});
