import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Service } from "../support/service.ts";
import { PHONE } from "../support/service.ts";
import { GENERATIONS, type McpClient } from "./mcp-clients.ts";
import { code, startWaitingService, waiting } from "./support.ts";

const TOOLS = ["wait_for_code", "await_signal", "send_message", "list_messages", "list_channels"];

let service: Service;

beforeAll(async () => {
  service = await startWaitingService();
});
afterAll(() => service.close());

for (const [name, connect] of Object.entries(GENERATIONS)) {
  describe(`${name} over HTTP`, () => {
    let client: McpClient;
    beforeAll(async () => {
      client = await connect(`${service.adminUrl}/mcp`, service.token);
    });
    afterAll(() => client.close());

    test("lists the tools", async () => {
      expect([...(await client.tools())].sort()).toEqual([...TOOLS].sort());
    });

    test("waits for a code, hears of progress meanwhile, and gets the code alone", async () => {
      const heard: number[] = [];
      const progress = Promise.withResolvers<void>();
      const call = client.call(
        "wait_for_code",
        { channel: "codes", from: "22*", timeout: "15s", backfill: 0 },
        {
          onprogress: ({ progress: at }) => {
            heard.push(at);
            progress.resolve();
          },
        },
      );
      await progress.promise;
      await waiting(service, 1);
      await code(service, "Hello, this is your bank.");
      await code(service, "Your verification code is 482913.");
      const answer = await call;
      expect(answer).toMatchObject({ failed: false, text: "482913" });
      expect(answer.structured).toMatchObject({
        status: "matched",
        code: "482913",
        signal: { from: "22000", channel: "codes", category: "verification_code", code: "482913" },
      });
      expect(heard[0]).toBe(0);
    });

    test("finds a code that came before the call", async () => {
      await code(service, "Use 771204 to sign in.", "22111");
      const answer = await client.call("wait_for_code", { from: "22111" });
      expect(answer.text).toBe("771204");
    });

    test("gets a time-out as an answer, not as an error", async () => {
      const answer = await client.call("wait_for_code", { from: "22999", timeout: "50ms" });
      expect(answer.failed).toBe(false);
      expect(answer.structured).toEqual({ status: "timeout" });
      expect(answer.text).toContain("Call again");
    });

    test("waits for any text with the fields of a watch", async () => {
      await code(service, "Your parcel is at locker 12.", "22333");
      const answer = await client.call("await_signal", { match: "(?i)LOCKER \\d+", from: ["22333"] });
      expect(answer.structured).toMatchObject({
        status: "matched",
        signal: { text: "Your parcel is at locker 12." },
      });
    });

    test("is told every wrong field in words", async () => {
      const answer = await client.call("await_signal", { channel: "coeds", match: "(a)\\1", timeout: "1h" });
      expect(answer.failed).toBe(true);
      expect(answer.text).toContain("channel: There is no channel coeds; write codes.");
      expect(answer.text).toContain("match: The pattern cannot be run. Backreferences");
      expect(answer.text).toContain("timeout: At most 300 s.");
    });

    test("is told of a field that does not exist", async () => {
      const answer = await client.call("wait_for_code", { sender: "22000" }).catch((error: unknown) => ({
        failed: true,
        text: String(error),
      }));
      expect(answer.failed).toBe(true);
      expect(answer.text).toContain("sender");
    });

    test("cancels its wait, so that the code is not claimed for nobody", async () => {
      const cancel = new AbortController();
      const call = client
        .call("wait_for_code", { from: "22444", timeout: "60s" }, { signal: cancel.signal })
        .catch((error: unknown) => error);
      await waiting(service, 1);
      cancel.abort();
      await call;
      await waiting(service, 0);
      await code(service, "Your code is 902461.", "22444");
      expect((await client.call("wait_for_code", { from: "22444" })).text).toBe("902461");
    });

    test("sends a text and sees it in the list", async () => {
      const sent = await client.call("send_message", {
        channel: "sms",
        to: PHONE,
        body: `hello from ${name}`,
      });
      expect(sent).toMatchObject({ failed: false });
      const listed = await client.call("list_messages", { channel: "sms", direction: "outbound", limit: 1 });
      expect(listed.structured?.items).toMatchObject([
        { id: sent.structured?.id, text: `hello from ${name}` },
      ]);
    });

    test("must say by which of several channels it sends", async () => {
      const sent = await client.call("send_message", { to: PHONE, body: "hello" });
      expect(sent).toMatchObject({ failed: true });
      expect(sent.text).toContain("channel: Write one of sms, codes.");
    });

    test("lists the channels", async () => {
      const { structured } = await client.call("list_channels", {});
      expect(structured?.items).toMatchObject([
        { id: "sms", mode: "message", agent: "parrot" },
        { id: "codes", mode: "signal", status: "connected" },
      ]);
    });
  });
}

describe("without a credential", () => {
  for (const [name, connect] of Object.entries(GENERATIONS)) {
    test(`${name} is refused`, async () => {
      for (const token of [undefined, "not-the-token"])
        await expect(connect(`${service.adminUrl}/mcp`, token)).rejects.toThrow();
    });
  }

  test("a request is refused with 401 before anything is read", async () => {
    const answer = await fetch(`${service.adminUrl}/mcp`, { method: "POST", body: "{}" });
    expect(answer.status).toBe(401);
    expect(answer.headers.get("www-authenticate")).toContain("Bearer");
  });
});

describe("the endpoint", () => {
  const post = (body: string, headers: Record<string, string> = {}) =>
    fetch(`${service.adminUrl}/mcp`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${service.token}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...headers,
      },
      body,
    });

  test("refuses a foreign Origin and a foreign Host", async () => {
    expect((await post("{}", { origin: "https://evil.example" })).status).toBe(403);
    expect((await post("{}", { host: "evil.example" })).status).toBe(403);
  });

  test("answers what is not JSON, and other methods, as the protocol says", async () => {
    const answer = await post("{");
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: { code: -32700 }, id: null });
    const get = await fetch(`${service.adminUrl}/mcp`, {
      headers: { authorization: `Bearer ${service.token}`, accept: "text/event-stream" },
    });
    expect(get.status).toBe(405);
  });

  test("serves a client whose session began before a restart of the service", async () => {
    const answer = await post('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', {
      "mcp-session-id": "from-another-life",
      "mcp-protocol-version": "2025-06-18",
    });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain("wait_for_code");
  });

  test("ends the wait of a client that hangs up without a word", async () => {
    const cut = new AbortController();
    const call = fetch(`${service.adminUrl}/mcp`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${service.token}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 7,
        method: "tools/call",
        params: { name: "wait_for_code", arguments: { from: "22555", timeout: "60s" } },
      }),
      signal: cut.signal,
    }).then((response) => response.text());
    await waiting(service, 1);
    cut.abort();
    await call.catch(() => {});
    await waiting(service, 0);
  });
});
