import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { closing } from "../support/cleanup.ts";
import {
  NUMBER,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = closing(
    await startService({
      config: { channels: { sms: { ...SMS, allow_all_senders: true } } },
      ...options,
    }),
  );
  return service;
}

const TWILIO_CHANNEL = {
  twilio: {
    account_sid: "AC0123456789abcdef0123456789abcdef",
    auth_token: "the-twilio-auth-token",
    api_url: "http://127.0.0.1:1",
    messaging_url: "http://127.0.0.1:1",
  },
  channels: { sms: { provider: "twilio", from_number: NUMBER, agent: "parrot", inbound: "poll" } },
};

/** Every route of the API this part of the product has, with what it needs to be called at all. */
const ROUTES: readonly (readonly [method: string, path: string])[] = [
  ["GET", "/channels"],
  ["GET", "/channels/{id}"],
  ["POST", "/channels/{id}/pairing"],
  ["DELETE", "/channels/{id}/pairing"],
  ["GET", "/channels/{id}/addresses"],
  ["PATCH", "/channels/{id}/addresses/{address}"],
  ["DELETE", "/channels/{id}/addresses/{address}"],
  ["GET", "/messages"],
  ["POST", "/messages"],
  ["GET", "/messages/{id}"],
  ["GET", "/conversations"],
  ["GET", "/conversations/{id}"],
  ["POST", "/conversations/{id}/end"],
  ["GET", "/policies"],
  ["POST", "/policies/check"],
  ["POST", "/simulator/inbound"],
  ["GET", "/simulator/phones"],
  ["GET", "/simulator/phones/{address}/messages"],
  ["GET", "/simulator/faults"],
  ["POST", "/simulator/faults"],
  ["DELETE", "/simulator/faults"],
];

/** What `/openapi.json` answers. */
async function documentOf(running: Service) {
  const response = await fetch(`${running.adminUrl}/openapi.json`, {
    headers: { authorization: `Bearer ${running.token}` },
  });
  return (await response.json()) as {
    openapi: string;
    paths: Record<string, Record<string, { responses: Record<string, unknown>; summary?: string }>>;
    components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> };
  };
}

/** A request with headers that fetch does not let one set. */
function rawRequest(
  running: Service,
  path: string,
  headers: Readonly<Record<string, string>>,
  method = "GET",
): Promise<{ status: number; body: string; type: string }> {
  const { hostname, port } = new URL(running.adminUrl);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { hostname, port, path, method, headers, setHost: !("Host" in headers), timeout: 5_000 },
      (response) => {
        let body = "";
        response.on("data", (chunk) => {
          body += String(chunk);
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body, type: response.headers["content-type"] ?? "" }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.on("timeout", () => outgoing.destroy(new Error("no answer")));
    outgoing.end();
  });
}

async function expectProblem(
  answer: { readonly status: number; readonly body: unknown; readonly headers: Headers },
  status: number,
  ...paths: string[]
): Promise<void> {
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  const problem = answer.body as {
    status: number;
    title: string;
    type: string;
    detail: string;
    errors?: { path: string; message: string }[];
  };
  expect(problem).toMatchObject({ status, type: "about:blank" });
  expect(problem.title).toBeString();
  expect(problem.detail).toBeString();
  expect((problem.errors ?? []).map(({ path }) => path).sort()).toEqual([...paths].sort());
  for (const { message } of problem.errors ?? []) expect(message.length).toBeGreaterThan(3);
}

