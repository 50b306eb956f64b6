import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { TwilioAccount } from "../../src/settings.ts";
import { createMediaFetch, type MediaFetchSeams } from "../../src/twilio/media.ts";
import { isPrivateHost } from "../../src/twilio/private-host.ts";
import { manualClock, systemClock } from "../support/clock.ts";
import {
  ACCOUNT_SID,
  AUTH_TOKEN,
  NEVER,
  recordingLog,
  type Script,
  type ScriptedServer,
  scripted,
} from "../twilio/support.ts";

setDefaultTimeout(15_000);

const PATH = `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages/MM${"1".repeat(32)}/Media/ME${"2".repeat(32)}`;
const API = "https://api.twilio.com";
const CDN = "https://media.cdn.example";
const BYTES = new Uint8Array([0xff, 0xd8, 0xff, 1, 2, 3]);
const AUTHORIZATION = `Basic ${btoa(`${ACCOUNT_SID}:${AUTH_TOKEN}`)}`;

const servers: ScriptedServer[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server[Symbol.dispose]();
});

function serve(script: Script): ScriptedServer {
  const server = scripted(script);
  servers.push(server);
  return server;
}

const redirect = (location: string, status = 307) => new Response(null, { status, headers: { location } });

/** A fetch for which each origin is one of our servers; every other origin was never to be asked. */
function setup(
  routes: Readonly<Record<string, ScriptedServer>>,
  options: Partial<MediaFetchSeams> & {
    readonly account?: Partial<TwilioAccount>;
    readonly provider?: "simulator";
  } = {},
) {
  const asked: string[] = [];
  const { account, provider = "twilio", ...seams } = options;
  const log = recordingLog();
  const load = createMediaFetch({
    settings: {
      id: "sms",
      provider,
      account: {
        accountSid: ACCOUNT_SID,
        authToken: AUTH_TOKEN,
        apiUrl: API,
        messagingUrl: API,
        ...account,
      },
    },
    fetch: (input, init) => {
      const url = new URL(input);
      asked.push(url.origin);
      const server = routes[url.origin];
      return fetch(server === undefined ? input : `${server.url}${url.pathname}${url.search}`, init);
    },
    resolve: async () => ["93.184.215.14"],
    clock: systemClock,
    log,
    ...seams,
  });
  return { asked, log, load: (url = `${API}${PATH}`, max = 1_000) => load(url, max, NEVER) };
}

describe("a picture is fetched", () => {
  test("with the credentials at the carrier, and without any at the host it redirects to", async () => {
    const cdn = serve(() => new Response(BYTES));
    const api = serve(() => redirect(`${CDN}/a?signed=1`));
    const { load } = setup({ [API]: api, [CDN]: cdn });
    expect(await load()).toEqual({ kind: "loaded", bytes: BYTES });
    expect(api.requests[0]?.headers.get("authorization")).toBe(AUTHORIZATION);
    expect(cdn.requests).toHaveLength(1);
    expect(cdn.requests[0]?.headers.has("authorization")).toBe(false);
    expect(JSON.stringify([...(cdn.requests[0]?.headers ?? [])])).not.toContain(AUTH_TOKEN);
    expect(cdn.requests[0]?.search).toBe("?signed=1");
  });

  test("without credentials also when a second redirect leads back to the carrier", async () => {
    const api: ScriptedServer = serve(({ path }) =>
      path === PATH ? redirect(`${CDN}/a`) : new Response(BYTES),
    );
    const cdn = serve(() => redirect(`${API}/elsewhere`, 302));
    const { load } = setup({ [API]: api, [CDN]: cdn });
    expect((await load()).kind).toBe("loaded");
    expect(api.requests[1]?.headers.has("authorization")).toBe(false);
  });

  test("from a carrier on loopback, whose CDN is on another port, without credentials there", async () => {
    const cdn = serve(() => new Response(BYTES));
    const api = serve(() => redirect(`${cdn.url}/file`));
    const { load } = setup({}, { account: { apiUrl: api.url } });
    expect((await load(`${api.url}${PATH}`)).kind).toBe("loaded");
    expect(cdn.requests[0]?.headers.has("authorization")).toBe(false);
  });

  test("with the API key where there is one, and by way of a configured proxy of the API", async () => {
    const api = serve(() => new Response(BYTES));
    const apiKey = { apiKeySid: "SK1", apiKeySecret: "s" };
    const { load } = setup({}, { account: { ...apiKey, apiUrl: `${api.url}/twilio/` } });
    expect((await load()).kind).toBe("loaded");
    expect(api.requests[0]?.path).toBe(`/twilio${PATH}`);
    expect(api.requests[0]?.headers.get("authorization")).toBe(`Basic ${btoa("SK1:s")}`);
  });

  test("a second time when it is not there yet", async () => {
    let tries = 0;
    const api = serve(() => (++tries === 1 ? new Response("", { status: 404 }) : new Response(BYTES)));
    expect((await setup({ [API]: api }).load()).kind).toBe("loaded");
    expect(tries).toBe(2);
  });
});

