import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PHONE, type Service, SMS, startService } from "../support/service.ts";

let service: Service;
beforeAll(async () => {
  service = await startService({ config: { channels: { sms: { ...SMS, allow_all_senders: true } } } });
});
afterAll(() => service.close());

const TEXT = JSON.stringify({ channel: "sms", to: PHONE, body: "hello" });

function ask(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${service.adminUrl}${path}`, {
    redirect: "manual",
    ...init,
    headers: { authorization: `Bearer ${service.token}`, ...init.headers },
  });
}

describe("a page of another site", () => {
  test("gets nothing and changes nothing, whatever it calls itself", async () => {
    const { host } = new URL(service.adminUrl);
    for (const origin of [
      "null",
      "http://evil.example",
      `http://${host}.evil.example`,
      `http://evil.example@${host}.evil.example`,
      `http://${host}@evil.example`,
      "file://",
      "http://localhost:1",
      "chrome-extension://abc",
      "",
    ])
      for (const [path, init] of [
        ["/api/v1/channels", {}],
        ["/api/v1/messages", { method: "POST", body: TEXT, headers: { "content-type": "application/json" } }],
        ["/mcp", { method: "POST", body: "{}", headers: { "content-type": "application/json" } }],
        ["/session", { method: "POST", body: "{}", headers: { "content-type": "application/json" } }],
        ["/healthz", {}],
      ] as const) {
        const response = await ask(path, {
          ...init,
          headers: { ...("headers" in init ? init.headers : {}), origin },
        });
        expect(response.status, `${origin} ${path}`).toBe(403);
        expect(response.headers.get("access-control-allow-origin")).toBeNull();
      }
  });

  test("is known by what its browser says, also where it sends no origin", async () => {
    const image = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image" };
    expect((await ask("/api/v1/channels", { headers: image })).status).toBe(403);
    expect(
      (await ask("/api/v1/channels", { headers: { ...image, "sec-fetch-site": "same-site" } })).status,
    ).toBe(403);
    const frame = {
      "sec-fetch-site": "cross-site",
      "sec-fetch-mode": "navigate",
      "sec-fetch-dest": "iframe",
    };
    expect((await ask("/", { headers: frame })).status).toBe(403);
    // A link that was followed shows the page, which asks for a token.
    expect((await ask("/", { headers: { ...frame, "sec-fetch-dest": "document" } })).status).toBe(200);
    expect((await ask("/api/v1/channels", { headers: { "sec-fetch-site": "same-origin" } })).status).toBe(
      200,
    );
    expect((await ask("/api/v1/channels", { headers: { "sec-fetch-site": "none" } })).status).toBe(200);
  });

  test("gets no leave in advance", async () => {
    const response = await ask("/api/v1/messages", {
      method: "OPTIONS",
      headers: {
        origin: "http://evil.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
        "access-control-request-private-network": "true",
      },
    });
    expect(response.status).toBe(403);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  test("cannot send as a form what is JSON only", async () => {
    const before = (await service.inbox(PHONE)).length;
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "text/plain; charset=application/json",
      "",
    ])
      for (const path of ["/api/v1/messages", "/api/v1/notify", "/api/v1/tokens", "/api/v1/signals/await"])
        expect(
          (await ask(path, { method: "POST", body: TEXT, headers: { "content-type": type } })).status,
          path,
        ).toBe(415);
    expect((await service.inbox(PHONE)).length).toBe(before);
  });

  test("cannot change the method, nor name another path, by a header or a field", async () => {
    for (const headers of [
      { "x-http-method-override": "DELETE" },
      { "x-method-override": "DELETE" },
      { "x-original-url": "/api/v1/tokens" },
      { "x-rewrite-url": "/api/v1/tokens" },
    ]) {
      const response = await ask("/api/v1/channels", { headers });
      expect(response.status).toBe(200);
      expect(JSON.parse(await response.text()).items[0].id).toBe("sms");
    }
  });
});

describe("markup in a text, a name or a media type", () => {
  const EVIL = `<script>alert(1)</script><img src=x onerror="alert(1)">"'><svg/onload=alert(1)>`;

  test("is data in every answer: JSON, not to be sniffed, framed, run or kept", async () => {
    await service.admitted(PHONE, EVIL);
    await service.api("POST", "/tokens", { name: EVIL.slice(0, 100), scopes: ["read"] });
    for (const path of [
      "/api/v1/messages",
      "/api/v1/conversations",
      "/api/v1/tokens",
      "/api/v1/channels",
      "/api/v1/usage",
      "/api/v1/policies",
      "/openapi.json",
      "/readyz",
      "/healthz",
      `/api/v1/messages/${encodeURIComponent(EVIL)}`,
      `/api/v1/channels/${encodeURIComponent(EVIL)}`,
      `/${encodeURIComponent(EVIL)}`,
      `/api/v1/messages?cursor=${encodeURIComponent(EVIL)}`,
      `/api/v1/events?types=${encodeURIComponent(EVIL)}`,
    ]) {
      const response = await ask(path);
      const { headers } = response;
      expect(headers.get("content-type"), path).toMatch(/^(application\/(problem\+)?json|text\/plain)/);
      expect(headers.get("x-content-type-options"), path).toBe("nosniff");
      expect(headers.get("content-security-policy"), path).toContain("default-src 'none'");
      expect(headers.get("cache-control"), path).toContain("no-store");
      await response.text();
    }
  });

  test("does not come back from the public listener", async () => {
    const path = `/webhooks/twilio/${encodeURIComponent(`--><script>${"x".repeat(10)}</script><!--`)}`;
    const response = await fetch(`${service.publicUrl}${path}`, { method: "POST" });
    expect(response.headers.get("content-type")).toBe("text/xml");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(await response.text()).not.toMatch(/<script|--><!?s|-->.*-->/);
  });

  test("is not in the page's way: it loads nothing but its own files and runs no inline script", async () => {
    const policy = (await ask("/")).headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
  });
});