describe("the admin listener", () => {
  test("needs the admin token for every route but /healthz", async () => {
    const running = await start();
    const plain = (path: string, init: RequestInit = {}) => fetch(running.adminUrl + path, init);
    expect((await plain("/healthz")).status).toBe(200);
    const paths = [
      ["GET", "/readyz"],
      ["GET", "/openapi.json"],
      ["GET", "/api/v1/nothing"],
      ...ROUTES.map(([method, path]) => [method, `/api/v1${path}`] as const),
    ] as const;
    for (const [method, path] of paths) {
      for (const authorization of [
        undefined,
        "Bearer wrong",
        "Bearer ",
        `Basic ${btoa(`admin:${running.token}`)}`,
        running.token,
        `Bearer ${running.token}x`,
      ]) {
        const response = await plain(path, {
          method,
          ...(authorization === undefined ? {} : { headers: { authorization } }),
        });
        expect([method, path, authorization, response.status]).toEqual([method, path, authorization, 401]);
        expect(response.headers.get("content-type")).toBe("application/problem+json");
        expect(response.headers.get("www-authenticate")).toStartWith("Bearer");
      }
    }
    expect((await plain("/readyz", { headers: { authorization: `bearer ${running.token}` } })).status).toBe(
      200,
    );
  });

  test("makes a token at the first start, keeps it, and lets only its owner read the file", async () => {
    const running = await start();
    const path = join(running.folder, "data", "admin-token");
    expect(readFileSync(path, "utf8").trim()).toBe(running.token);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(running.folder, "data")).mode & 0o777).toBe(0o700);
    expect(statSync(join(running.folder, "data", "sms-agent.db")).mode & 0o777).toBe(0o600);
    expect(running.token.length).toBeGreaterThanOrEqual(32);
    const again = await running.restart();
    expect(again.token).toBe(running.token);
  });

  test("takes the token of sms.yaml instead where there is one", async () => {
    const running = await start({
      config: { admin: { listen: "127.0.0.1:0", token: "a-token-from-the-file-of-the-operator" } },
    });
    expect(running.token).toBe("a-token-from-the-file-of-the-operator");
    expect((await running.api("GET", "/channels")).status).toBe(200);
  });

  test("answers only to an IP address, localhost and the allowed hosts", async () => {
    const running = await start({
      config: { admin: { listen: "127.0.0.1:0", allowed_hosts: ["pi.example.com"] } },
    });
    const authorization = `Bearer ${running.token}`;
    const port = new URL(running.adminUrl).port;
    for (const host of [
      `127.0.0.1:${port}`,
      "192.168.1.5",
      "[::1]:8081",
      "localhost:1",
      "pi.example.com",
      "PI.example.com:8081",
    ]) {
      const answer = await rawRequest(running, "/api/v1/channels", { Host: host, authorization });
      expect([host, answer.status]).toEqual([host, 200]);
    }
    for (const host of [
      "evil.example.com",
      "pi.example.com.evil.example",
      "127.0.0.1.nip.io",
      "localhost.evil.example",
      "sms-agent",
    ]) {
      for (const path of ["/api/v1/channels", "/healthz", "/openapi.json"]) {
        const answer = await rawRequest(running, path, { Host: host, authorization });
        expect([host, path, answer.status, answer.type]).toEqual([
          host,
          path,
          403,
          "application/problem+json",
        ]);
      }
    }
  });

  test("refuses a foreign Origin on every route, whatever the token", async () => {
    const running = await start();
    const authorization = `Bearer ${running.token}`;
    for (const origin of [
      "https://evil.example.com",
      "null",
      "http://127.0.0.1:1",
      running.publicUrl,
      `${running.adminUrl}.evil.example`,
    ]) {
      for (const [method, path] of [
        ["GET", "/healthz"],
        ["GET", "/api/v1/channels"],
        ["POST", "/api/v1/messages"],
      ] as const) {
        const answer = await rawRequest(running, path, { origin, authorization }, method);
        expect([origin, path, answer.status]).toEqual([origin, path, 403]);
      }
    }
    const own = await rawRequest(running, "/api/v1/channels", { origin: running.adminUrl, authorization });
    expect(own.status).toBe(200);
  });

  test("says in /readyz what is not ready", async () => {
    const running = await start({ config: TWILIO_CHANNEL });
    const response = await fetch(`${running.adminUrl}/readyz`, {
      headers: { authorization: `Bearer ${running.token}` },
    });
    expect(response.status).toBe(503);
    const { ready, checks } = (await response.json()) as {
      ready: boolean;
      checks: { name: string; ok: boolean; reason?: string }[];
    };
    expect(ready).toBe(false);
    expect(checks.find(({ name }) => name === "database")).toMatchObject({ ok: true });
    expect(checks.find(({ name }) => name === "channel sms")?.reason).toBeString();
  });

  test("answers what does not exist and what is no JSON with a problem", async () => {
    const running = await start();
    await expectProblem(await running.api("GET", "/nothing"), 404);
    await expectProblem(await running.api("GET", "/channels/none"), 404, "channel");
    await expectProblem(await running.api("GET", "/messages/msg_none"), 404);
    await expectProblem(await running.api("GET", "/conversations/conv_none"), 404);
    await expectProblem(await running.api("POST", "/conversations/conv_none/end"), 404);
    await expectProblem(await running.api("POST", "/channels/none/pairing"), 404, "channel");
    const broken = await fetch(`${running.adminUrl}/api/v1/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${running.token}`, "content-type": "application/json" },
      body: "{ not json",
    });
    expect([broken.status, broken.headers.get("content-type")]).toEqual([400, "application/problem+json"]);
    const large = await fetch(`${running.adminUrl}/api/v1/messages`, {
      method: "POST",
      headers: { authorization: `Bearer ${running.token}`, "content-type": "application/json" },
      body: JSON.stringify({ channel: "sms", to: PHONE, body: "x".repeat(1_000_000) }),
    });
    expect([large.status, large.headers.get("content-type")]).toEqual([413, "application/problem+json"]);
    for (const [path, size] of [
      ["/api/v1/messages", 9 * 1024 * 1024],
      ["/api/v1/media", 20 * 1024 * 1024],
      ["/session", 9 * 1024 * 1024],
      ["/mcp", 9 * 1024 * 1024],
    ] as const) {
      const huge = await fetch(running.adminUrl + path, {
        method: "POST",
        headers: { authorization: `Bearer ${running.token}`, "content-type": "application/json" },
        body: new Uint8Array(size),
      });
      expect([path, huge.status, huge.headers.get("content-type")]).toEqual([
        path,
        413,
        "application/problem+json",
      ]);
      expect(await huge.json()).toMatchObject({ status: 413, detail: expect.stringContaining("at most") });
    }
    for (const type of ["text/plain", "application/x-www-form-urlencoded"]) {
      const untyped = await fetch(`${running.adminUrl}/api/v1/messages`, {
        method: "POST",
        headers: { authorization: `Bearer ${running.token}`, "content-type": type },
        body: JSON.stringify({ channel: "sms", to: PHONE, body: "hi" }),
      });
      expect([untyped.status, untyped.headers.get("content-type")]).toEqual([
        415,
        "application/problem+json",
      ]);
      expect(await untyped.json()).toMatchObject({
        status: 415,
        fix: expect.stringContaining("application/json"),
      });
    }
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toEqual([]);
  });

  test("says which methods a route takes where it is asked with another", async () => {
    const running = await start();
    for (const [method, path, allowed] of [
      ["DELETE", "/api/v1/messages", "GET, HEAD, POST"],
      ["PUT", "/api/v1/channels/sms", "GET, HEAD, PATCH"],
      ["OPTIONS", "/api/v1/channels/sms/addresses/+15557654321", "DELETE, PATCH"],
      ["GET", "/api/v1/notify", "POST"],
      ["POST", "/metrics", "GET, HEAD"],
      ["POST", "/openapi.json", "GET, HEAD"],
    ] as const) {
      const ask = (headers: Record<string, string>) => fetch(running.adminUrl + path, { method, headers });
      const response = await ask({ authorization: `Bearer ${running.token}` });
      expect([method, path, response.status, response.headers.get("allow")]).toEqual([
        method,
        path,
        405,
        allowed,
      ]);
      expect(response.headers.get("content-type")).toBe("application/problem+json");
      expect(await response.json()).toMatchObject({ status: 405, fix: `Use ${allowed}.` });
      expect((await ask({})).status).toBe(401);
    }
    await expectProblem(await running.api("DELETE", "/channels/sms/nothing"), 404);
    await expectProblem(await running.api("DELETE", "/channels/"), 404);
  });

  test("pages the lists that are short by limit and cursor too", async () => {
    const running = await start();
    for (const name of ["one", "two", "three"])
      expect((await running.api("POST", "/tokens", { name, scopes: ["read"] })).status).toBe(201);
    for (const from of [PHONE, STRANGER]) await running.admitted(from, "hi");
    for (const to of [PHONE, STRANGER])
      await running.api("POST", "/simulator/faults", {
        on: "send",
        kind: "slow",
        delay: "1s",
        match: { to },
      });
    // Nothing may still be on its way to the phones while their lists are read.
    for (const from of [PHONE, STRANGER]) await running.received(from, 1);
    const lists = [
      "/channels",
      "/policies",
      "/tokens",
      "/alerts",
      "/simulator/faults",
      "/simulator/phones",
      `/simulator/phones/${PHONE}/messages`,
    ];
    for (const list of [...lists, "/channels/sms/addresses"]) {
      const whole = (await running.api("GET", list)).body;
      expect([list, whole.next_cursor]).toEqual([list, undefined]);
      const paged = [];
      let cursor = "";
      for (let page = 0; page <= whole.items.length; page++) {
        const { status, body } = await running.api("GET", `${list}?limit=1${cursor}`);
        expect([list, status]).toEqual([list, 200]);
        paged.push(...body.items);
        if (body.next_cursor === undefined) break;
        cursor = `&cursor=${body.next_cursor}`;
      }
      expect(paged).toEqual(whole.items);
      for (const query of ["limit=0", "limit=x", "cursor=none", "chanel=sms"])
        await expectProblem(await running.api("GET", `${list}?${query}`), 400, query.split("=")[0] ?? "");
    }
    expect((await running.api("GET", "/tokens?limit=2")).body.items).toHaveLength(2);
  });

  test("names each field that is missing or not known, by its path", async () => {
    const running = await start();
    const sent = { channel: "sms", to: PHONE, body: "hi", mediaUrls: [], form: "+1" };
    expect((await running.api("POST", "/messages", sent)).body.errors).toEqual([
      { path: "mediaUrls", message: "Is not a known field." },
      { path: "form", message: "Is not a known field." },
    ]);
    expect((await running.api("POST", "/messages", { channel: "sms", body: "hi" })).body.errors).toEqual([
      { path: "to", message: "Is missing; expected string." },
    ]);
    expect((await running.api("GET", "/messages?chanel=sms")).body.errors).toEqual([
      {
        path: "chanel",
        message:
          "Is not a query parameter of this route; it takes limit, cursor, channel, direction, state, route, address, conversation_id.",
      },
    ]);
  });

  test("refuses a query parameter that is not known on every route, and does nothing", async () => {
    const running = await start();
    const { paths } = await documentOf(running);
    const pairing = async () => (await running.api("GET", "/channels/sms")).body.pairing;
    const before = await pairing();
    let asked = 0;
    for (const [path, routes] of Object.entries(paths)) {
      if (!path.startsWith("/api/v1/")) continue;
      const at = path
        .slice("/api/v1".length)
        .replace("{id}", "sms")
        .replace("{address}", encodeURIComponent(PHONE));
      for (const method of Object.keys(routes)) {
        const answer = await running.api(method.toUpperCase(), `${at}?x=1`);
        expect([method, path, answer.status]).toEqual([method, path, 400]);
        expect(answer.body.errors).toEqual([{ path: "x", message: expect.stringContaining("it takes") }]);
        asked++;
      }
    }
    expect(asked).toBeGreaterThan(35);
    expect(await pairing()).toEqual(before);
    expect((await running.api("HEAD", "/channels/sms?x=1")).status).toBe(400);
    await expectProblem(await running.api("GET", "/channels/sms?x=1&=2&y"), 400, "x", "", "y");
    await expectProblem(await running.api("GET", "/nothing?x=1"), 404);
    expect((await running.api("PUT", "/channels/sms?x=1")).status).toBe(405);
    const unknown = await fetch(`${running.adminUrl}/api/v1/channels?x=1`);
    expect(unknown.status).toBe(401);
  });

  test("describes every route in an OpenAPI 3.1 document", async () => {
    const running = await start();
    const document = await documentOf(running);
    expect(document.openapi).toStartWith("3.1");
    for (const [method, path] of ROUTES) {
      const route = document.paths[`/api/v1${path}`]?.[method.toLowerCase()];
      expect([method, path, typeof route?.summary]).toEqual([method, path, "string"]);
      expect(Object.keys(route?.responses ?? {})).toContain("401");
    }
    for (const name of ["Channel", "Address", "Message", "Conversation", "Policy", "Decision", "Problem"])
      expect(Object.keys(document.components.schemas)).toContain(name);
  });

  test("never shows the admin token or an auth token", async () => {
    const running = await start({ config: TWILIO_CHANNEL });
    const secrets = [running.token, "the-twilio-auth-token"];
    const answers: string[] = [];
    for (const [method, path] of ROUTES) {
      const filled = path.replace("{id}", "sms").replace("{address}", encodeURIComponent(PHONE));
      const answer = await running.api(
        method,
        filled,
        method === "GET" || method === "DELETE" ? undefined : {},
      );
      answers.push(JSON.stringify([answer.body, [...answer.headers]]));
    }
    answers.push(
      await (
        await fetch(`${running.adminUrl}/openapi.json`, {
          headers: { authorization: `Bearer ${running.token}` },
        })
      ).text(),
    );
    for (const secret of secrets) {
      for (const answer of answers) expect(answer).not.toContain(secret);
      expect(JSON.stringify(running.logs)).not.toContain(secret);
    }
  });
});

