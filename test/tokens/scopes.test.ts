import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PHONE, type Service, startService } from "../support/service.ts";
import { type As, adminGet, as, holder, makeToken, TWO_CHANNELS } from "./support.ts";

/** Every route with a request that is well-formed, and the scope it takes. */
const ROUTES: readonly [method: string, path: string, scope: string, body?: unknown][] = [
  ["GET", "/channels", "read"],
  ["GET", "/channels/sms", "read"],
  ["GET", "/messages", "read"],
  ["GET", "/messages/msg_none", "read"],
  ["GET", "/conversations", "read"],
  ["GET", "/conversations/conv_none", "read"],
  ["GET", "/policies", "read"],
  ["GET", "/configuration", "read"],
  ["POST", "/messages", "messages:send", { channel: "sms", to: PHONE, body: "hello" }],
  ["POST", "/messages/msg_none/resend", "messages:send"],
  ["POST", "/signals/await", "signals:await", { channel: "codes", timeout: 0 }],
  ["POST", "/watches", "signals:await", { channel: "codes" }],
  ["DELETE", "/watches/watch_none", "signals:await"],
  ["PATCH", "/channels/none", "admin", { enabled: true }],
  ["POST", "/channels/sms/pairing", "admin"],
  ["DELETE", "/channels/codes/pairing", "admin"],
  ["GET", "/channels/sms/addresses", "admin"],
  ["PATCH", "/channels/sms/addresses/%2B15550009999", "admin", { label: "x" }],
  ["DELETE", "/channels/sms/addresses/%2B15550009999", "admin"],
  ["POST", "/conversations/conv_none/end", "admin"],
  ["POST", "/policies/check", "admin", { action: "receive_message", channel: "sms", from: PHONE }],
  ["GET", "/tokens", "admin"],
  ["POST", "/tokens", "admin", { name: "x", scopes: ["read"] }],
  ["DELETE", "/tokens/tok_none", "admin"],
  ["POST", "/simulator/inbound", "admin", { from: PHONE, channel: "codes", body: "hello" }],
  ["GET", "/simulator/phones", "admin"],
  ["GET", `/simulator/phones/${PHONE}/messages`, "admin"],
  ["GET", "/simulator/faults", "admin"],
  ["POST", "/simulator/faults", "admin", {}],
  ["DELETE", "/simulator/faults", "admin"],
];
const SCOPES = ["read", "messages:send", "signals:await", "admin"];

let service: Service;
const holders = new Map<string, As>();
beforeAll(async () => {
  service = await startService({ config: TWO_CHANNELS });
  for (const scope of SCOPES) holders.set(scope, await holder(service, { name: scope, scopes: [scope] }));
});
afterAll(() => service.close());

