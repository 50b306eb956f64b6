import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { WatchOwner } from "../../src/watch.ts";
import { MAX_WATCHES, MAX_WATCHES_OF_TOKEN, whyNoRoom } from "../../src/watch-limits.ts";
import { code, startWaitingService } from "../signals-api/support.ts";
import type { Service } from "../support/service.ts";
import { as, makeToken } from "../tokens/support.ts";

setDefaultTimeout(60_000);

let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

async function start(): Promise<Service> {
  service = await startWaitingService();
  return service;
}

describe("streams without end", () => {
  test("of one token end at fifty, and leave room for others", async () => {
    const running = await start();
    const { token } = await makeToken(running, { scopes: ["read"] });
    const stop = new AbortController();
    const open = (by: string) =>
      fetch(`${running.adminUrl}/api/v1/events`, {
        headers: { authorization: `Bearer ${by}` },
        signal: stop.signal,
      });
    const opened = await Promise.all(Array.from({ length: 50 }, () => open(token)));
    expect(opened.map(({ status }) => status)).toEqual(Array(50).fill(200));
    const refused = await open(token);
    expect(refused.status).toBe(503);
    expect(await refused.text()).toContain("Close those that are not needed");
    expect((await open(running.token)).status).toBe(200);
    stop.abort();
    const reopened = async () => {
      const again = new AbortController();
      const { status } = await fetch(`${running.adminUrl}/api/v1/events`, {
        headers: { authorization: `Bearer ${token}` },
        signal: again.signal,
      });
      again.abort();
      return status === 200;
    };
    await running.until(reopened, "room for another stream");
  });
});

describe("watches without end", () => {
  test("of one token end at two hundred, and take nothing from others", async () => {
    let running = await start();
    const { token } = await makeToken(running, { scopes: ["signals:await"] });
    const { token: other } = await makeToken(running, { scopes: ["signals:await"] });
    const watch = (by: string, key?: string) =>
      as(running, by)(
        "POST",
        "/watches",
        { from: "+15550009999", expires_in: "1h" },
        key === undefined ? {} : { "idempotency-key": key },
      );
    const first = await watch(token, "the first");
    for (let made = 1; made < MAX_WATCHES_OF_TOKEN; made += 20) {
      const some = Array.from({ length: Math.min(20, MAX_WATCHES_OF_TOKEN - made) }, () => watch(token));
      for (const { status } of await Promise.all(some)) expect(status).toBe(201);
    }
    const refused = await watch(token);
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toContain("200 watches of this token");
    expect(refused.body.fix).toContain("Cancel");
    expect((await watch(token, "a new one")).status).toBe(409);
    // A call that is repeated under its key finds its own.
    expect((await watch(token, "the first")).body.id).toBe(first.body.id);
    expect((await as(running, token)("POST", "/signals/await", { timeout: 1 })).status).toBe(409);
    expect((await watch(other)).status).toBe(201);
    expect((await watch(running.token)).status).toBe(201);

    running = await running.restart();
    service = running;
    expect((await watch(token)).status).toBe(409);
    expect((await as(running, token)("DELETE", `/watches/${first.body.id}`)).status).toBe(204);
    expect((await watch(token, "a new one")).status).toBe(201);
    expect((await watch(token)).status).toBe(409);
  });

  test("of all callers end at a thousand, and those of agents have room of their own", () => {
    const api = (token: string): WatchOwner => ({ kind: "api", token });
    const agent: WatchOwner = {
      kind: "agent",
      agent: "a",
      turnId: "t",
      callId: "c",
      channel: "sms",
      address: "+15557654321",
    };
    const many = Array.from({ length: MAX_WATCHES }, (_, n) => api(`tok_${n}`));
    expect(whyNoRoom(api("tok_new"), many.slice(1))).toBeUndefined();
    expect(whyNoRoom(api("tok_new"), many)?.code).toBe("conflict");
    expect(whyNoRoom(api("admin"), many)?.code).toBe("conflict");
    expect(whyNoRoom(agent, many)).toBeUndefined();
    expect(whyNoRoom(agent, Array(MAX_WATCHES).fill(agent))?.code).toBe("conflict");
    expect(whyNoRoom(api("admin"), Array(MAX_WATCHES - 1).fill(api("admin")))).toBeUndefined();
  });

  test("that look for the same look once: five hundred of the slowest patterns do not hold up a text", async () => {
    const running = await start();
    const match = "[\\p{L}\\p{N}]{1,40}$";
    for (let made = 0; made < 500; made += 50)
      await Promise.all(
        Array.from({ length: 50 }, () => running.api("POST", "/watches", { match, expires_in: "1h" })),
      );
    const began = performance.now();
    await code(running, "漢é".repeat(799).concat("!"));
    // Each by itself they take about 4 ms.
    expect(performance.now() - began).toBeLessThan(1_000);
  });
});