describe("GET /channels", () => {
  test("shows every channel in the shape other programs rely on", async () => {
    const running = await start({
      config: {
        channels: { sms: SMS, codes: { provider: "simulator", from_number: "+15550100002", mode: "signal" } },
      },
    });
    const { body } = await running.api("GET", "/channels");
    expect(body.next_cursor).toBeUndefined();
    const [sms, codes] = body.items;
    expect(Object.keys(sms).sort()).toEqual(
      [
        "agent",
        "enabled",
        "fix",
        "id",
        "mode",
        "number",
        "paired_addresses",
        "pairing",
        "provider",
        "reason",
        "status",
      ].sort(),
    );
    expect(sms).toMatchObject({
      id: "sms",
      provider: "simulator",
      number: NUMBER,
      mode: "message",
      agent: "parrot",
      enabled: true,
      status: "pairing",
      paired_addresses: 0,
    });
    expect(Object.keys(sms.pairing).sort()).toEqual(["code", "expires_at", "number", "sms_uri"]);
    expect(codes).toEqual({
      id: "codes",
      provider: "simulator",
      number: "+15550100002",
      mode: "signal",
      enabled: true,
      status: "connected",
      paired_addresses: 0,
    });
    expect((await running.api("GET", "/channels/sms")).body).toEqual(sms);
  });
});

