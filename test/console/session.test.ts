import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import { type Service, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const clock = manualClock();
let service: Service;

beforeAll(async () => {
  service = await startService({ clock });
});
afterAll(() => service.close());

/** Signs in as a browser does; answers the whole response. */
function signIn(token: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  return fetch(`${service.adminUrl}/session`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ token }),
  });
}

function cookieOf(response: Response): string {
  const cookie = response.headers.get("set-cookie")?.split(";")[0];
  if (cookie === undefined) throw new Error(`no cookie: ${response.status}`);
  return cookie;
}

function request(path: string, cookie: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${service.adminUrl}${path}`, {
    ...init,
    headers: { cookie, ...(init.headers as Record<string, string> | undefined) },
  });
}

async function link(): Promise<string> {
  const { body } = await service.api("POST", "/sign-in-links");
  return /^\/#sign-in=(\w+)$/.exec(body.path)?.[1] ?? "";
}

describe("signing in", () => {
  test("the page and its files need no credential, and run nothing but their own script", async () => {
    for (const [path, type] of [
      ["/", "text/html"],
      ["/console.js", "text/javascript"],
      ["/console.css", "text/css"],
      ["/icon.svg", "image/svg+xml"],
    ] as const) {
      const response = await fetch(`${service.adminUrl}${path}`);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toContain(type);
      const policy = response.headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("script-src 'self';");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|https?:/);
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    }
    const page = await (await fetch(service.adminUrl)).text();
    expect(page).not.toMatch(/https?:\/\/|<style|style=| on[a-z]+=|<script>/);
    expect(page).not.toContain(service.token);
  });

  test("the public listener does not have the page", async () => {
    for (const path of ["/", "/console.js", "/session"])
      expect((await fetch(`${service.publicUrl}${path}`)).status).toBe(404);
  });

  test("the admin token opens a session whose cookie no script reads and no other site sends", async () => {
    const response = await signIn(service.token);
    expect(response.status).toBe(204);
    const cookie = response.headers.get("set-cookie") ?? "";
    expect(cookie).toContain("HttpOnly");
    expect(cookie).toContain("SameSite=Strict");
    expect(cookie).not.toContain("Secure");
    expect(cookie).not.toContain(service.token);
    expect((await request("/api/v1/channels", cookieOf(response))).status).toBe(200);
  });

  test("a proxy that ends TLS gets a cookie for https only", async () => {
    const host = new URL(service.adminUrl).host;
    const response = await signIn(service.token, { origin: `https://${host}` });
    expect(response.headers.get("set-cookie")).toContain("Secure");
  });

  test("a wrong token opens none, and says what to do", async () => {
    const response = await signIn("wrong");
    expect(response.status).toBe(401);
    expect(response.headers.get("set-cookie")).toBeNull();
    expect(((await response.json()) as { fix: string }).fix).toContain("admin-token");
  });

  test.each(["", "{", "[]", '{"token": ""}', '{"token": 5}', '{"token": "a", "b": 1}'])(
    "a body that is %p is refused with the field",
    async (body) => {
      const response = await fetch(`${service.adminUrl}/session`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      expect(response.status).toBe(400);
      expect(JSON.stringify(await response.json())).toContain('"path":"token"');
    },
  );

  test("a form of another page cannot sign somebody in", async () => {
    const plain = await fetch(`${service.adminUrl}/session`, {
      method: "POST",
      headers: { "content-type": "text/plain" },
      body: JSON.stringify({ token: service.token }),
    });
    expect(plain.status).toBe(400);
    expect((await signIn(service.token, { origin: "http://evil.example" })).status).toBe(403);
  });

  test("an invented cookie is nobody's", async () => {
    for (const value of ["", "x", "0".repeat(64), "__proto__", service.token])
      expect((await request("/api/v1/channels", `sms_agent_session=${value}`)).status).toBe(401);
  });
});

describe("a one-time link", () => {
  test("signs in once", async () => {
    const code = await link();
    const first = await signIn(code);
    expect(first.status).toBe(204);
    expect((await request("/api/v1/channels", cookieOf(first))).status).toBe(200);
    expect((await signIn(code)).status).toBe(401);
  });

  test("is good for five minutes", async () => {
    const code = await link();
    await clock.advance(5 * 60_000);
    expect((await signIn(code)).status).toBe(401);
  });

  test("is made with a token that has admin, not with a session and not with less", async () => {
    const cookie = cookieOf(await signIn(service.token));
    const headers = { "x-sms-agent": "console" };
    expect((await request("/api/v1/sign-in-links", cookie, { method: "POST", headers })).status).toBe(403);
    const made = await service.api("POST", "/tokens", { name: "reader", scopes: ["read"] });
    const response = await fetch(`${service.adminUrl}/api/v1/sign-in-links`, {
      method: "POST",
      headers: { authorization: `Bearer ${made.body.token}` },
    });
    expect(response.status).toBe(403);
  });
});

describe("a session", () => {
  test("changes nothing for a request that a page of another port makes the browser send", async () => {
    const cookie = cookieOf(await signIn(service.token));
    const patch = (headers: Record<string, string>) =>
      request("/api/v1/channels/sms", cookie, {
        method: "PATCH",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ enabled: true }),
      });
    expect((await patch({})).status).toBe(403);
    expect((await patch({ "x-sms-agent": "console", "sec-fetch-site": "same-site" })).status).toBe(403);
    expect((await patch({ "x-sms-agent": "console", "sec-fetch-site": "cross-site" })).status).toBe(403);
    expect((await patch({ "x-sms-agent": "console", origin: "http://127.0.0.1:1" })).status).toBe(403);
    expect((await patch({ "x-sms-agent": "console", "sec-fetch-site": "same-origin" })).status).toBe(200);
  });

  test("reads nothing for a page of another port either", async () => {
    const cookie = cookieOf(await signIn(service.token));
    const headers = { "sec-fetch-site": "same-site" };
    expect((await request("/api/v1/messages", cookie, { headers })).status).toBe(403);
  });

  test("may what its token may, and ends with it", async () => {
    const made = await service.api("POST", "/tokens", { name: "wall", scopes: ["read"] });
    const cookie = cookieOf(await signIn(made.body.token));
    expect((await request("/api/v1/channels", cookie)).status).toBe(200);
    expect((await request("/api/v1/tokens", cookie)).status).toBe(403);
    await service.api("DELETE", `/tokens/${made.body.id}`);
    expect((await request("/api/v1/channels", cookie)).status).toBe(401);
  });

  test("ends when it is signed out of", async () => {
    const cookie = cookieOf(await signIn(service.token));
    const out = await request("/session", cookie, { method: "DELETE" });
    expect(out.status).toBe(204);
    expect(out.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await request("/api/v1/channels", cookie)).status).toBe(401);
  });
});
