import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { code, startWaitingService, waiting } from "../signals-api/support.ts";
import { closing } from "../support/cleanup.ts";
import type { ApiAnswer, Service } from "../support/service.ts";

setDefaultTimeout(20_000);

const start = async () => closing(await startWaitingService());

const wait = (service: Service, fields: object): Promise<ApiAnswer> =>
  service.api("POST", "/signals/await", fields);

describe("a code", () => {
  test("that arrives a second before somebody waits for it is found", async () => {
    const service = await start();
    await code(service, "Your code is 111222", "40001");
    expect((await wait(service, { from: "40001", timeout: 0, backfill: 0 })).body.status).toBe("timeout");
    const { body } = await wait(service, { from: "40001", timeout: 0 });
    expect(body.signal.code).toBe("111222");
    expect((await wait(service, { from: "40001", timeout: 0 })).body.status).toBe("timeout");
  });

  test("is given to one of ten who wait for it, and to no other", async () => {
    const service = await start();
    const answers = Array.from({ length: 10 }, () => wait(service, { from: "40002", timeout: "3s" }));
    await waiting(service, 10);
    await code(service, "Your code is 987654", "40002");
    const got = (await Promise.all(answers)).map((answer) => answer.body.status);
    expect(got.filter((status) => status === "matched")).toHaveLength(1);
    expect(got.filter((status) => status === "timeout")).toHaveLength(9);
  });
});

describe("a wait", () => {
  test("whose time is over is told so", async () => {
    const service = await start();
    const { status, body } = await wait(service, { from: "40003", timeout: "30ms" });
    expect({ status, body }).toEqual({ status: 200, body: { status: "timeout" } });
  });

  test("that is served ends at once, whatever others still wait for", async () => {
    const service = await start();
    const open = wait(service, { from: "40004", timeout: "10s" });
    const served = wait(service, { from: "40005", timeout: "10s" });
    await waiting(service, 2);
    await code(service, "Your code is 333444", "40005");
    expect((await served).body.signal.code).toBe("333444");
    await waiting(service, 1);
    await code(service, "Your code is 555666", "40004");
    expect((await open).body.signal.code).toBe("555666");
  });
});
