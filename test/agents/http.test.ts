import { afterEach, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { createAgent } from "../../src/agents/create.ts";
import type { AgentSeams } from "../../src/agents/seams.ts";
import { AppError } from "../../src/errors.ts";
import type { HttpAgent } from "../../src/settings.ts";
import { manualClock, systemClock } from "../support/clock.ts";
import { failureOf, never, seams, turn } from "./support.ts";

interface Received {
  readonly headers: Headers;
  readonly body: string;
}

const servers: Bun.Server<undefined>[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop(true)));
});

/** An endpoint that gives these answers, one per request, and keeps what it received. */
function endpoint(...answers: readonly (() => Response | Promise<Response>)[]) {
  const received: Received[] = [];
  const first = Promise.withResolvers<void>();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      received.push({ headers: request.headers, body: await request.text() });
      first.resolve();
      return answers[received.length - 1]?.() ?? new Response("the script is over", { status: 400 });
    },
  });
  servers.push(server);
  return { url: `http://127.0.0.1:${server.port}/sms`, received, first: first.promise };
}

function agent(url: string, over: Partial<HttpAgent> = {}, own: AgentSeams = seams()) {
  return createAgent({ id: "hook", type: "http", url, headers: {}, timeout: 10_000, ...over }, own);
}

const reply = (body: unknown) => () => Response.json(body);

/** The system's time with delays that take none, so that repetitions come at once; the deadline stays real. */
function hastyClock(delays: number[]): AgentSeams["clock"] {
  return {
    now: systemClock.now,
    after(delay, run) {
      if (delay < 10_000) delays.push(delay);
      return systemClock.after(delay < 10_000 ? 0 : delay, run);
    },
  };
}

