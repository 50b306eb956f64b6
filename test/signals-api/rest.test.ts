import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type ApiAnswer, type Service, STRANGER } from "../support/service.ts";
import { BANK, CODES, code, startWaitingService, waiting } from "./support.ts";

let service: Service;
beforeAll(async () => {
  service = await startWaitingService();
});
afterAll(() => service.close());

const wait = (fields: object, headers?: Record<string, string>): Promise<ApiAnswer> =>
  service.api("POST", "/signals/await", fields, headers);

/** A sender nobody else of these tests waits for. */
let senders = 40_000;
const newSender = () => String(++senders);

/** A call whose connection can be cut. */
function cuttable(fields: object, headers: Record<string, string> = {}) {
  const cut = new AbortController();
  const answer = fetch(`${service.adminUrl}/api/v1/signals/await`, {
    method: "POST",
    headers: { authorization: `Bearer ${service.token}`, "content-type": "application/json", ...headers },
    body: JSON.stringify(fields),
    signal: cut.signal,
  }).then(
    () => "answered",
    () => "cut",
  );
  return { answer, cut: () => cut.abort() };
}

describe("POST /signals/await", () => {
  test("answers with the signal in the shape of the API", async () => {
    const from = newSender();
    const answer = wait({ channel: "codes", from, timeout: "15s" });
    await waiting(service, 1);
    await code(service, "Your code is G-482913.\n\n@login.example.com #482913", from);
    const { status, body } = await answer;
    expect(status).toBe(200);
    expect(body).toEqual({
      status: "matched",
      signal: {
        id: expect.stringMatching(/^sig_[0-9a-z]{26}$/),
        message_id: expect.stringMatching(/^msg_[0-9a-z]{26}$/),
        channel: "codes",
        from,
        received_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        text: "Your code is G-482913.\n\n@login.example.com #482913",
        category: "verification_code",
        code: "482913",
        origin: "login.example.com",
        confidence: 1,
        candidates: expect.arrayContaining([expect.objectContaining({ value: "482913", score: 1 })]),
      },
    });
    const message = await service.api("GET", `/messages/${body.signal.message_id}`);
    expect(message.body).toMatchObject({ route: "signal", state: "handled" });
  });

  test("filters by pattern, category and origin, all of them", async () => {
    const from = newSender();
    const answer = wait({ from, match: "(?i)example bank", category: "verification_code", timeout: "15s" });
    await waiting(service, 1);
    await code(service, "Example Bank: your statement is there.", from);
    await code(service, "Your code for Another Shop is 333111", from);
    await code(service, "Your code for EXAMPLE BANK is 333444", from);
    expect((await answer).body.signal.code).toBe("333444");
    await code(service, "@one.example.com #555666", from);
    expect((await wait({ from, origin: "two.example.com", timeout: 0 })).body.status).toBe("timeout");
    expect((await wait({ from, origin: "@one.example.com", timeout: 0 })).body.signal.code).toBe("555666");
  });

  test("gives ten callers ten codes, each to the oldest that waits, and no code twice", async () => {
    for (let round = 0; round < 10; round++) {
      const from = newSender();
      const answers = Array.from({ length: 10 }, () => wait({ from, timeout: "20s" }));
      await waiting(service, 10);
      const { body } = await service.api("GET", "/watches?state=pending&limit=10");
      const oldestFirst: readonly string[] = body.items.map((item: { id: string }) => item.id).reverse();
      const first = await code(service, `Your code is ${round}00000`, from);
      await waiting(service, 9);
      const winner = await service.api("GET", `/watches/${oldestFirst[0]}`);
      expect(winner.body).toMatchObject({ state: "matched", signals: [{ code: `${round}00000` }] });
      expect(first).toBeTruthy();
      const rest = Array.from({ length: 9 }, (_, i) => `${round}0000${i + 1}`);
      await Promise.all(rest.map((digits) => code(service, `Your code is ${digits}`, from)));
      const got = (await Promise.all(answers)).map((answer) => answer.body.signal.code);
      expect(got.sort()).toEqual([`${round}00000`, ...rest]);
    }
  }, 30_000);

  test("names every wrong field at once", async () => {
    const { status, body, headers } = await wait({
      chanel: "codes",
      match: "(?=a)",
      timeout: "400s",
      from: "*",
    });
    expect(status).toBe(400);
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect(body.errors.map((error: { path: string }) => error.path)).toEqual([
      "chanel",
      "from",
      "match",
      "timeout",
    ]);
    expect((await wait([])).status).toBe(400);
  });

  test("does not claim a code for a caller that is gone", async () => {
    const from = newSender();
    const { answer, cut } = cuttable({ from, timeout: "60s" });
    await waiting(service, 1);
    cut();
    expect(await answer).toBe("cut");
    await waiting(service, 0);
    await code(service, "Your code is 246810", from);
    expect((await wait({ from, timeout: 0 })).body.signal.code).toBe("246810");
  });

  test("lets a caller who is cut repeat with its key, and get the code that came in between", async () => {
    const from = newSender();
    const key = { "idempotency-key": "the key of this call" };
    const { answer, cut } = cuttable({ from, timeout: "60s" }, key);
    await waiting(service, 1);
    cut();
    expect(await answer).toBe("cut");
    await code(service, "Your code is 135791", from);
    await waiting(service, 0);
    expect((await wait({ from, timeout: 0 })).body.status).toBe("timeout");
    const repeated = await wait({ from, timeout: "60s" }, key);
    expect(repeated.body.signal.code).toBe("135791");
    expect((await wait({ from, timeout: "60s" }, key)).body).toEqual(repeated.body);
    expect((await wait({ from: newSender(), timeout: 0 }, key)).status).toBe(409);
  });

  test("is ended by DELETE with its key", async () => {
    const from = newSender();
    const key = { "idempotency-key": "another key" };
    const { answer, cut } = cuttable({ from, timeout: "60s" }, key);
    await waiting(service, 1);
    cut();
    await answer;
    expect((await service.api("DELETE", "/signals/await", undefined, key)).status).toBe(204);
    await waiting(service, 0);
    expect((await service.api("DELETE", "/signals/await", undefined, key)).status).toBe(404);
    expect((await service.api("DELETE", "/signals/await")).status).toBe(400);
  });

  test("wakes on a text that policies keep from the agent, and nobody is answered", async () => {
    const answer = wait({ channel: "sms", from: STRANGER, timeout: "15s" });
    await waiting(service, 1);
    await service.admitted(STRANGER, "Your code is 864209");
    expect((await answer).body.signal.code).toBe("864209");
    await service.app.idle();
    expect(await service.inbox(STRANGER)).toEqual([]);
  });
});