describe("GET /messages", () => {
  test("lists newest first, page by page, without gap or overlap", async () => {
    const running = await start();
    for (let i = 0; i < 7; i++) {
      await running.admitted(PHONE, `text ${i}`);
      await running.received(PHONE, i + 1);
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const { body } = await running.api(
        "GET",
        `/messages?limit=4${cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`}`,
      );
      expect(body.items.length).toBeLessThanOrEqual(4);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.next_cursor;
      pages += 1;
      if (pages === 1) await running.admitted(STRANGER, "in between");
    } while (cursor !== undefined);
    expect(pages).toBe(4);
    expect(new Set(seen).size).toBe(14);
    const { body } = await running.api("GET", "/messages?limit=200");
    const times = body.items.map(({ created_at }: { created_at: string }) => created_at);
    expect(times).toEqual([...times].sort().reverse());
  });

  test("filters by channel, direction, state, route, address and conversation", async () => {
    const running = await start({
      config: {
        channels: {
          sms: { ...SMS, allowed_senders: [PHONE] },
          second: { ...SMS, from_number: "+15550100002", allow_all_senders: true },
        },
      },
    });
    const first = await running.admitted(PHONE, "one");
    await running.received(PHONE, 1);
    await running.admitted(STRANGER, "two");
    await running.admitted(STRANGER, "three", "+15550100002");
    await running.received(STRANGER, 1);
    const conversation = (await running.message(first)).conversation_id;
    const texts = async (query: string) =>
      (await running.api("GET", `/messages?${query}`)).body.items.map(
        ({ direction, text }: { direction: string; text?: string }) => `${direction} ${text ?? "-"}`,
      );
    expect(await texts("channel=second")).toEqual(["outbound three", "inbound three"]);
    expect(await texts("direction=outbound")).toEqual(["outbound three", "outbound one"]);
    expect(await texts("state=dropped")).toEqual(["inbound -"]);
    expect(await texts("route=message")).toEqual(["inbound three", "inbound one"]);
    expect(await texts(`address=${encodeURIComponent(PHONE)}`)).toEqual(["outbound one", "inbound one"]);
    expect(await texts(`conversation_id=${conversation}`)).toEqual(["outbound one", "inbound one"]);
    expect(await texts("channel=sms&direction=inbound&state=handled")).toEqual(["inbound one"]);
    await expectProblem(await running.api("GET", "/messages?channel=none"), 404, "channel");
  });

  test("names the query parameter that is wrong", async () => {
    const running = await start();
    await expectProblem(await running.api("GET", "/messages?limit=0"), 400, "limit");
    await expectProblem(await running.api("GET", "/messages?limit=1000"), 400, "limit");
    await expectProblem(await running.api("GET", "/messages?limit=many"), 400, "limit");
    await expectProblem(await running.api("GET", "/messages?direction=up"), 400, "direction");
    const cursor = await running.api("GET", "/messages?cursor=made-up");
    expect(cursor.status).toBe(400);
  });
});

describe("POST /messages", () => {
  test("takes a text into the outbox and answers 202 with its id", async () => {
    const running = await start();
    const answer = await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "hello" });
    expect(answer.status).toBe(202);
    expect(Object.keys(answer.body).sort()).toEqual(["id", "state"]);
    expect(answer.body.state).toBe("pending");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("hello");
  });

  test("names every field that is wrong, at once", async () => {
    const running = await start();
    const post = (body: unknown) => running.api("POST", "/messages", body);
    await expectProblem(await post({}), 400, "channel", "to");
    await expectProblem(
      await post({ channel: "none", to: "hello", body: " " }),
      400,
      "channel",
      "to",
      "body",
    );
    await expectProblem(await post({ channel: "sms", to: NUMBER, body: "x" }), 400, "to");
    await expectProblem(await post({ channel: "sms", to: "MYBANK", body: "x" }), 400, "to");
    await expectProblem(await post({ channel: "sms", to: "15557654321", body: "x" }), 400, "to");
    await expectProblem(await post({ channel: "sms", to: PHONE, body: "x".repeat(1601) }), 400, "body");
    await expectProblem(await post({ channel: "sms", to: PHONE }), 400, "body");
    await expectProblem(await post({ channel: "sms", to: PHONE, body: 7 }), 400, "body");
    await expectProblem(
      await post({ channel: "sms", to: PHONE, body: "x", content_sid: "HX1" }),
      400,
      "content_sid",
    );
    await expectProblem(
      await post({ channel: "sms", to: PHONE, body: "x", content_variables: {} }),
      400,
      "content_variables",
    );
    const unknown = await post({ channel: "sms", to: PHONE, body: "x", text: "y" });
    expect(unknown.status).toBe(400);
    expect(JSON.stringify(unknown.body)).toContain("text");
    expect((await running.api("GET", "/messages")).body.items).toEqual([]);
  });

  test("takes variables of a template as an object of texts, or as that in JSON, and nothing else", async () => {
    const running = await start();
    const post = (content_variables: unknown) =>
      running.api("POST", "/messages", {
        channel: "sms",
        to: PHONE,
        content_sid: `HX${"0".repeat(32)}`,
        content_variables,
      });
    for (const wrong of ["not json", "", "[]", '["x"]', '"x"', "null", "7", '{"1":2}', '{"1":{"2":"x"}}'])
      await expectProblem(await post(wrong), 400, "content_variables");
    for (const wrong of [[], ["x"], { 1: 2 }, null, 7])
      expect((await post(wrong)).status, JSON.stringify(wrong)).toBe(400);
    expect((await running.api("GET", "/messages")).body.items).toEqual([]);
    for (const fine of ['{"1":"Ann"}', { 1: "Ann" }, {}, "{}"]) expect((await post(fine)).status).toBe(202);
  });

  test("refuses a recipient the number cannot reach, by SMS or by WhatsApp", async () => {
    const whatsapp = { ...SMS, from_number: "whatsapp:+15550100009" };
    const running = await start({ config: { channels: { sms: SMS, wa: whatsapp } } });
    const send = (channel: string, to: string) =>
      running.api("POST", "/messages", { channel, to, body: "hi" });
    const crossed = await send("sms", `whatsapp:${PHONE}`);
    await expectProblem(crossed, 400, "to");
    expect(crossed.body.errors?.[0]?.message).toEndWith(`write ${PHONE}.`);
    const bare = await send("wa", PHONE);
    await expectProblem(bare, 400, "to");
    expect(bare.body.errors?.[0]?.message).toEndWith(`write whatsapp:${PHONE}.`);
    expect((await send("wa", `whatsapp:${PHONE}`)).status).toBe(202);
    expect((await send("sms", PHONE)).status).toBe(202);
  });

  test("takes no file, path or unknown scheme as media", async () => {
    const running = await start();
    for (const url of [
      "file:///etc/passwd",
      "/etc/passwd",
      "./a.png",
      "ftp://example.com/a.png",
      "data:image/png;base64,AA==",
      "javascript:alert(1)",
      "http://",
    ]) {
      const answer = await running.api("POST", "/messages", {
        channel: "sms",
        to: PHONE,
        body: "x",
        media_urls: [url],
      });
      expect([url, answer.status, answer.body.errors?.[0]?.path]).toEqual([url, 400, "media_urls.0"]);
    }
    const many = Array.from({ length: 11 }, (_, i) => `https://example.com/${i}`);
    const answer = await running.api("POST", "/messages", { channel: "sms", to: PHONE, media_urls: many });
    await expectProblem(answer, 400, "media_urls");
  });

  test("with an Idempotency-Key sends once, however often and however fast it is repeated", async () => {
    const running = await start();
    const body = { channel: "sms", to: PHONE, body: "only once" };
    const headers = { "idempotency-key": "order-66" };
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => running.api("POST", "/messages", body, headers)),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(new Set(answers.map(({ body: { id } }) => id)).size).toBe(1);
    await running.received(PHONE, 1);
    const again = await running.restart();
    const replayed = await again.api("POST", "/messages", body, headers);
    expect([replayed.status, replayed.body.id]).toEqual([202, answers[0]?.body.id]);
    await again.app.idle();
    expect((await again.api("GET", "/messages?direction=outbound")).body.items).toHaveLength(1);
  });

  test("refuses a key that was used for another message, and sends nothing", async () => {
    const running = await start();
    const headers = { "idempotency-key": "order-66" };
    await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "one" }, headers);
    await expectProblem(
      await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "two" }, headers),
      409,
    );
    await expectProblem(
      await running.api("POST", "/messages", { channel: "sms", to: STRANGER, body: "one" }, headers),
      409,
    );
    const other = await running.api(
      "POST",
      "/messages",
      { channel: "sms", to: PHONE, body: "two" },
      { "idempotency-key": "order-67" },
    );
    expect(other.status).toBe(202);
    await expectProblem(
      await running.api(
        "POST",
        "/messages",
        { channel: "sms", to: PHONE, body: "x" },
        { "idempotency-key": "k".repeat(300) },
      ),
      400,
      "idempotency-key",
    );
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toHaveLength(2);
  });

  test("without a key sends the same text again, since it may be meant", async () => {
    const running = await start();
    for (let i = 0; i < 2; i++)
      await running.api("POST", "/messages", { channel: "sms", to: PHONE, body: "again" });
    expect(await running.received(PHONE, 2)).toHaveLength(2);
  });
});