describe("the request", () => {
  test("is the turn as JSON", async () => {
    const { url, received } = endpoint(reply({ reply: "Noon." }));
    const media = [{ url: "https://example.com/a.jpg", contentType: "image/jpeg" }];
    const request = turn({
      text: "And now? 👋",
      label: "Ann",
      media,
      messages: [
        { role: "user", text: "Hello", media: [] },
        { role: "assistant", text: "Hi", media: [] },
        { role: "user", text: "And now? 👋", media },
      ],
    });
    expect(await agent(url).run(request, never)).toEqual({ text: "Noon." });
    expect(JSON.parse(received[0]?.body ?? "")).toEqual({
      turn_id: "turn_1",
      channel: "sms",
      agent: "assistant",
      conversation_id: "conv_1",
      from: "+15551234567",
      label: "Ann",
      timezone: "Europe/Berlin",
      text: "And now? 👋",
      media: [{ url: "https://example.com/a.jpg", content_type: "image/jpeg" }],
      messages: [
        { role: "user", text: "Hello", media: [] },
        { role: "assistant", text: "Hi", media: [] },
        {
          role: "user",
          text: "And now? 👋",
          media: [{ url: "https://example.com/a.jpg", content_type: "image/jpeg" }],
        },
      ],
    });
    expect(received[0]?.headers.get("content-type")).toBe("application/json");
  });

  test("is signed so that the Standard Webhooks library accepts it, and refuses it when it was changed", async () => {
    const secret = `whsec_${Buffer.from("a key of thirty-two bytes exactly").toString("base64")}`;
    const { url, received } = endpoint(reply({ reply: "ok" }));
    await agent(url, { secret }).run(turn(), never);
    const { headers, body } = received[0] ?? { headers: new Headers(), body: "" };
    expect(headers.get("webhook-id")).toBe("turn_1");
    const verifier = new Webhook(secret);
    expect(verifier.verify(body, Object.fromEntries(headers))).toEqual(JSON.parse(body));
    expect(() => verifier.verify(body.replace("late", "soon"), Object.fromEntries(headers))).toThrow();
  });

  test("takes a secret without whsec_ as the key itself", async () => {
    const { url, received } = endpoint(reply({ reply: "ok" }));
    await agent(url, { secret: "geheim-ü" }).run(turn(), never);
    const verifier = new Webhook(new TextEncoder().encode("geheim-ü"), { format: "raw" });
    const { headers, body } = received[0] ?? { headers: new Headers(), body: "" };
    expect(verifier.verify(body, Object.fromEntries(headers))).toEqual(JSON.parse(body));
  });

  test("is accepted by those who read a secret as base64 and by those who take it as it is", async () => {
    for (const secret of ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "c2VjcmV0", "password", "abcdef"]) {
      const { url, received } = endpoint(reply({ reply: "ok" }));
      await agent(url, { secret }).run(turn(), never);
      const { headers, body } = received[0] ?? { headers: new Headers(), body: "" };
      const raw = new Webhook(new TextEncoder().encode(secret), { format: "raw" });
      for (const verifier of [new Webhook(secret), new Webhook(`whsec_${secret}`), raw])
        expect(verifier.verify(body, Object.fromEntries(headers))).toEqual(JSON.parse(body));
      const at = new Date(Number(headers.get("webhook-timestamp")) * 1_000);
      const signatures = [new Webhook(secret), raw].map((webhook) => webhook.sign("turn_1", at, body));
      expect(headers.get("webhook-signature")).toBe(signatures.join(" "));
    }
  });

  test("without a secret still carries id and time, and no signature", async () => {
    const { url, received } = endpoint(reply({ reply: "ok" }));
    await agent(url).run(turn(), never);
    const headers = received[0]?.headers;
    expect(headers?.get("webhook-id")).toBe("turn_1");
    expect(Math.abs(Number(headers?.get("webhook-timestamp")) - Date.now() / 1_000)).toBeLessThan(5);
    expect(headers?.has("webhook-signature")).toBe(false);
  });

  test("carries the configured headers, which cannot replace ours", async () => {
    const { url, received } = endpoint(reply({ reply: "ok" }));
    const headers = { Authorization: "Bearer abc", "Webhook-Id": "forged", "Content-Type": "text/plain" };
    await agent(url, { headers }).run(turn(), never);
    expect(received[0]?.headers.get("authorization")).toBe("Bearer abc");
    expect(received[0]?.headers.get("webhook-id")).toBe("turn_1");
    expect(received[0]?.headers.get("content-type")).toBe("application/json");
  });
});