describe("nothing is asked for a URL that is no media of this account:", () => {
  const other = PATH.replace(ACCOUNT_SID, `AC${"9".repeat(32)}`);
  for (const url of [
    "",
    "not a URL",
    PATH,
    `http://api.twilio.com${PATH}`,
    `https://api.twilio.com.evil.example${PATH}`,
    `https://api.twilio.com@evil.example${PATH}`,
    `https://evil.example${PATH}`,
    `${API}${other}`,
    `${API}${PATH}/../../x`,
    `${API}/2010-04-01/Accounts/${ACCOUNT_SID}.json`,
    `${API}${PATH}.json`,
    `http://127.0.0.1:1${PATH}`,
    "file:///etc/passwd",
    "data:image/png;base64,AAAA",
  ])
    test(JSON.stringify(url), async () => {
      const { load, asked } = setup({});
      expect(await load(url)).toEqual({ kind: "failed", reason: "it does not lie at the carrier" });
      expect(asked).toEqual([]);
    });
});

describe("a redirect is not followed", () => {
  for (const target of [
    "http://media.cdn.example/a",
    "https://127.0.0.1/a",
    "http://127.0.0.1:8081/api/v1/messages",
    "https://localhost/a",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://10.0.0.1/a",
    "https://192.168.1.1/a",
    "https://172.20.0.1/a",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/a",
    "https://[::ffff:10.0.0.1]/a",
    "https://[fd00::1]/a",
    "https://[fe80::1]/a",
    "https://[64:ff9b::a00:1]/a",
    "https://router/a",
    "https://printer.local/a",
    "https://metadata.google.internal/a",
    "file:///etc/passwd",
    "ftp://media.cdn.example/a",
  ])
    test(`to ${target}`, async () => {
      const api = serve(() => redirect(target));
      const { load, asked, log } = setup({ [API]: api });
      expect(await load()).toEqual({
        kind: "failed",
        reason: "it is redirected to a place that is not asked",
      });
      expect(asked).toEqual([API]);
      expect(log.lines.some(({ event }) => event === "twilio.media_redirect")).toBe(true);
    });

  test("to a public name that resolves to a private address", async () => {
    const api = serve(() => redirect("https://rebound.example/a"));
    const { load, asked } = setup({ [API]: api }, { resolve: async () => ["93.184.215.14", "10.0.0.7"] });
    expect((await load()).kind).toBe("failed");
    expect(asked).toEqual([API]);
  });

  test("from a simulated carrier to anywhere but itself", async () => {
    const other = serve(() => new Response(BYTES));
    for (const target of [`${other.url}/a`, "https://media.cdn.example/a"]) {
      const api = serve(() => redirect(target));
      const { load, asked } = setup({}, { provider: "simulator", account: { apiUrl: api.url } });
      expect((await load(`${api.url}${PATH}`)).kind).toBe("failed");
      expect(asked).toHaveLength(1);
    }
    expect(other.requests).toHaveLength(0);
  });

  test("a third time, nor to nowhere", async () => {
    const api = serve(() => redirect(`${CDN}/1`));
    const cdn = serve(({ path }) => redirect(`${CDN}${path}1`));
    expect(await setup({ [API]: api, [CDN]: cdn }).load()).toEqual({
      kind: "failed",
      reason: "it is redirected too often",
    });
    expect(cdn.requests).toHaveLength(2);
    const nowhere = serve(() => new Response(null, { status: 302 }));
    expect((await setup({ [API]: nowhere }).load()).kind).toBe("failed");
  });
});