describe("GET /conversations", () => {
  test("lists by activity, filters and pages", async () => {
    const running = await start({
      config: {
        channels: {
          sms: { ...SMS, allow_all_senders: true },
          second: { ...SMS, from_number: "+15550100002", allow_all_senders: true },
        },
      },
    });
    for (let i = 0; i < 3; i++) {
      await running.text(`+1555765000${i}`, "hello");
      await running.received(`+1555765000${i}`, 1);
    }
    await running.text(PHONE, "hello", "+15550100002");
    await running.received(PHONE, 1);
    const all = await running.api("GET", "/conversations");
    expect(all.body.items.map(({ address }: { address: string }) => address)).toEqual([
      PHONE,
      "+15557650002",
      "+15557650001",
      "+15557650000",
    ]);
    expect(Object.keys(all.body.items[0]).sort()).toEqual(
      ["address", "agent", "channel", "id", "last_at", "messages", "started_at"].sort(),
    );
    expect((await running.api("GET", "/conversations?channel=second")).body.items).toHaveLength(1);
    const page = await running.api("GET", "/conversations?limit=3");
    expect(page.body.items).toHaveLength(3);
    const rest = await running.api(
      "GET",
      `/conversations?limit=3&cursor=${encodeURIComponent(page.body.next_cursor)}`,
    );
    expect(rest.body.items.map(({ address }: { address: string }) => address)).toEqual(["+15557650000"]);
    const [{ id }] = rest.body.items;
    await running.api("POST", `/conversations/${id}/end`);
    expect((await running.api("GET", "/conversations?open=true")).body.items).toHaveLength(3);
    expect(
      (await running.api("GET", "/conversations?open=false")).body.items.map(
        (item: { id: string }) => item.id,
      ),
    ).toEqual([id]);
    await expectProblem(await running.api("GET", "/conversations?open=maybe"), 400, "open");
  });
});