describe("a token", () => {
  for (const scope of SCOPES) {
    test(`of scope ${scope} opens its own routes and no other`, async () => {
      const own = holders.get(scope);
      for (const [method, path, needed, body] of ROUTES) {
        const { status } = (await own?.(method, path, body)) ?? { status: 0 };
        const what = `${method} ${path} with ${scope}`;
        if (scope === needed || scope === "admin") expect([401, 403], what).not.toContain(status);
        else expect(status, what).toBe(403);
      }
    });
  }

  test("may have several scopes", async () => {
    const both = await holder(service, { scopes: ["read", "messages:send"] });
    expect((await both("GET", "/channels")).status).toBe(200);
    expect((await both("POST", "/messages", { channel: "sms", to: PHONE, body: "x" })).status).toBe(202);
    expect((await both("GET", "/tokens")).status).toBe(403);
  });

  test("that may not is told which scope it takes", async () => {
    const { body } = (await holders.get("read")?.("POST", "/messages", {
      channel: "sms",
      to: PHONE,
      body: "x",
    })) ?? { body: {} };
    expect(`${body.detail} ${body.fix}`).toContain("messages:send");
  });

  test("that reads opens /readyz and /openapi.json, another does not", async () => {
    const reader = await makeToken(service, { scopes: ["read"] });
    const sender = await makeToken(service, { scopes: ["messages:send"] });
    for (const path of ["/readyz", "/openapi.json"]) {
      expect(await adminGet(service, path)).toBe(401);
      expect(await adminGet(service, path, sender.token)).toBe(403);
      expect(await adminGet(service, path, reader.token)).toBe(200);
    }
    expect(await adminGet(service, "/healthz")).toBe(200);
  });

  test("is needed on every route there is", async () => {
    const response = await fetch(`${service.adminUrl}/openapi.json`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    // biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document
    const document: any = await response.json();
    let routes = 0;
    for (const [path, operations] of Object.entries<object>(document.paths)) {
      for (const method of Object.keys(operations)) {
        routes += 1;
        const url = `${service.adminUrl}${path.replaceAll(/\{\w+\}/g, "x")}`;
        for (const authorization of [undefined, "Bearer sms_wrong", "Basic eDp5", "Bearer"]) {
          const answer = await fetch(url, {
            method: method.toUpperCase(),
            headers: authorization === undefined ? {} : { authorization },
          });
          await answer.text();
          expect(answer.status, `${method} ${path} with ${authorization}`).toBe(401);
        }
      }
    }
    expect(routes).toBeGreaterThanOrEqual(ROUTES.length);
    for (const path of ["/mcp", "/openapi.json", "/readyz", "/anything"])
      expect(await adminGet(service, path)).toBe(401);
  });

  test("with one scope leaves no route of another open", async () => {
    const document = await (
      await fetch(`${service.adminUrl}/openapi.json`, {
        headers: { authorization: `Bearer ${service.token}` },
      })
    ).json();
    const sender = await makeToken(service, { scopes: ["messages:send"] });
    // biome-ignore lint/suspicious/noExplicitAny: an OpenAPI document
    for (const [path, operations] of Object.entries<object>((document as any).paths)) {
      if (!path.startsWith("/api/v1")) {
        expect(await adminGet(service, path, sender.token), path).toBe(403);
        continue;
      }
      const route = path.replace("/api/v1", "").replaceAll(/\{\w+\}/g, "x");
      for (const method of Object.keys(operations).map((name) => name.toUpperCase())) {
        const what = `${method} ${path}`;
        // A form that is wrong may be told before the scope; nothing else may.
        if (method === "GET")
          expect([403, 400], what).toContain(
            (await holders.get("messages:send")?.(method, route))?.status ?? 0,
          );
        else expect([403, 400], what).toContain((await holders.get("read")?.(method, route))?.status ?? 0);
      }
    }
  });

  test("cannot make itself or another one more powerful", async () => {
    for (const scope of ["read", "messages:send", "signals:await"]) {
      const answer = await holders.get(scope)?.("POST", "/tokens", { name: "more", scopes: ["admin"] });
      expect(answer?.status).toBe(403);
    }
    const limited = await holder(service, { scopes: ["admin"], channels: ["codes"] });
    expect((await limited("POST", "/tokens", { name: "more", scopes: ["admin"] })).status).toBe(403);
    expect((await limited("GET", "/tokens")).status).toBe(403);
    const { body } = await service.api("GET", "/tokens");
    expect((await limited("DELETE", `/tokens/${body.items[0].id}`)).status).toBe(403);
    expect(body.items.some(({ name }: { name: string }) => name === "more")).toBe(false);
  });

  test("of scope admin on all channels may make and revoke tokens, the last of them itself", async () => {
    const { id, token } = await makeToken(service, { scopes: ["admin"] });
    const made = await as(service, token)("POST", "/tokens", { name: "made", scopes: ["read"] });
    expect(made.status).toBe(201);
    expect((await as(service, token)("DELETE", `/tokens/${made.body.id}`)).status).toBe(204);
    expect((await as(service, token)("DELETE", `/tokens/${id}`)).status).toBe(204);
    expect((await as(service, token)("GET", "/channels")).status).toBe(401);
  });
});
