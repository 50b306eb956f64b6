import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Service } from "../support/service.ts";
import { GENERATIONS } from "./mcp-clients.ts";
import { code, startWaitingService, waiting } from "./support.ts";

/** Longer than the 10 s after which a listener closes idle connections unless it is told otherwise. */
const LONG = 11_000;

let service: Service;
beforeAll(async () => {
  service = await startWaitingService();
});
afterAll(() => service.close());

test("calls that wait longer than connections idle elsewhere are answered, MCP clients with progress", async () => {
  const generations = Object.entries(GENERATIONS);
  const rest = service.api("POST", "/signals/await", { from: "30000", timeout: "30s" });
  const clients = await Promise.all(
    generations.map(([, connect]) => connect(`${service.adminUrl}/mcp`, service.token)),
  );
  const progress = clients.map((): number[] => []);
  const calls = clients.map((client, i) =>
    client.call(
      "wait_for_code",
      { from: `3000${i + 1}`, timeout: "30s" },
      { onprogress: ({ progress: at }) => void progress[i]?.push(at) },
    ),
  );
  await waiting(service, calls.length + 1);
  await new Promise((resolve) => setTimeout(resolve, LONG));
  await Promise.all([0, ...calls.keys()].map((_, i) => code(service, `Your code is 44556${i}`, `3000${i}`)));
  expect((await rest).body.signal.code).toBe("445560");
  expect((await Promise.all(calls)).map((answer) => answer.text)).toEqual(
    calls.map((_, i) => `44556${i + 1}`),
  );
  for (const heard of progress) expect(heard).toEqual([0, 5, 10]);
  await Promise.all(clients.map((client) => client.close()));
}, 40_000);