describe("the answer", () => {
  const answers: readonly (readonly [string, () => Response, object])[] = [
    ["204", () => new Response(null, { status: 204 }), {}],
    ["an empty body", () => new Response(""), {}],
    ["202 without a body", () => new Response(null, { status: 202 }), {}],
    ["a null reply", reply({ reply: null }), {}],
    ["a blank reply", reply({ reply: " \n" }), {}],
    ["a reply", reply({ reply: "Hi *there*", note: 1 }), { text: "Hi *there*" }],
    [
      "media alone",
      reply({ reply: null, media_urls: ["https://example.com/a.jpg"] }),
      { mediaUrls: ["https://example.com/a.jpg"] },
    ],
    ["no media", reply({ reply: "x", media_urls: [] }), { text: "x" }],
  ];
  for (const [name, answer, expected] of answers) {
    test(`${name} is understood`, async () => {
      const { url } = endpoint(answer);
      expect(await agent(url).run(turn(), never)).toEqual(expected);
    });
  }

  const nonsense: readonly (readonly [string, () => Response, RegExp])[] = [
    [
      "HTML",
      () => new Response("<p>hi</p>", { headers: { "content-type": "text/html" } }),
      /200 with 9 bytes \(text\/html\) that are not JSON/,
    ],
    ["a bare string", reply("private words"), /not a reply: its JSON: .*object/],
    ["a number for a reply", reply({ reply: 42 }), /not a reply: reply: .*string/],
    ["another key", reply({ message: "private words" }), /neither "reply" nor "media_urls"/],
    [
      "a file URL",
      reply({ media_urls: ["file:///etc/passwd"] }),
      /media_urls\.0: is not an http or https URL/,
    ],
    [
      "eleven pictures",
      reply({ media_urls: Array(11).fill("https://example.com/a") }),
      /media_urls: has more than 10/,
    ],
    ["bytes that are not UTF-8", () => new Response(new Uint8Array([0x22, 0xff, 0x22])), /not UTF-8/],
  ];
  for (const [name, answer, expected] of nonsense) {
    test(`${name} is a failure that says what came instead, and quotes nothing`, async () => {
      const { url, received } = endpoint(answer);
      const failure = await failureOf(agent(url).run(turn(), never));
      expect(failure.kind).toBe("output");
      expect(failure.message).toMatch(expected);
      expect(failure.message).toStartWith(url);
      expect(failure.message).not.toContain("private words");
      expect(failure.fix).toContain('{"reply": "…"');
      expect(received).toHaveLength(1);
    });
  }

  test("of more than 1 MiB is refused without being read to its end", async () => {
    let sent = 0;
    const { url } = endpoint(() => {
      const stream = new ReadableStream({
        pull(controller) {
          sent += 65_536;
          if (sent > 64 * 1024 * 1024) controller.close();
          else controller.enqueue(new Uint8Array(65_536).fill(32));
        },
      });
      return new Response(stream);
    });
    const failure = await failureOf(agent(url).run(turn(), never));
    expect(failure.kind).toBe("output");
    expect(failure.message).toContain("larger than 1024 KiB");
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });

  test("that redirects is not followed", async () => {
    const { url, received } = endpoint(
      () => Response.redirect("/elsewhere", 307),
      reply({ reply: "followed" }),
    );
    const failure = await failureOf(agent(url).run(turn(), never));
    expect(failure.kind).toBe("provider");
    expect(failure.message).toContain("307, a redirect");
    expect(received).toHaveLength(1);
  });
});