describe("the body is cut", () => {
  test("when its length says it is too large", async () => {
    const api = serve(() => new Response(new Uint8Array(1_001)));
    expect(await setup({ [API]: api }).load()).toEqual({ kind: "failed", reason: "it is too large" });
    const just = serve(() => new Response(new Uint8Array(1_000)));
    expect((await setup({ [API]: just }).load()).kind).toBe("loaded");
  });

  test("when it never ends", async () => {
    let ended = false;
    const api = serve(
      () =>
        new Response(
          new ReadableStream({
            async pull(controller) {
              controller.enqueue(new Uint8Array(10_000));
              await new Promise((resolve) => setTimeout(resolve, 1));
            },
            cancel() {
              ended = true;
            },
          }),
        ),
    );
    const { load } = setup({ [API]: api });
    expect(await load(undefined, 100_000)).toEqual({ kind: "failed", reason: "it is too large" });
    for (let i = 0; i < 500 && !ended; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(ended).toBe(true);
  });

  test("when it is a decompression bomb, of which nothing is unpacked", async () => {
    const bomb = Bun.gzipSync(new Uint8Array(50_000_000));
    const api = serve(() => new Response(bomb, { headers: { "content-encoding": "gzip" } }));
    const { load } = setup({ [API]: api });
    expect(await load(undefined, 5_000_000)).toEqual({ kind: "failed", reason: "it came compressed" });
    expect(api.requests[0]?.headers.get("accept-encoding")).toBe("identity");
  });

  test("when it takes too long", async () => {
    const clock = manualClock();
    let reached = () => {};
    const arrived = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const api = serve(() => {
      reached();
      return new Promise<Response>(() => {});
    });
    const loading = setup({ [API]: api }, { clock }).load();
    await arrived;
    await clock.advance(15_000);
    expect(await loading).toEqual({ kind: "failed", reason: "it took too long" });
    expect(clock.pending).toBe(0);
  });
});

test("a carrier that refuses or cannot be reached is a failure in words, and no secret is logged", async () => {
  const api = serve(() => new Response("no", { status: 401 }));
  const { load, log } = setup({ [API]: api });
  expect(await load()).toEqual({ kind: "failed", reason: "the carrier does not give it out" });
  const dead = scripted(() => undefined);
  dead[Symbol.dispose]();
  expect(await setup({ [API]: dead }).load()).toEqual({
    kind: "failed",
    reason: "the carrier could not be reached",
  });
  expect(JSON.stringify(log.lines)).not.toContain(AUTH_TOKEN);
});

test("public addresses and names are told from private ones", () => {
  for (const host of [
    "8.8.8.8",
    "172.32.0.1",
    "[2606:4700::1111]",
    "media.twiliocdn.com",
    "s3.amazonaws.com.",
  ])
    expect(isPrivateHost(host), host).toBe(false);
  for (const host of [
    "0.0.0.0",
    "100.64.0.1",
    "255.255.255.255",
    "[::]",
    "[2002:a00:1::]",
    "[fc00::1]",
    "nas",
  ])
    expect(isPrivateHost(host), host).toBe(true);
});
