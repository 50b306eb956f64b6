import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Service } from "../support/service.ts";
import { BANK, code, startWaitingService } from "./support.ts";

let service: Service;
beforeAll(async () => {
  service = await startWaitingService();
});
afterAll(() => service.close());

const CALLERS = 10;
const CODES = 200;

/** One try of a keyed wait; undefined when its connection was cut, as it is now and then. */
async function tryOnce(key: string, cutAfter: number | undefined): Promise<string | undefined> {
  const cut = new AbortController();
  const timer = cutAfter === undefined ? undefined : setTimeout(() => cut.abort(), cutAfter);
  try {
    const response = await fetch(`${service.adminUrl}/api/v1/signals/await`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${service.token}`,
        "content-type": "application/json",
        "idempotency-key": key,
      },
      body: JSON.stringify({ from: BANK, timeout: "200ms" }),
      signal: cut.signal,
    });
    const body = JSON.parse(await response.text());
    expect(response.status).toBe(200);
    return body.status === "matched" ? body.signal.code : "";
  } catch (error) {
    if (cut.signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

test("under load, with connections cut at any moment, no code is lost and none is given twice", async () => {
  const sent = Array.from({ length: CODES }, (_, i) => String(100_000 + i * 37));
  const got: string[] = [];
  let keys = 0;
  const caller = async (number: number) => {
    let key = `${number}/${++keys}`;
    for (let tries = 1; got.length < CODES && tries < 100 * CODES; tries++) {
      const answer = await tryOnce(key, tries % 3 === 0 ? (tries * 7 + number) % 23 : undefined);
      if (answer === undefined || answer === "") continue;
      got.push(answer);
      key = `${number}/${++keys}`;
    }
  };
  const callers = Array.from({ length: CALLERS }, (_, number) => caller(number));
  for (let i = 0; i < sent.length; i += 4)
    await Promise.all(sent.slice(i, i + 4).map((digits) => code(service, `Your code is ${digits}`)));
  await Promise.all(callers);
  expect(got.sort()).toEqual(sent.sort());
}, 120_000);