describe("the simulator's routes", () => {
  test("text a channel, list phones, and show what a phone got", async () => {
    const running = await start();
    const sent = await running.api("POST", "/simulator/inbound", {
      from: PHONE,
      channel: "sms",
      body: "hello",
    });
    expect([sent.status, typeof sent.body.sid]).toEqual([201, "string"]);
    await running.received(PHONE, 1);
    const phones = await running.api("GET", "/simulator/phones");
    expect(phones.body.items).toEqual([
      { address: PHONE, messages: 2, last_at: phones.body.items[0].last_at, opted_out_of: [] },
    ]);
    const texts = await running.api("GET", `/simulator/phones/${encodeURIComponent(PHONE)}/messages`);
    expect(
      texts.body.items.map(({ direction, text }: { direction: string; text: string }) => [direction, text]),
    ).toEqual([
      ["inbound", "hello"],
      ["outbound", "hello"],
    ]);
    const media = await running.api("POST", "/simulator/inbound", {
      from: PHONE,
      channel: "sms",
      media_urls: ["data:text/plain;base64,aGk="],
    });
    expect(media.status).toBe(201);
  });

  test("order faults and take them back", async () => {
    const running = await start();
    const ordered = await running.api("POST", "/simulator/faults", {
      on: "send",
      kind: "throttle",
      retry_after: "2s",
      times: 3,
    });
    expect(ordered.status).toBe(201);
    expect(ordered.body).toMatchObject({ on: "send", kind: "throttle", retry_after: "2s", times: 3 });
    expect((await running.api("GET", "/simulator/faults")).body.items).toEqual([ordered.body]);
    expect((await running.api("DELETE", `/simulator/faults?id=${ordered.body.id}`)).status).toBe(204);
    expect((await running.api("DELETE", `/simulator/faults?id=${ordered.body.id}`)).status).toBe(404);
    await running.api("POST", "/simulator/faults", { on: "inbound", kind: "lost" });
    expect((await running.api("DELETE", "/simulator/faults")).status).toBe(204);
    expect((await running.api("GET", "/simulator/faults")).body.items).toEqual([]);
    await expectProblem(
      await running.api("POST", "/simulator/faults", { on: "send", kind: "earthquake" }),
      400,
      "kind",
    );
  });

  test("name the field that is wrong", async () => {
    const running = await start();
    await expectProblem(
      await running.api("POST", "/simulator/inbound", { from: "???", channel: "sms", body: "x" }),
      400,
      "from",
    );
    await expectProblem(
      await running.api("POST", "/simulator/inbound", {
        from: PHONE,
        channel: "sms",
        body: "x".repeat(2000),
      }),
      400,
      "body",
    );
    await expectProblem(
      await running.api("POST", "/simulator/inbound", { from: PHONE, channel: "none", body: "x" }),
      404,
      "channel",
    );
  });

  test("are not there when no channel is simulated", async () => {
    const running = await start({ config: TWILIO_CHANNEL });
    await expectProblem(await running.api("GET", "/simulator/phones"), 404);
    await expectProblem(
      await running.api("POST", "/simulator/inbound", { from: PHONE, channel: "sms", body: "x" }),
      404,
    );
    await expectProblem(await running.api("GET", "/simulator/faults"), 404);
  });
});

describe("the log", () => {
  test("holds no text, no token and no whole phone number", async () => {
    const running = await start({ config: { channels: { sms: { ...SMS, allowed_senders: [PHONE] } } } });
    await running.admitted(PHONE, "a very private question");
    await running.received(PHONE, 1);
    await running.admitted(STRANGER, "a stranger's secret");
    await running.admitted("22000", "code 482913");
    await running.api("POST", "/messages", { channel: "sms", to: STRANGER, body: "an operator's note" });
    await running.received(STRANGER, 1);
    await running.app.idle();
    const log = JSON.stringify(running.logs);
    for (const secret of [
      "a very private question",
      "a stranger's secret",
      "482913",
      "an operator's note",
      PHONE,
      STRANGER,
      running.token,
      running.settings.channels.sms?.account.authToken ?? "none",
    ])
      expect(log).not.toContain(secret);
    expect(log).toContain("+1555***4321");
    for (const event of ["inbound.admitted", "turn.done", "send.accepted", "delivery.status"])
      expect(running.logs.some((line) => line.event === event)).toBe(true);
  });
});
