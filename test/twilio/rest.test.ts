import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import * as z from "zod";
import type { RestResult } from "../../src/twilio/answer.ts";
import { createRestClient, type Fetch } from "../../src/twilio/rest.ts";
import { manualClock, systemClock } from "../support/clock.ts";
import {
  ACCOUNT_SID,
  AUTH_TOKEN,
  account,
  NEVER,
  NUMBER,
  recordingLog,
  refusal,
  scripted,
} from "./support.ts";

const shape = z.object({ sid: z.string() });
const FORM = [
  ["To", "+15557654321"],
  ["Body", "a+b & \u{1F600}"],
  ["MediaUrl", "https://a.example/1"],
  ["MediaUrl", "https://a.example/2"],
] as const;

function client(url: string, changes = {}, seams: Partial<Parameters<typeof createRestClient>[0]> = {}) {
  return createRestClient({
    account: account(url, changes),
    fetch: (input, init) => fetch(input, init),
    clock: systemClock,
    log: recordingLog(),
    ...seams,
  });
}

/** Posts once to a raw TCP server that treats the connection as told. */
async function postTo(handle: (socket: Socket) => void): Promise<RestResult<{ sid: string }>> {
  using server = await tcp(createServer(handle));
  return await client(server.url).post(`${server.url}/x`, FORM, shape, NEVER, { ownConnection: true });
}

