import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Service, startService } from "../support/service.ts";

let service: Service;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.close());

/** Status, body and headers of an answer, without what differs from one second to the next. */
async function whole(path: string, method: string): Promise<string> {
  const response = await fetch(`${service.publicUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${service.token}`, cookie: "sms_agent_session=abc" },
    ...(method === "GET" || method === "HEAD" ? {} : { body: "{}" }),
    redirect: "manual",
  });
  const headers = [...response.headers].filter(([name]) => name !== "date").sort();
  return JSON.stringify([response.status, headers, method === "HEAD" ? "" : await response.text()]);
}

describe("the public port", () => {
  test("answers every route of the admin listener as one that never was, the admin's own token or not", async () => {
    const answer = await fetch(`${service.adminUrl}/openapi.json`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    const document = JSON.parse(await answer.text());
    const routes = Object.entries<Record<string, unknown>>(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => ({
        path: path.replaceAll(/\{\w+\}/g, "sms"),
        method: method.toUpperCase(),
      })),
    );
    expect(routes.length).toBeGreaterThan(30);
    for (const path of [
      "/",
      "/mcp",
      "/metrics",
      "/openapi.json",
      "/session",
      "/console.js",
      "/icon.svg",
      "/simulator/phones",
    ])
      for (const method of ["GET", "POST"]) routes.push({ path, method });
    for (const { path, method } of routes)
      expect(await whole(path, method), `${method} ${path}`).toBe(await whole("/that-never-was", method));
  });

  test("has no other way to write the paths it serves", async () => {
    const nothing = await whole("/that-never-was", "GET");
    for (const path of [
      "/HEALTHZ",
      "/healthz/",
      "/healthz.",
      "/healthz%00",
      "/healthz;a=b",
      "/api/v1/../../api/v1/channels",
      "/healthz/..%2f..%2fapi/v1/channels",
      "/media",
      "/media/",
      "/media/..%2f..%2fadmin-token",
      "/media/%2e%2e%2fadmin-token",
      "/media/....//admin-token",
      "/media/%00",
      "/media/%C0%AE%C0%AE/sms-agent.db",
      `/media/${"A".repeat(43)}`,
      `/media/${"A".repeat(42)}%2f`,
      "/webhooks/twilio/",
      "/webhooks/twilio/sms/status/",
      "/webhooks//twilio/sms",
    ])
      expect(await whole(path, "GET"), path).toBe(nothing);
  });

  test("tells nothing of what runs behind it: no name, no version, no reason why it is not ready", async () => {
    for (const path of ["/healthz", "/readyz", "/that-never-was"]) {
      const told = await whole(path, "GET");
      expect(told).not.toMatch(/sms-agent|bun|hono|0\.0\.0/i);
      expect(told).toContain("nosniff");
    }
  });
});
