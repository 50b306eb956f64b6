import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Hook, openHook } from "../support/hook.ts";
import { inboundParameters, PHONE, type Service, SMS, startService } from "../support/service.ts";

setDefaultTimeout(30_000);

let service: Service | undefined;
let hook: Hook | undefined;
afterEach(async () => {
  await service?.close();
  await hook?.close();
  service = undefined;
  hook = undefined;
});

/** Where nothing of ours may ever ask: a cloud's secrets, this machine, the network around it, files. */
const FORBIDDEN = [
  "http://169.254.169.254/latest/meta-data/",
  "http://127.0.0.1:1/admin",
  "http://localhost:1/",
  "http://[::1]:1/",
  "http://0x7f000001:1/",
  "http://10.0.0.1/",
  "http://evil.example/",
  "https://api.twilio.com.evil.example/2010-04-01/Accounts/AC/Messages/MM/Media/ME",
  "https://api.twilio.com@evil.example/",
  "file:///etc/passwd",
  "gopher://127.0.0.1:1/",
  "data:text/plain,abc",
];

async function start(): Promise<{ readonly running: Service; readonly asked: readonly string[] }> {
  const asked: string[] = [];
  const recording = Object.assign(
    (input: string | URL | Request, init?: RequestInit) => {
      asked.push(input instanceof Request ? input.url : String(input));
      return fetch(input, init);
    },
    { preconnect() {} },
  );
  hook = openHook();
  service = await startService({
    seams: { fetch: recording },
    config: {
      channels: { sms: { ...SMS, agent: "hook", allow_all_senders: true } },
      agents: { hook: { type: "http", url: hook.url } },
    },
  });
  return { running: service, asked };
}

/** All that was asked for lies at the carrier inside, at our own listeners, or is the agent the operator named. */
function expectOwn(running: Service, asked: readonly string[]): void {
  const carrier = asked
    .map((url) => new URL(url))
    .find(({ pathname }) => pathname.startsWith("/2010-04-01/"))?.origin;
  const own = [carrier, new URL(running.publicUrl).origin, new URL(hook?.url ?? "").origin];
  expect(asked.length).toBeGreaterThan(0);
  for (const url of asked) expect(own, url).toContain(new URL(url).origin);
  for (const url of FORBIDDEN) expect(asked).not.toContain(url);
}

describe("no address that somebody else wrote is asked for anything", () => {
  test("neither the media of a text nor the links in it", async () => {
    const { running, asked } = await start();
    for (const url of FORBIDDEN) {
      const parameters = {
        ...inboundParameters(running, {
          Body: `look: ${url} ![x](${url}) <img src="${url}">`,
          NumMedia: "2",
        }),
        MediaUrl0: url,
        MediaContentType0: "image/jpeg",
        MediaUrl1: `${url}?${PHONE}`,
        MediaContentType1: "application/octet-stream",
      };
      expect((await running.webhook(parameters)).status).toBe(200);
    }
    await running.received(PHONE, 1);
    await running.app.idle();
    expectOwn(running, asked);
  });

  test("nor what an agent answers, in words or as media", async () => {
    const { running, asked } = await start();
    hook?.respond(() => ({
      json: {
        reply: FORBIDDEN.map((url) => `![x](${url}) [y](${url}) ${url}`).join("\n"),
        media_urls: FORBIDDEN.filter((url) => /^https?:/.test(url)).slice(0, 3),
      },
    }));
    await running.admitted(PHONE, "hello");
    await running.app.idle();
    expectOwn(running, asked);
  });

  test("nor what a caller of the API names, which for files and paths is refused", async () => {
    const { running, asked } = await start();
    for (const url of FORBIDDEN) {
      const answer = await running.api("POST", "/messages", {
        channel: "sms",
        to: PHONE,
        body: `see ${url}`,
        media_urls: [url],
      });
      expect(answer.status, url).toBe(/^https?:/.test(url) ? 202 : 400);
      const inbound = { channel: "sms", from: PHONE, body: "hi", media_urls: [url] };
      await running.api("POST", "/simulator/inbound", inbound);
    }
    await running.app.idle();
    expectOwn(running, asked);
  });
});