async function tcp(server: Server, scheme = "http"): Promise<Disposable & { readonly url: string }> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {});
    sockets.add(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `${scheme}://127.0.0.1:${address.port}`,
    [Symbol.dispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

describe("a request", () => {
  test("is form-encoded, with repeated names, and carries the account's token", async () => {
    using server = scripted(() => Response.json({ sid: "SM1" }, { status: 201 }));
    const answer = await client(server.url).post(`${server.url}/x`, FORM, shape, NEVER);
    expect(answer).toMatchObject({ kind: "ok", value: { sid: "SM1" } });
    const [sent] = server.requests;
    expect([...(sent?.form ?? [])]).toEqual(FORM.map(([name, value]) => [name, value]));
    expect(sent?.headers.get("content-type")).toBe("application/x-www-form-urlencoded");
    expect(sent?.headers.get("authorization")).toBe(`Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}`);
  });

  test("carries the API key instead of the token when both halves are given", async () => {
    using server = scripted(() => Response.json({ sid: "x" }));
    await client(server.url, { apiKeySid: "SK1", apiKeySecret: "hush" }).get(`${server.url}/x`, shape, NEVER);
    await client(server.url, { apiKeySid: "SK1" }).get(`${server.url}/x`, shape, NEVER);
    expect(server.requests.map((request) => request.headers.get("authorization"))).toEqual([
      `Basic ${btoa("SK1:hush")}`,
      `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}`,
    ]);
  });

  test("is logged without query, body or credentials", async () => {
    using server = scripted(() => Response.json({ sid: "x" }));
    const log = recordingLog();
    await client(server.url, {}, { log }).get(`${server.url}/x?To=%2B15557654321`, shape, NEVER);
    expect(log.lines).toHaveLength(1);
    expect(log.lines[0]?.fields).toMatchObject({ method: "GET", path: "/x", status: 200, outcome: "ok" });
    expect(JSON.stringify(log.lines)).not.toContain("5557654321");
    expect(JSON.stringify(log.lines)).not.toContain(AUTH_TOKEN);
  });

  test("does not follow a redirect, which would take the credentials to another host", async () => {
    using elsewhere = scripted(() => Response.json({ sid: "stolen" }));
    using server = scripted(() => Response.redirect(`${elsewhere.url}/x`, 307));
    const answer = await client(server.url).post(`${server.url}/x`, FORM, shape, NEVER);
    expect(answer).toMatchObject({ kind: "refused", status: 307 });
    expect(elsewhere.requests).toHaveLength(0);
  });
});

describe("a refusal", () => {
  async function answerOf(response: () => Response) {
    using server = scripted(response);
    return await client(server.url).post(`${server.url}/x`, FORM, shape, NEVER);
  }

  test("has Twilio's code with meaning and fix", async () => {
    const answer = await answerOf(() => refusal(400, 21614, "not a mobile number"));
    expect(answer).toMatchObject({ kind: "refused", status: 400, error: { code: 21614 } });
    expect(answer.kind === "refused" && answer.error.meaning).toContain("landline");
  });

  test("of the credentials is 20003, also when the 401 has no words", async () => {
    for (const response of [refusal(401, 20003, "Authenticate"), new Response("", { status: 401 })])
      expect(await answerOf(() => response)).toMatchObject({ kind: "refused", error: { code: 20003 } });
  });

  test("without a code is explained by its status", async () => {
    const answer = await answerOf(() => Response.json({ message: "gone", status: 404 }, { status: 404 }));
    expect(answer).toMatchObject({ kind: "refused", error: { code: 20404 } });
    const odd = await answerOf(() => Response.json({ message: "teapot" }, { status: 418 }));
    expect(odd).toMatchObject({ kind: "refused", error: { meaning: "Twilio answers 418: teapot" } });
  });

  test("in words that are not Twilio's names the host and the settings to check", async () => {
    const answer = await answerOf(() => new Response("<html>Log in</html>", { status: 403 }));
    if (answer.kind !== "refused") throw new Error(answer.kind);
    expect(answer.error.meaning).toMatch(/^127\.0\.0\.1:\d+ answers 403/);
    expect(answer.error.fix).toContain("twilio.api_url");
  });

  test("never repeats secrets, whole numbers or line breaks of Twilio's words", async () => {
    const words = `Bad\r\n${AUTH_TOKEN} for +15557654321 ${"x".repeat(500)}`;
    const answer = await answerOf(() => refusal(400, 99999, words));
    if (answer.kind !== "refused") throw new Error(answer.kind);
    expect(answer.error.meaning).toStartWith("Twilio reports error 99999: Bad *** for +1555***4321 xxx");
    expect(answer.error.meaning.length).toBeLessThan(260);
  });

  test("whose body is not JSON, huge or of another type is still a refusal", async () => {
    for (const body of ["", "null", "[]", '"x"', '{"code":"abc"}', "{", "x".repeat(9 * 1024 * 1024)])
      expect(await answerOf(() => new Response(body, { status: 400 }))).toMatchObject({ kind: "refused" });
  });
});

describe("a throttled request", () => {
  test("says when to come back, in seconds or as a date", async () => {
    const clock = manualClock(Date.UTC(2026, 0, 1));
    const headers = ["7", "Thu, 01 Jan 2026 00:00:09 GMT", "99999999", "nonsense"];
    using server = scripted(() => {
      const header = headers.shift() ?? "";
      return Response.json({ code: 20429 }, { status: 429, headers: { "retry-after": header } });
    });
    const rest = client(server.url, {}, { clock });
    const waits: unknown[] = [];
    for (let i = 0; i < 4; i++) {
      const answer = await rest.get(`${server.url}/x`, shape, NEVER);
      waits.push(answer.kind === "throttled" ? answer.retryAfter : answer.kind);
    }
    expect(waits).toEqual([7_000, 9_000, 3_600_000, undefined]);
  });

  test("is one whose queue is full, whatever its status", async () => {
    using server = scripted(() => refusal(400, 21611, "queue"));
    const answer = await client(server.url).get(`${server.url}/x`, shape, NEVER);
    expect(answer).toMatchObject({ kind: "throttled" });
  });
});

describe("what did not leave this machine", () => {
  test("is a request nobody listens for", async () => {
    const server = scripted(() => undefined);
    const { url } = server;
    server[Symbol.dispose]();
    const answer = await client(url).post(`${url}/x`, FORM, shape, NEVER);
    expect(answer).toMatchObject({ kind: "not_sent" });
    expect(answer.kind === "not_sent" && answer.reason).toContain("no connection to 127.0.0.1");
  });

  test("is a request to a name nobody knows", async () => {
    const answer = await client("http://twilio.invalid").get("http://twilio.invalid/x", shape, NEVER);
    expect(answer).toMatchObject({ kind: "not_sent" });
    expect(answer.kind === "not_sent" && answer.reason).toContain("cannot be resolved");
  });

  test("is a request to an address that is none", async () => {
    expect(await client("x").get("not a url", shape, NEVER)).toMatchObject({ kind: "not_sent" });
  });

  test("is a request that was called off before", async () => {
    using server = scripted(() => Response.json({ sid: "x" }));
    const answer = await client(server.url).get(`${server.url}/x`, shape, AbortSignal.abort());
    expect(answer).toMatchObject({ kind: "not_sent" });
    expect(server.requests).toHaveLength(0);
  });

  describe("over TLS", () => {
    // openssl makes the certificate that is distrusted.
    const withOpenssl = test.skipIf(Bun.which("openssl") === null);
    let folder = "";
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), "sms-agent-tls-"));
      if (Bun.which("openssl") === null) return;
      Bun.spawnSync(
        [
          "openssl",
          "req",
          "-x509",
          "-newkey",
          "rsa:2048",
          "-nodes",
          "-days",
          "2",
          "-subj",
          "/CN=localhost",
        ].concat(["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")]),
      );
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));

    withOpenssl("is a request to a server whose certificate is not trusted", async () => {
      let bytes = 0;
      const server = createTlsServer(
        { key: readFileSync(join(folder, "key.pem")), cert: readFileSync(join(folder, "cert.pem")) },
        (socket) => socket.on("error", () => {}).on("data", (data: Buffer) => (bytes += data.length)),
      );
      server.on("tlsClientError", () => {});
      using running = await tcp(server, "https");
      const answer = await client(running.url).post(`${running.url}/x`, FORM, shape, NEVER);
      expect(answer).toMatchObject({ kind: "not_sent" });
      expect(answer.kind === "not_sent" && answer.reason).toContain("certificate");
      expect(bytes).toBe(0);
    });

    test("is a request to a port that does not speak TLS", async () => {
      const server = createServer((socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 400 Bad\r\n\r\n")),
      );
      using running = await tcp(server, "https");
      const answer = await client(running.url).post(`${running.url}/x`, FORM, shape, NEVER);
      expect(answer).toMatchObject({ kind: "not_sent" });
      expect(answer.kind === "not_sent" && answer.reason).toContain("does not speak TLS");
    });
  });
});