describe("/watches", () => {
  test("makes a standing watch, which shows its fields flat and gathers signals", async () => {
    const from = newSender();
    const made = await service.api("POST", "/watches", {
      channel: "codes",
      from: [from, "9*"],
      match: "code",
      mode: "continuous",
      expires_in: "1h",
    });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({
      id: expect.stringMatching(/^watch_/),
      state: "pending",
      created_at: expect.any(String),
      expires_at: expect.any(String),
      channel: "codes",
      from: [from, "9*"],
      match: "code",
      mode: "continuous",
      consume: "peek",
      backfill: "120s",
      signals: [],
    });
    expect(Date.parse(made.body.expires_at) - Date.parse(made.body.created_at)).toBe(3_600_000);
    await code(service, "Your code is 111111", from);
    await code(service, "nothing", from);
    await code(service, "Your code is 222222", from);
    const { body } = await service.api("GET", `/watches/${made.body.id}`);
    expect(body.signals.map((signal: { code: string }) => signal.code)).toEqual(["111111", "222222"]);
    expect((await service.api("DELETE", `/watches/${made.body.id}`)).status).toBe(204);
    expect((await service.api("GET", `/watches/${made.body.id}`)).body.state).toBe("cancelled");
    expect((await service.api("DELETE", `/watches/${made.body.id}`)).status).toBe(409);
  });

  test("answers the backfill as a duration that can be sent back", async () => {
    for (const [given, answered] of [
      ["250ms", "250ms"],
      [1.5, "1500ms"],
      ["2m", "120s"],
      [0, "0s"],
    ] as const) {
      const made = await service.api("POST", "/watches", { from: newSender(), backfill: given });
      expect(made.body.backfill).toBe(answered);
      const again = await service.api("POST", "/watches", {
        from: newSender(),
        backfill: made.body.backfill,
      });
      expect([again.status, again.body.backfill]).toEqual([201, answered]);
      for (const { body } of [made, again]) await service.api("DELETE", `/watches/${body.id}`);
    }
  });

  test("answers what the backfill found at once", async () => {
    const from = newSender();
    await code(service, "Your code is 191919", from);
    const { body } = await service.api("POST", "/watches", { from });
    expect(body).toMatchObject({ state: "matched", signals: [{ code: "191919", from }] });
  });

  test("lists page by page, by state", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++)
      ids.unshift((await service.api("POST", "/watches", { from: newSender() })).body.id);
    const first = await service.api("GET", "/watches?state=pending&limit=3");
    const second = await service.api(
      "GET",
      `/watches?state=pending&limit=3&cursor=${first.body.next_cursor}`,
    );
    const listed = [...first.body.items, ...second.body.items].map((item: { id: string }) => item.id);
    expect(listed.slice(0, 5)).toEqual(ids);
    for (const id of ids) await service.api("DELETE", `/watches/${id}`);
    expect((await service.api("GET", "/watches?state=waiting")).status).toBe(400);
    expect((await service.api("GET", "/watches/watch_0")).status).toBe(404);
  });

  test("has every route in the OpenAPI document, with its fields", async () => {
    const answer = await fetch(`${service.adminUrl}/openapi.json`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    const document = JSON.parse(await answer.text());
    expect(Object.keys(document.paths)).toEqual(
      expect.arrayContaining(["/api/v1/signals/await", "/api/v1/watches", "/api/v1/watches/{id}"]),
    );
    expect(Object.keys(document.components.schemas.Await.properties)).toEqual([
      "channel",
      "from",
      "match",
      "category",
      "origin",
      "instructions",
      "mode",
      "consume",
      "backfill",
      "expires_in",
      "timeout",
    ]);
  });

  test("needs a credential", async () => {
    for (const [method, path] of [
      ["POST", "/signals/await"],
      ["GET", "/watches"],
      ["POST", "/watches"],
    ] as const) {
      const answer = await fetch(`${service.adminUrl}/api/v1${path}`, {
        method,
        ...(method === "POST" ? { body: "{}", headers: { "content-type": "application/json" } } : {}),
      });
      expect(answer.status).toBe(401);
    }
  });
});

describe("a stop of the service", () => {
  test("sends callers away at once, and a keyed one finds its code after the restart", async () => {
    const own = await startWaitingService();
    const key = { "idempotency-key": "across the restart" };
    const keyed = own.api("POST", "/signals/await", { from: BANK, timeout: "60s" }, key);
    const plain = own.api("POST", "/signals/await", { from: BANK, timeout: "60s" });
    await waiting(own, 2);
    const started = Date.now();
    const next = await own.restart();
    try {
      expect(Date.now() - started).toBeLessThan(5_000);
      expect((await keyed).status).toBe(503);
      expect((await plain).status).toBe(503);
      await waiting(next, 1);
      await next.admitted(BANK, "Your code is 606060", CODES);
      const repeated = await next.api("POST", "/signals/await", { from: BANK, timeout: "60s" }, key);
      expect(repeated.body.signal.code).toBe("606060");
    } finally {
      await next.close();
    }
  });
});
