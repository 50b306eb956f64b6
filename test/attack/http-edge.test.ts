import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { residentMemory } from "../crash/processes.ts";
import { openSandbox, type Sandbox } from "../support/binary.ts";
import { ADMIN_TOKEN, answers, head, speak, startVictim, statusOf, type Victim } from "./sockets.ts";

setDefaultTimeout(30_000);

const BEARER = `Authorization: Bearer ${ADMIN_TOKEN}`;
const FORM = "Content-Type: application/x-www-form-urlencoded";
const WEBHOOK = "POST /webhooks/twilio/sms";

let sandbox: Sandbox;
let victim: Victim;

beforeAll(async () => {
  sandbox = await openSandbox();
  victim = await startVictim(sandbox);
});

afterAll(() => sandbox.close());

/** The status of every answer to what is said over one connection, until the listener hangs up or falls silent. */
async function statuses(url: string, ...pieces: readonly (string | Uint8Array)[]): Promise<number[]> {
  const { answer } = await speak(url, pieces, { patience: 400 });
  return [...answer.matchAll(/(?:^|\n)HTTP\/1\.1 (\d{3})|(?<=[^\n])HTTP\/1\.1 (\d{3})/g)].map(([, a, b]) =>
    Number(a ?? b),
  );
}

describe("a head that is too large", () => {
  const GIANTS: Record<string, (url: string) => string> = {
    "one header of a megabyte": (url) => head(url, "GET /healthz", `X: ${"a".repeat(1_000_000)}`),
    "a hundred thousand headers": (url) => head(url, "GET /healthz", ...Array(100_000).fill("X: y")),
    "a path of a megabyte": (url) => head(url, `GET /${"a".repeat(1_000_000)}`),
    "a query of a megabyte": (url) => head(url, `GET /healthz?${"a=b&".repeat(250_000)}`),
    "a signature of a megabyte": (url) =>
      head(url, WEBHOOK, FORM, `X-Twilio-Signature: ${"A".repeat(1_000_000)}`),
    "a token of a megabyte": (url) =>
      head(url, "GET /api/v1/channels", `Authorization: Bearer ${"a".repeat(1_000_000)}`),
  };
  for (const [name, request] of Object.entries(GIANTS))
    test(`is refused with 431 on both listeners: ${name}`, async () => {
      for (const url of [victim.publicUrl, victim.adminUrl])
        expect(await statuses(url, request(url))).toEqual([431]);
    });
});