describe("an unclear outcome", () => {
  test("is a connection that is cut after the request", async () => {
    const cuts: ((socket: Socket) => void)[] = [
      (socket) => socket.once("data", () => socket.resetAndDestroy()),
      (socket) => socket.once("data", () => socket.end()),
      (socket) => socket.once("data", () => socket.end("garbage\r\n\r\n")),
      (socket) =>
        socket.once("data", () => {
          socket.write('HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"sid":"SM');
          setTimeout(() => socket.resetAndDestroy(), 20);
        }),
      (socket) =>
        socket.once("data", () => {
          socket.write('HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"sid":"SM');
          setTimeout(() => socket.end(), 20);
        }),
    ];
    for (const cut of cuts) expect(await postTo(cut)).toMatchObject({ kind: "unclear" });
  });

  test("is a time-out, which the clock decides", async () => {
    const clock = manualClock();
    let arrived = () => {};
    const reached = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    using server = await tcp(createServer((socket) => void socket.once("data", () => arrived())));
    const answer = client(server.url, {}, { clock }).post(`${server.url}/x`, FORM, shape, NEVER);
    await reached;
    await clock.advance(9_999);
    await clock.advance(1);
    expect(await answer).toMatchObject({ kind: "unclear" });
    expect(JSON.stringify(await answer)).toContain("did not answer within 10 s");
    expect(clock.pending).toBe(0);
  });

  test("is an answer that begins and never ends", async () => {
    const clock = manualClock();
    let begun = () => {};
    const reached = new Promise<void>((resolve) => {
      begun = resolve;
    });
    using server = await tcp(
      createServer((socket) =>
        socket.once("data", () => {
          socket.write("HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{", () => begun());
        }),
      ),
    );
    const answer = client(server.url, {}, { clock }).post(`${server.url}/x`, FORM, shape, NEVER);
    await reached;
    await clock.advance(10_000);
    expect(await answer).toMatchObject({ kind: "unclear" });
  });

  test("is a request the service called off while it ran", async () => {
    const stop = new AbortController();
    using server = await tcp(createServer((socket) => void socket.once("data", () => stop.abort())));
    const answer = await client(server.url).post(`${server.url}/x`, FORM, shape, stop.signal);
    expect(answer).toMatchObject({ kind: "unclear" });
    expect(answer.kind === "unclear" && answer.reason).toContain("called off");
  });

  test("is any 5xx and any success nobody understands", async () => {
    for (const response of [
      () => refusal(500, 20500, "oops"),
      () => new Response("bad gateway", { status: 502 }),
      () => refusal(503, 20503, "busy"),
      () => new Response("<html>ok</html>", { status: 200 }),
      () => Response.json({ other: 1 }, { status: 201 }),
      () => new Response(`{"sid":"SM1","x":"${"x".repeat(9 * 1024 * 1024)}"}`, { status: 201 }),
    ]) {
      using server = scripted(response);
      expect(await client(server.url).post(`${server.url}/x`, FORM, shape, NEVER)).toMatchObject({
        kind: "unclear",
      });
    }
  });

  test("is what an unknown kind of error leaves behind", async () => {
    const throwing: Fetch = () => Promise.reject("no error at all");
    const answer = await client("http://a.example", {}, { fetch: throwing }).get(
      "http://a.example/x",
      shape,
      NEVER,
    );
    expect(answer).toMatchObject({ kind: "unclear" });
  });
});