describe("failures", () => {
  test("429 and 5xx are tried again with the same id, waiting as long as Retry-After asks", async () => {
    const delays: number[] = [];
    const own = seams({ clock: hastyClock(delays) });
    const { url, received } = endpoint(
      () => new Response("", { status: 429, headers: { "retry-after": "3" } }),
      () => new Response("", { status: 503 }),
      reply({ reply: "at last" }),
    );
    expect(await agent(url, {}, own).run(turn(), never)).toEqual({ text: "at last" });
    expect(received.map(({ headers }) => headers.get("webhook-id"))).toEqual(["turn_1", "turn_1", "turn_1"]);
    expect(delays).toEqual([3_000, 1_000]);
    expect(own.lines.map(({ event, fields }) => `${event} ${fields.reason}`)).toEqual([
      "agent.retry 429",
      "agent.retry 503",
    ]);
  });

  test("five failing answers are enough, and the last one's message is told without the text and the number", async () => {
    const { url, received } = endpoint(
      ...Array(9).fill(() =>
        Response.json(
          { detail: "cannot answer 'How late is it?' of +15551234567 (key tok_12345678)" },
          { status: 500 },
        ),
      ),
    );
    const own = seams({ clock: hastyClock([]) });
    const run = agent(url, { headers: { Authorization: "Bearer tok_12345678" } }, own).run(turn(), never);
    const failure = await failureOf(run);
    expect(failure.kind).toBe("provider");
    expect(failure.message).toBe(
      `${url} answered 500, after 5 tries: cannot answer '[text]' of +1555***4567 (key [secret])`,
    );
    expect(received).toHaveLength(5);
  });

  test("the signing secret is not told, and no timer is left behind by an answer", async () => {
    const { url } = endpoint(
      () => new Response("signature of geheim123 differs", { status: 403 }),
      reply({ reply: "ok" }),
    );
    const clock = manualClock();
    const hook = agent(url, { secret: "geheim123" }, seams({ clock }));
    const failure = await failureOf(hook.run(turn(), never));
    expect(failure.message).toBe(`${url} answered 403: signature of [secret] differs`);
    expect(await hook.run(turn(), never)).toEqual({ text: "ok" });
    expect(clock.pending).toBe(0);
  });

  test("4xx is final", async () => {
    const { url, received } = endpoint(() => new Response("<h1>Not here</h1>", { status: 404 }));
    const failure = await failureOf(agent(url).run(turn(), never));
    expect(failure.message).toBe(`${url} answered 404: Not here`);
    expect(received).toHaveLength(1);
  });

  test("an endpoint that is not there is tried again, then told as such", async () => {
    const { url } = endpoint();
    await Promise.all(servers.splice(0).map((server) => server.stop(true)));
    const own = seams({ clock: hastyClock([]) });
    const failure = await failureOf(agent(`${url}?token=hidden`, {}, own).run(turn(), never));
    expect(failure.kind).toBe("provider");
    expect(failure.message).toBe(`${url} could not be reached: the connection was refused, after 5 tries`);
  });

  test("a repetition that the time-out would cut off is not waited for", async () => {
    const { url, received } = endpoint(
      () => new Response("busy", { status: 503, headers: { "retry-after": "60" } }),
    );
    const failure = await failureOf(agent(url).run(turn(), never));
    expect(failure.message).toBe(`${url} answered 503: busy`);
    expect(received).toHaveLength(1);
  });

  test("an endpoint that never answers is given up at the time-out", async () => {
    const { url, first } = endpoint(() => new Promise<Response>(() => {}));
    const clock = manualClock();
    const run = failureOf(agent(url, { timeout: 30_000 }, seams({ clock })).run(turn(), never));
    await first;
    await clock.advance(30_000);
    const failure = await run;
    expect(failure.kind).toBe("timeout");
    expect(failure.message).toBe(`${url} did not answer within 30s`);
    expect(clock.pending).toBe(0);
  });

  test("a body that stops half-way is given up at the time-out as well", async () => {
    const { url, first } = endpoint(
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new TextEncoder().encode('{"reply":'));
              await new Promise(() => {});
            },
          }),
        ),
    );
    const clock = manualClock();
    const run = failureOf(agent(url, {}, seams({ clock })).run(turn(), never));
    await first;
    await clock.advance(10_000);
    expect((await run).kind).toBe("timeout");
  });

  test("a cancelled turn ends at once, and no request is made for one cancelled before", async () => {
    const { url, first, received } = endpoint(() => new Promise<Response>(() => {}));
    const abort = new AbortController();
    const run = failureOf(agent(url).run(turn(), abort.signal));
    await first;
    abort.abort(new Error("the service is stopping"));
    const failure = await run;
    expect(failure.kind).toBe("cancelled");
    expect(failure.cause).toEqual(new Error("the service is stopping"));
    expect((await failureOf(agent(url).run(turn(), abort.signal))).kind).toBe("cancelled");
    expect(received).toHaveLength(1);
  });
});

test("settings that cannot work are refused at creation, with their key", () => {
  const cases: readonly (readonly [Partial<HttpAgent>, string])[] = [
    [{ url: "file:///etc/passwd" }, "agents.hook.url"],
    [{ url: "127.0.0.1:9000" }, "agents.hook.url"],
    [{ secret: "whsec_%%%" }, "agents.hook.secret"],
    [{ secret: "whsec_" }, "agents.hook.secret"],
    [{ headers: { "X Y": "1" } }, "agents.hook.headers.X Y"],
    [{ headers: { "X-Y": "1\r\nHost: other" } }, "agents.hook.headers.X-Y"],
  ];
  for (const [over, path] of cases) {
    const create = () => agent("http://127.0.0.1:9000/sms", over);
    expect(create).toThrow(AppError);
    try {
      create();
    } catch (error) {
      expect(error instanceof AppError ? error.problems.map((problem) => problem.path) : []).toEqual([path]);
    }
  }
});
