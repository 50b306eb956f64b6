import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { GENERATIONS } from "../signals-api/mcp-clients.ts";
import { PHONE, type Service, startService } from "../support/service.ts";
import { as, code, makeToken, TWO_CHANNELS } from "./support.ts";

let service: Service;
beforeAll(async () => {
  service = await startService({ config: TWO_CHANNELS });
});
afterAll(() => service.close());

async function call(token: string, tool: string, args: Record<string, unknown> = {}) {
  const [connect] = Object.values(GENERATIONS);
  if (connect === undefined) throw new Error("no client");
  const client = await connect(`${service.adminUrl}/mcp`, token);
  try {
    return await client.call(tool, args);
  } finally {
    await client.close();
  }
}

describe("an MCP tool", () => {
  test("takes the scope of its route, and no more is seen through it", async () => {
    const { token: reader } = await makeToken(service, { scopes: ["read"] });
    await code(service, "Your Example code is 482913");
    const pairing = (await service.api("GET", "/channels/sms")).body.pairing.code;
    const channels = await call(reader, "list_channels");
    expect(channels.failed).toBe(false);
    expect(channels.text).not.toContain(pairing);
    const messages = await call(reader, "list_messages");
    expect(messages.text).toContain("***");
    expect(messages.text).not.toContain("482913");
    expect((await call(reader, "wait_for_code", { timeout: 0 })).text).toContain("signals:await");
    expect((await call(reader, "send_message", { channel: "sms", to: PHONE, body: "x" })).text).toContain(
      "messages:send",
    );
  });

  test("lists the messages of a token that is limited to several channels as the route does", async () => {
    const channels = ["sms", "codes"];
    const { token } = await makeToken(service, { scopes: ["read"], channels });
    await code(service, "Your Example code is 775533");
    await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "hello" });
    const idsOf = (items: unknown): unknown[] =>
      Array.isArray(items) ? items.map((item: { id?: unknown }) => item.id) : [];
    const route = await as(service, token)("GET", "/messages?limit=20");
    const tool = await call(token, "list_messages");
    expect(tool.failed).toBe(false);
    expect(idsOf(tool.structured?.items)).toEqual(idsOf(route.body.items));
    expect(new Set(route.body.items.map(({ channel }: { channel: string }) => channel))).toEqual(
      new Set(channels),
    );
  });

  test("shares its Idempotency-Keys with the API's routes for the same token, and with no other", async () => {
    const { token: one } = await makeToken(service, { scopes: ["messages:send"] });
    const { token: two } = await makeToken(service, { scopes: ["messages:send"] });
    const send = { channel: "sms", to: PHONE, body: "hello" };
    const sent = await as(service, one)("POST", "/messages", send, { "idempotency-key": "same" });
    const again = await call(one, "send_message", { ...send, idempotency_key: "same" });
    expect(again.text).toContain(sent.body.id);
    const other = await call(two, "send_message", { ...send, idempotency_key: "same" });
    expect(other.failed).toBe(false);
    expect(other.text).not.toContain(sent.body.id);
  });

  test("is not there for a revoked token", async () => {
    const { id, token } = await makeToken(service, { scopes: ["read"] });
    await service.api("DELETE", `/tokens/${id}`);
    await expect(call(token, "list_channels")).rejects.toThrow();
  });
});