test("a request of its own connection is sent once, even when the peer cuts it", async () => {
  let posts = 0;
  using server = await tcp(
    createServer((socket) =>
      socket.on("data", () => {
        posts += 1;
        socket.resetAndDestroy();
      }),
    ),
  );
  await client(server.url).post(`${server.url}/x`, [["From", NUMBER]], shape, NEVER, { ownConnection: true });
  expect(posts).toBe(1);
});

describe("asking patiently", () => {
  /** What came of it after `ms`, and when each request was made, ms from the first. */
  async function asked(answers: readonly (() => Response)[], ms: number, stop?: AbortController, stopAt = 0) {
    const clock = manualClock();
    const start = clock.now();
    const at: number[] = [];
    const scriptedFetch: Fetch = async () => {
      at.push(clock.now() - start);
      return (answers[at.length - 1] ?? answers.at(-1) ?? (() => refusal(404, 20404, "gone")))();
    };
    const rest = client("http://carrier.invalid", {}, { clock, fetch: scriptedFetch });
    let answer: RestResult<{ sid: string }> | undefined;
    if (stop !== undefined) clock.after(stopAt, () => stop.abort());
    void rest.getPatiently("http://carrier.invalid/x", shape, stop?.signal ?? NEVER).then((result) => {
      answer = result;
    });
    await clock.advance(ms);
    expect(clock.pending).toBe(0);
    return { answer, at };
  }
  const busy = () => refusal(503, 20503, "busy");
  const found = () => Response.json({ sid: "SM1" });

  test("goes on after failures until there is an answer", async () => {
    const { answer, at } = await asked([busy, busy, () => new Response("<html>"), found], 3_500);
    expect(answer).toMatchObject({ kind: "ok", value: { sid: "SM1" } });
    expect(at).toEqual([0, 500, 1_500, 3_500]);
  });

  test("ends with the last failure after seven requests, and at once with a refusal", async () => {
    const failing = await asked([busy], 31_500);
    expect(failing.answer).toMatchObject({ kind: "unclear" });
    expect(failing.at).toHaveLength(7);
    const refused = await asked([busy, () => refusal(404, 20404, "gone"), found], 60_000);
    expect(refused.answer).toMatchObject({ kind: "refused", status: 404 });
    expect(refused.at).toHaveLength(2);
  });

  test("waits as long as it is asked to, but not for minutes", async () => {
    const throttled = (seconds: number) => () =>
      Response.json({ code: 20429 }, { status: 429, headers: { "retry-after": String(seconds) } });
    expect((await asked([throttled(3), found], 3_000)).at).toEqual([0, 3_000]);
    const long = await asked([throttled(120), found], 200_000);
    expect(long.answer).toMatchObject({ kind: "throttled", retryAfter: 120_000 });
    expect(long.at).toEqual([0]);
  });

  test("is called off in the middle of a pause", async () => {
    const stop = new AbortController();
    const { answer, at } = await asked([busy, busy, found], 600, stop, 600);
    expect(answer?.kind).toBe("unclear");
    expect(at).toEqual([0, 500]);
  });
});
