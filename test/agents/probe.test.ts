import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { probeAgent } from "../../src/agents/probe.ts";
import type { AgentSettings, LlmAgent } from "../../src/settings.ts";
import { systemClock } from "../support/clock.ts";

setDefaultTimeout(20_000);

const seams = {
  fetch,
  clock: systemClock,
  log: { debug() {}, info() {}, warn() {}, error() {} },
  env: { PATH: "/usr/bin:/bin" },
};

let server: Bun.Server<undefined> | undefined;
afterEach(() => server?.stop(true));

function serve(answer: (request: Request) => Response): string {
  server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: answer });
  return `http://127.0.0.1:${server.port}`;
}

function probe(settings: AgentSettings) {
  return probeAgent(settings, seams, new AbortController().signal);
}

const CLOSED = "http://127.0.0.1:1";

function llm(changes: Partial<LlmAgent>): LlmAgent {
  return {
    id: "a",
    type: "llm",
    provider: "openai-compatible",
    model: "small",
    system: "",
    timeout: 1_000,
    maxSteps: 1,
    history: 1,
    tools: [],
    confirm: [],
    mcpServers: {},
    ...changes,
  };
}

describe("a model", () => {
  const list = (...ids: readonly string[]) => Response.json({ data: ids.map((id) => ({ id })) });

  test.each([
    [() => list("small", "large"), "ok", "has small"],
    [() => list("small:latest"), "ok", "has small"],
    [() => list("large"), "warn", "it lists large"],
    [() => new Response("", { status: 401 }), "fail", "does not accept the key"],
    [() => new Response("<html>", { status: 404 }), "warn", "does not list its models (404)"],
    [() => Response.json({ hello: "there" }), "warn", "does not list its models (200)"],
  ] as const)("%#: is judged by the list of models alone", async (answer, status, words) => {
    const asked: string[] = [];
    const url = serve((request) => {
      asked.push(`${request.method} ${new URL(request.url).pathname}`);
      return answer();
    });
    const [finding] = await probe(llm({ baseUrl: `${url}/v1` }));
    expect(finding?.status).toBe(status);
    expect(finding?.detail).toContain(words);
    expect(asked).toEqual(["GET /v1/models"]);
  });

  test("the key goes as its provider wants it", async () => {
    const seen: (string | null)[] = [];
    const url = serve((request) => {
      seen.push(request.headers.get("authorization"), request.headers.get("x-api-key"));
      return list("small");
    });
    await probe(llm({ baseUrl: url, apiKey: "k" }));
    await probe(llm({ baseUrl: url, apiKey: "k", provider: "anthropic" }));
    expect(seen).toEqual(["Bearer k", null, null, "k"]);
  });

  test("that cannot be reached fails, and so does each tool server that is down", async () => {
    const findings = await probe(
      llm({
        baseUrl: CLOSED,
        mcpServers: {
          home: { url: `${CLOSED}/mcp`, headers: {} },
          files: { command: ["no-such-program"], env: {}, cwd: "/" },
        },
      }),
    );
    expect(findings.map(({ name, status }) => [name, status])).toEqual([
      ["agent a", "fail"],
      ["agent a: MCP server home", "fail"],
      ["agent a: MCP server files", "fail"],
    ]);
    for (const { fix } of findings) expect(fix).toContain("agents.a");
  });
});

test("an http agent is well when it answers anything, and is not made to run a turn", async () => {
  const methods: string[] = [];
  const url = serve((request) => {
    methods.push(request.method);
    return new Response("", { status: 405 });
  });
  const agent = { id: "h", type: "http", headers: {}, timeout: 1_000 } as const;
  expect(await probe({ ...agent, url })).toMatchObject([{ status: "ok" }]);
  expect(methods).toEqual(["HEAD"]);
  expect(await probe({ ...agent, url: CLOSED })).toMatchObject([{ status: "fail" }]);
});

test("a command must be a program that can be run, and is not run", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sms-agent-probe-"));
  try {
    const marker = join(folder, "ran");
    writeFileSync(join(folder, "reply.sh"), `#!/bin/sh\ntouch ${marker}\n`);
    const agent = { id: "c", type: "command", env: {}, cwd: folder, timeout: 1_000 } as const;
    expect(await probe({ ...agent, command: ["./reply.sh"] })).toMatchObject([{ status: "fail" }]);
    chmodSync(join(folder, "reply.sh"), 0o755);
    expect(await probe({ ...agent, command: ["./reply.sh"] })).toMatchObject([{ status: "ok" }]);
    expect(await probe({ ...agent, command: ["sh", "-c", "true"] })).toMatchObject([{ status: "ok" }]);
    expect(await probe({ ...agent, command: ["no-such-program"] })).toMatchObject([{ status: "fail" }]);
    expect(await Bun.file(marker).exists()).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
