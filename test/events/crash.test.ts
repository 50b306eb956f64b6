import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterTest } from "../support/cleanup.ts";
import { openConsumer, verify } from "../support/consumer.ts";
import { NUMBER, SMS, testConfig } from "../support/service.ts";

const MAIN = join(import.meta.dir, "..", "..", "src", "main.ts");
const SECRET = "a secret of the tests";
const TOKEN = "admin-token-of-the-tests";

/** The service as a process of its own. Resolves when it listens. */
async function serve(folder: string) {
  const child = Bun.spawn([process.execPath, MAIN, "serve"], {
    cwd: folder,
    stdout: "ignore",
    stderr: "pipe",
  });
  afterTest(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  const admin = await new Promise<string>((resolve, reject) => {
    const read = async () => {
      let log = "";
      const decoder = new TextDecoder();
      for await (const chunk of child.stderr) {
        log += decoder.decode(chunk, { stream: true });
        const found = /"event":"listening".*"admin":"([^"]+)"/.exec(log)?.[1];
        if (found !== undefined) resolve(found);
      }
      reject(new Error(`the service did not start: ${log}`));
    };
    read().catch(reject);
  });
  return { admin, kill: () => child.kill("SIGKILL"), exited: child.exited };
}

// biome-ignore lint/suspicious/noExplicitAny: the API's answers are asserted field by field
async function api(admin: string, method: string, path: string, body?: unknown): Promise<any> {
  const response = await fetch(`${admin}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(5_000),
  });
  return response.json();
}

test("every admitted text reaches the webhook, those of one phone in order, however often the service is killed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sms-agent-test-"));
  afterTest(() => rmSync(folder, { recursive: true, force: true }));
  const taker = openConsumer();
  afterTest(taker.close);
  // Some posts are refused, so that there is something to be tried again.
  taker.respond(() => (taker.posts.length % 12 === 0 ? 500 : 204));
  const config = testConfig({
    admin: { listen: "127.0.0.1:0", token: TOKEN },
    channels: { sms: { ...SMS, allow_all_senders: true } },
    webhooks: [{ url: taker.url, secret: SECRET, events: ["message.received"] }],
    log: { level: "info", format: "json" },
  });
  writeFileSync(join(folder, "sms.yaml"), JSON.stringify(config));

  for (let life = 0; life < 4; life++) {
    const service = await serve(folder);
    const posted = taker.posts.length;
    let texting = true;
    const phones = (async () => {
      for (let n = 0; texting && n < 60; n++)
        await api(service.admin, "POST", "/simulator/inbound", {
          from: `+1555200000${n % 5}`,
          channel: "sms",
          body: `life ${life} text ${n}`,
        });
    })().catch(() => {}); // The service is killed under it.
    await taker.until((posts) => posts.length >= posted + 5 + 4 * life, "some posts");
    service.kill();
    texting = false;
    await service.exited;
    await phones;
  }

  taker.respond(() => 204);
  const last = await serve(folder);
  const admitted: { readonly id: string; readonly from: string }[] = [];
  let cursor = "";
  for (let pages = 0; pages < 100; pages++) {
    const page = await api(last.admin, "GET", `/messages?direction=inbound&limit=200${cursor}`);
    admitted.unshift(...page.items.reverse());
    if (page.next_cursor === undefined) break;
    cursor = `&cursor=${page.next_cursor}`;
  }
  expect(admitted.length).toBeGreaterThan(40);
  const taken = () => taker.posts.map(({ body }) => String(body.data.id));
  await taker.until(() => new Set(taken()).size >= admitted.length, "all texts");
  // The first time each was posted, those of one phone came in the order they were admitted.
  const phoneOf = new Map(admitted.map(({ id, from }) => [id, from]));
  const byPhone = (ids: Iterable<string>) => Object.groupBy(ids, (id) => phoneOf.get(id) ?? "nobody");
  expect(byPhone(new Set(taken()))).toEqual(byPhone(admitted.map(({ id }) => id)));
  const idOf = new Map<string, string>();
  for (const post of taker.posts) {
    verify(post, SECRET);
    const id = post.headers.get("webhook-id") ?? "";
    const message = String(post.body.data.id);
    expect(idOf.get(message) ?? id).toBe(id);
    idOf.set(message, id);
    expect(post.body.data.to).toBe(NUMBER);
  }
}, 60_000);