describe("a body whose length is unclear", () => {
  const LENGTHS: readonly (readonly string[])[] = [
    ["Content-Length: -5"],
    ["Content-Length: +5"],
    ["Content-Length: 0x5"],
    ["Content-Length: 5, 5"],
    ["Content-Length: 5", "Content-Length: 0"],
    ["Content-Length: 99999999999999999999"],
    ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 5"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding : chunked", "Content-Length: 0"],
    ["Transfer-Encoding:\tchunked\r\n , identity"],
    ["Content-Length: 5\r\n X: y"],
  ];
  for (const headers of LENGTHS)
    test(`is refused, and what follows it is no second request: ${JSON.stringify(headers)}`, async () => {
      for (const url of [victim.publicUrl, victim.adminUrl]) {
        const smuggled = head(url, "GET /healthz");
        const found = await statuses(url, head(url, WEBHOOK, FORM, ...headers), `0\r\n\r\n${smuggled}`);
        expect(found).toEqual([400]);
      }
    });

  test("is refused before it is read when it is announced too large", async () => {
    for (const length of ["1000000", "1000000000000"])
      expect(
        await statuses(victim.publicUrl, head(victim.publicUrl, WEBHOOK, FORM, `Content-Length: ${length}`)),
      ).toEqual([413]);
  });

  test("is refused on the admin listener with a problem before any of it has come, by whatever length", async () => {
    const url = victim.adminUrl;
    for (const [line, credential, expected] of [
      ["POST /api/v1/messages", BEARER, 413],
      ["POST /api/v1/media", BEARER, 413],
      ["POST /mcp", BEARER, 413],
      ["POST /session", "X: y", 413],
      ["POST /api/v1/media", "X: y", 401],
    ] as const)
      for (const length of ["9000000", "5000000000", "1000000000000000"]) {
        const request = head(
          url,
          line,
          credential,
          "Content-Type: application/json",
          `Content-Length: ${length}`,
        );
        const spoken = await speak(url, [request], { patience: 2_000, enough: /\r\n\r\n/ });
        expect([line, length, statusOf(spoken)]).toEqual([line, length, expected]);
        expect(spoken.answer.toLowerCase()).toContain("content-type: application/problem+json");
        expect(spoken.ms).toBeLessThan(1_500);
      }
  });

  test("fills no memory on the admin listener, however much of it comes that nobody reads", async () => {
    const url = victim.adminUrl;
    const { pid } = victim.process;
    const before = residentMemory(pid) ?? 0;
    const piece = new Uint8Array(1024 * 1024);
    const made = await fetch(`${url}/api/v1/tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ name: "sender", scopes: ["messages:send"] }),
    });
    const { token } = (await made.json()) as { token: string };
    for (const credential of [BEARER, `Authorization: Bearer ${token}`, "X: y"]) {
      const request = head(url, "POST /api/v1/media", credential, "Content-Length: 209715200");
      const spoken = await speak(url, [request, ...Array<Uint8Array>(200).fill(piece)], { patience: 700 });
      expect([0, 401, 413]).toContain(statusOf(spoken));
    }
    expect((residentMemory(pid) ?? 0) - before).toBeLessThan(60 * 1024 * 1024);
    expect(await answers(victim)).toBe(true);
  });

  test("is cut off at the cap where nothing is announced", async () => {
    const chunk = `4000\r\n${"a".repeat(0x4000)}\r\n`;
    for (const [url, request] of [
      [victim.publicUrl, head(victim.publicUrl, WEBHOOK, FORM, "Transfer-Encoding: chunked")],
      [
        victim.adminUrl,
        head(
          victim.adminUrl,
          "POST /api/v1/messages",
          BEARER,
          "Content-Type: application/json",
          "Transfer-Encoding: chunked",
        ),
      ],
    ] as const) {
      const spoken = await speak(url, [request, ...Array<string>(64).fill(chunk)], {
        patience: 5_000,
        enough: /HTTP/,
      });
      // Who is still talking when it is hung up on may not hear why.
      expect([0, 413]).toContain(statusOf(spoken));
      expect(spoken.ms).toBeLessThan(4_000);
    }
  });

  test("and that is cut off is nobody's failure: no line of the log for each of a hundred", async () => {
    const lines = () => victim.process.stderr().split("\n").length;
    const before = lines();
    const cut = async (url: string, line: string, ...headers: readonly string[]) => {
      const request = head(url, line, ...headers, "Content-Length: 1000");
      // Hung up on once it has been read, and waits for the rest.
      await speak(url, [request, "abc"], { patience: 10 });
    };
    for (let n = 0; n < 40; n++) {
      await cut(victim.publicUrl, WEBHOOK, FORM);
      await cut(victim.adminUrl, "POST /session", "Content-Type: application/json");
      await cut(victim.adminUrl, "POST /api/v1/notify", BEARER, "Content-Type: application/json");
    }
    expect(await answers(victim)).toBe(true);
    expect(lines() - before).toBeLessThan(5);
  });

  test("is refused where its chunks are none", async () => {
    for (const chunk of ["FFFFFFFFFFFFFFFFF\r\nabc", "-1\r\nabc", "zz\r\nabc", "5;\u0000\r\nabcde\r\n"]) {
      const found = await statuses(
        victim.publicUrl,
        head(victim.publicUrl, WEBHOOK, FORM, "Transfer-Encoding: chunked"),
        chunk,
      );
      expect(found.filter((status) => status < 400)).toEqual([]);
    }
  });

  test("that is packed is not unpacked", async () => {
    const packed = Bun.gzipSync(new Uint8Array(1_000_000));
    const found = await statuses(
      victim.publicUrl,
      head(victim.publicUrl, WEBHOOK, FORM, "Content-Encoding: gzip", `Content-Length: ${packed.byteLength}`),
      packed,
    );
    expect(found).toEqual([403]);
    const json = Bun.gzipSync(Buffer.from('{"timeout":0}'));
    expect(
      await statuses(
        victim.adminUrl,
        head(
          victim.adminUrl,
          "POST /api/v1/signals/await",
          BEARER,
          "Content-Type: application/json",
          "Content-Encoding: gzip",
          `Content-Length: ${json.byteLength}`,
        ),
        json,
      ),
    ).toEqual([400]);
  });
});

describe("a request line that is none of ours", () => {
  test("with another version, method or protocol is refused, and nothing is reflected", async () => {
    const { publicUrl } = victim;
    const host = `Host: ${new URL(publicUrl).host}\r\n\r\n`;
    for (const line of [
      "GET /healthz HTTP/9.9\r\n",
      "GET /healthz\r\n",
      "PRI * HTTP/2.0\r\n",
      "OPTIONS * HTTP/1.1\r\n",
      "GET  /healthz HTTP/1.1\r\n",
      "GET /health\0z HTTP/1.1\r\n",
      "get /healthz HTTP/1.1\r\n",
      "FOO /healthz HTTP/1.1\r\n",
      "CONNECT 127.0.0.1:22 HTTP/1.1\r\n",
      "CONNECT /healthz HTTP/1.1\r\n",
      "TRACE /healthz HTTP/1.1\r\nX-Secret: abc\r\n",
      "DELETE /healthz HTTP/1.1\r\n",
      "PUT /webhooks/twilio/sms HTTP/1.1\r\n",
      "POST /healthz HTTP/1.1\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n",
    ]) {
      const { answer } = await speak(publicUrl, [line + host], { patience: 400 });
      expect(answer, line).not.toMatch(/^HTTP\/1\.1 [23]/);
      expect(answer).not.toContain("abc");
    }
  });

  test("that is TLS, or noise, is no request", async () => {
    const noise = new Uint8Array(2_000).map((_, index) => (index * 97 + 13) & 255);
    const hello = Buffer.concat([Buffer.from("16030100a5010000a10303", "hex"), Buffer.alloc(160, 1)]);
    for (const bytes of [noise, hello])
      for (const url of [victim.publicUrl, victim.adminUrl])
        for (const status of await statuses(url, bytes)) expect(status).toBe(400);
  });

  test("is no second request when it is folded into a header", async () => {
    const found = await statuses(victim.publicUrl, `GET /healthz HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n`);
    expect(found).toEqual([400]);
    const bare = await statuses(victim.publicUrl, "GET /healthz HTTP/1.1\nHost: a\n\n");
    expect(bare.filter((status) => status < 400)).toEqual([]);
  });

  test("and two hosts, or none, reach nothing", async () => {
    for (const headers of [
      "",
      "Host: a\r\nHost: b\r\n",
      "Host: a b\r\n",
      "Host: a@b\r\n",
      "Host: a/x\r\n",
      "Host: \r\n",
    ])
      expect(await statuses(victim.publicUrl, `GET /healthz HTTP/1.1\r\n${headers}\r\n`)).toEqual([400]);
  });

  test("a thousand requests at once on one connection are answered in their order, and others too", async () => {
    const url = victim.publicUrl;
    const many = head(url, "GET /healthz").repeat(999) + head(url, "GET /nothing");
    const { answer } = await speak(url, [many], { patience: 5_000, enough: /404/ });
    expect(answer.match(/HTTP\/1\.1 200/g)).toHaveLength(999);
    expect(await answers(victim)).toBe(true);
  });
});

describe("the admin listener's Host", () => {
  test("is an address, localhost or configured, whatever else the request says", async () => {
    const { adminUrl } = victim;
    const { port } = new URL(adminUrl);
    const ask = async (host: string, ...more: readonly string[]) => {
      const request = ["GET /api/v1/channels HTTP/1.1", `Host: ${host}`, BEARER, ...more, "", ""].join(
        "\r\n",
      );
      return statusOf(await speak(adminUrl, [request], { patience: 2_000, enough: /\r\n\r\n/ }));
    };
    for (const host of [
      "127.0.0.1",
      `127.0.0.1:${port}`,
      "localhost",
      "LOCALHOST:1",
      "localhost.",
      "[::1]:8081",
      "192.0.2.7",
    ])
      expect(await ask(host), host).toBe(200);
    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "evil-localhost",
      "127.0.0.1.nip.io",
      "0x7f000001",
      "2130706433",
      "127.1",
      "999.0.0.1",
      "xn--lcalhost-n9a",
    ])
      expect(await ask(host), host).toBe(403);
    for (const host of [
      "user@localhost",
      "localhost:80:80",
      "localhost/x",
      "localhost#",
      "local host",
      "[::1",
      "lоcalhost",
    ])
      expect(await ask(host), host).toBe(400);
    expect(await ask("evil.example", "X-Forwarded-Host: localhost", "Forwarded: host=localhost")).toBe(403);
    expect(await ask("evil.example", "Origin: http://evil.example")).toBe(403);
  });

  test("counts also where the target names another one", async () => {
    const { adminUrl } = victim;
    const request = `GET http://localhost/api/v1/channels HTTP/1.1\r\nHost: evil.example\r\n${BEARER}\r\n\r\n`;
    expect(statusOf(await speak(adminUrl, [request], { patience: 2_000, enough: /\r\n\r\n/ }))).toBe(403);
  });
});

test("after all of this the service is well, and has said nothing of it but what concerns a person", async () => {
  expect(await answers(victim)).toBe(true);
  const errors = victim.process
    .stderr()
    .split("\n")
    .filter((line) => line.includes('"level":"error"'));
  expect(errors).toEqual([]);
});
