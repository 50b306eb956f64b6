import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createMcp } from "../../src/mcp/server.ts";
import type { Caller } from "../../src/token.ts";
import { quiet } from "../store/support.ts";
import { systemClock } from "../support/clock.ts";
import { PHONE, type Service } from "../support/service.ts";
import { GENERATIONS, type ToolAnswer } from "./mcp-clients.ts";
import { openStack, type Stack } from "./stack.ts";
import { code, startWaitingService } from "./support.ts";

const CALLERS: Readonly<Record<string, Caller>> = {
  reader: { id: "tok_1", scopes: ["read"] },
  waiter: { id: "tok_2", scopes: ["signals:await"] },
  sender: { id: "tok_3", scopes: ["messages:send"], channels: ["sms"] },
  "waiter of codes": { id: "tok_4", scopes: ["signals:await"], channels: ["codes"] },
  "reader of codes": { id: "tok_5", scopes: ["read"], channels: ["codes"] },
};

let service: Service;
let stack: Stack;
let mcp: ReturnType<typeof createMcp>;
let server: ReturnType<typeof Bun.serve>;

/** The MCP server alone, before it a listener that knows these tokens. */
beforeAll(async () => {
  service = await startWaitingService();
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    fetch(request) {
      const token = request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
      const caller = CALLERS[token.replaceAll("+", " ")];
      return caller === undefined ? new Response(null, { status: 401 }) : mcp.fetch(request, caller);
    },
  });
});
beforeEach(() => {
  stack = openStack();
  mcp = createMcp({
    operator: service.app.operator,
    waiting: stack.waiting,
    newName: () => crypto.randomUUID(),
    version: "0.0.0",
    clock: systemClock,
    log: quiet,
  });
});
afterAll(async () => {
  await server.stop(true);
  await service.close();
});

for (const [name, connect] of Object.entries(GENERATIONS)) {
  describe(`by ${name}`, () => {
    async function call(who: string, tool: string, args: Record<string, unknown>): Promise<ToolAnswer> {
      const client = await connect(`http://127.0.0.1:${server.port}/mcp`, who.replaceAll(" ", "+"));
      try {
        expect(await client.tools()).toContain(tool);
        return await client.call(tool, args);
      } finally {
        await client.close();
      }
    }

    test("a token of scope signals:await gets a code", async () => {
      const signal = await stack.arrive("Your code is 482913");
      const answer = await call("waiter", "wait_for_code", { timeout: "10s" });
      expect(answer).toMatchObject({
        failed: false,
        text: "482913",
        structured: { signal: { id: signal.id } },
      });
    });

    test("a token without it is refused, and told which scope it takes", async () => {
      for (const tool of ["wait_for_code", "await_signal"]) {
        for (const who of ["reader", "sender"]) {
          const answer = await call(who, tool, {});
          expect(answer.failed).toBe(true);
          expect(answer.text).toContain("does not have the scope signals:await");
        }
      }
    });

    test("sending and listing take their own scopes", async () => {
      const send = { channel: "sms", to: PHONE, body: "hello" };
      expect((await call("waiter", "send_message", send)).text).toContain("messages:send");
      expect((await call("sender", "send_message", send)).failed).toBe(false);
      expect((await call("sender", "send_message", { ...send, channel: undefined })).failed).toBe(false);
      expect((await call("sender", "send_message", { ...send, channel: "codes" })).text).toContain(
        "not for the channel codes",
      );
      for (const tool of ["list_messages", "list_channels"]) {
        expect((await call("sender", tool, {})).text).toContain("does not have the scope read");
        expect((await call("reader", tool, {})).failed).toBe(false);
      }
    });

    test("a token that is limited to a channel sees no other", async () => {
      const { structured } = await call("reader of codes", "list_channels", {});
      expect(structured?.items).toMatchObject([{ id: "codes" }]);
      expect((await call("reader of codes", "list_messages", { channel: "sms" })).failed).toBe(true);
      expect((await call("waiter of codes", "await_signal", { channel: "sms" })).text).toContain(
        "There is no channel sms; write codes.",
      );
    });

    test("a token that only reads sees no code", async () => {
      await code(service, `Your code for ${name} is 515253`);
      const listed = await call("reader", "list_messages", { channel: "codes", limit: 1 });
      expect(listed.structured?.items).toMatchObject([{ channel: "codes", text: "***" }]);
      expect(listed.text).not.toContain("515253");
    });
  });
}
