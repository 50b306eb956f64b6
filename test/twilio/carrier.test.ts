import { describe, expect, test } from "bun:test";
import type { Carrier, InboundList, SendRequest } from "../../src/carrier.ts";
import type { ChannelSettings } from "../../src/settings.ts";
import { createTwilioCarrier } from "../../src/twilio/carrier.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import {
  ACCOUNT_SID,
  channel,
  NEVER,
  NUMBER,
  recordingLog,
  refusal,
  SERVICE_SID,
  scripted,
  service,
} from "./support.ts";

const MESSAGES = `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages.json`;
const SID = "SM00000000000000000000000000000001";
const ALICE = "+15557654321";
const NONE_KNOWN = async () => new Set<string>();

/** Timers of a clock whose pauses end at once; the ten seconds that a request may take never do. */
const noPauses = (delay: number, run: () => void) => {
  if (delay < 10_000) queueMicrotask(run);
  return () => {};
};

function carrierOf(
  settings: ChannelSettings,
  clock: ManualClock = manualClock(),
  log = recordingLog(),
): Carrier {
  return createTwilioCarrier({ settings, fetch: (input, init) => fetch(input, init), clock, log });
}

const TEXT: SendRequest = {
  to: ALICE,
  text: "Hi + \u{1F600}",
  mediaUrls: [],
  statusCallback: "https://sms.example.com/webhooks/twilio/sms/status",
  ref: { messageId: "msg_1", attempt: 2 },
};

describe("sending", () => {
  const accepted = () => Response.json({ sid: SID, status: "queued", num_segments: "2" }, { status: 201 });

  test("a text gives sender, recipient, body and a callback that names the attempt", async () => {
    using server = scripted(accepted);
    const outcome = await carrierOf(channel(server.url)).send(TEXT, NEVER);
    expect(outcome).toEqual({ kind: "accepted", sid: SID, status: "queued", segments: 2 });
    expect([...(server.of("POST", MESSAGES)[0]?.form ?? [])]).toEqual([
      ["To", ALICE],
      ["From", NUMBER],
      ["Body", "Hi + \u{1F600}"],
      ["StatusCallback", "https://sms.example.com/webhooks/twilio/sms/status?m=msg_1.2"],
    ]);
  });

  test("a service sends by its id, media are repeated, and without a callback none is asked for", async () => {
    using server = scripted(accepted);
    const { statusCallback: _, ...polled } = TEXT;
    await carrierOf(channel(server.url, { sender: service })).send(
      { ...polled, text: "", mediaUrls: ["https://a.example/1", "https://a.example/2"] },
      NEVER,
    );
    expect([...(server.of("POST", MESSAGES)[0]?.form ?? [])]).toEqual([
      ["To", ALICE],
      ["MessagingServiceSid", SERVICE_SID],
      ["MediaUrl", "https://a.example/1"],
      ["MediaUrl", "https://a.example/2"],
    ]);
  });

  test("a template goes by its id, and WhatsApp addresses keep their prefix", async () => {
    using server = scripted(accepted);
    const settings = channel(server.url, { sender: { kind: "number", number: `whatsapp:${NUMBER}` } });
    const request = { ...TEXT, to: `whatsapp:${ALICE}`, contentSid: "HX1", contentVariables: '{"1":"x"}' };
    await carrierOf(settings).send(request, NEVER);
    expect(Object.fromEntries(server.of("POST", MESSAGES)[0]?.form ?? [])).toEqual({
      To: `whatsapp:${ALICE}`,
      From: `whatsapp:${NUMBER}`,
      ContentSid: "HX1",
      ContentVariables: '{"1":"x"}',
      StatusCallback: "https://sms.example.com/webhooks/twilio/sms/status?m=msg_1.2",
    });
  });

  test("a service's answer without a count of segments has none", async () => {
    using server = scripted(() =>
      Response.json({ sid: SID, status: "accepted", num_segments: "0", from: null }, { status: 201 }),
    );
    const outcome = await carrierOf(channel(server.url, { sender: service })).send(TEXT, NEVER);
    expect(outcome).toEqual({ kind: "accepted", sid: SID, status: "accepted" });
  });

  test("a refusal, a throttle, a missing connection and an unclear outcome are told apart", async () => {
    const cases: [() => Response, object][] = [
      [() => refusal(400, 21614, "x"), { kind: "refused", optedOut: false, error: { code: 21614 } }],
      [() => refusal(400, 21610, "x"), { kind: "refused", optedOut: true, error: { code: 21610 } }],
      [() => refusal(401, 20003, "x"), { kind: "refused", optedOut: false, error: { code: 20003 } }],
      [
        () => Response.json({ code: 20429 }, { status: 429, headers: { "retry-after": "3" } }),
        { kind: "retry", retryAfter: 3_000 },
      ],
      [() => refusal(400, 21611, "x"), { kind: "retry" }],
      [() => new Response("", { status: 500 }), { kind: "ambiguous" }],
      [() => new Response("", { status: 503 }), { kind: "ambiguous" }],
      [() => new Response("not json", { status: 201 }), { kind: "ambiguous" }],
      [() => Response.json({ status: "queued" }, { status: 201 }), { kind: "ambiguous" }],
      [() => Response.json({ sid: "../x", status: "queued" }, { status: 201 }), { kind: "ambiguous" }],
    ];
    for (const [response, expected] of cases) {
      using server = scripted(response);
      expect(await carrierOf(channel(server.url)).send(TEXT, NEVER)).toMatchObject(expected);
    }
    const gone = scripted(accepted);
    gone[Symbol.dispose]();
    expect(await carrierOf(channel(gone.url)).send(TEXT, NEVER)).toMatchObject({ kind: "retry" });
  });

  test("a send that times out is ambiguous and is not repeated", async () => {
    const clock = manualClock();
    let arrived = () => {};
    const reached = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    using server = scripted(() => {
      arrived();
      return new Promise<Response>(() => {});
    });
    const outcome = carrierOf(channel(server.url), clock).send(TEXT, NEVER);
    await reached;
    await clock.advance(10_000);
    expect(await outcome).toMatchObject({ kind: "ambiguous" });
    expect(server.of("POST", MESSAGES)).toHaveLength(1);
  });

  test("a send on a connection that was used before is still not repeated by the runtime", async () => {
    let count = 0;
    using server = scripted(() => {
      count += 1;
      return count === 1 ? accepted() : new Response("", { status: 500 });
    });
    const carrier = carrierOf(channel(server.url));
    await carrier.send(TEXT, NEVER);
    await carrier.send(TEXT, NEVER);
    expect(count).toBe(2);
    expect(server.requests.map(({ headers }) => headers.get("connection"))).not.toContain("keep-alive");
  });
});

describe("listing inbound texts", () => {
  const START = Date.UTC(2026, 0, 1, 12);

  function row(at: number, changes: Record<string, unknown> = {}): Record<string, unknown> {
    return {
      sid: `SM${at}`,
      account_sid: ACCOUNT_SID,
      from: ALICE,
      to: NUMBER,
      body: `at ${at}`,
      direction: "inbound",
      status: "received",
      num_media: "0",
      num_segments: "1",
      messaging_service_sid: null,
      error_code: null,
      date_sent: new Date(START + at * 1_000).toUTCString().replace("GMT", "+0000"),
      date_created: new Date(START + at * 1_000).toUTCString().replace("GMT", "+0000"),
      date_updated: new Date(START + at * 1_000).toUTCString().replace("GMT", "+0000"),
      subresource_uris: {},
      ...changes,
    };
  }

  const page = (rows: unknown[], next: string | null = null) =>
    Response.json({ messages: rows, next_page_uri: next });
  const clockAt = (seconds: number) => manualClock(START + seconds * 1_000);

  test("asks for the number's texts since a time and gives them oldest first, as late ones", async () => {
    using server = scripted(() => page([row(3), row(2, { from: "22000" }), row(1)]));
    const list = await carrierOf(channel(server.url), clockAt(60)).listInbound(
      START + 500,
      NONE_KNOWN,
      NEVER,
    );
    if (list.kind !== "ok") throw new Error(list.kind);
    expect(list.items.map(({ sid, from }) => [sid, from])).toEqual([
      ["SM1", ALICE],
      ["SM2", "22000"],
      ["SM3", ALICE],
    ]);
    expect(list.items[0]).toEqual({
      kind: "inbound",
      sid: "SM1",
      accountSid: ACCOUNT_SID,
      from: ALICE,
      to: NUMBER,
      body: "at 1",
      media: [],
      segments: 1,
      receivedAt: START + 1_000,
      late: true,
      raw: expect.objectContaining({ sid: "SM1", date_sent: "Thu, 01 Jan 2026 12:00:01 +0000" }),
    });
    const { search, query } = server.requests[0] ?? { search: "", query: new URLSearchParams() };
    expect(search).toContain("DateSent%3E=2026-01-01T12%3A00%3A00Z");
    expect(query.get("To")).toBe(NUMBER);
  });

  test("reads every page, and follows a page's link with our credentials to our own address only", async () => {
    using elsewhere = scripted(() => page([row(9)]));
    using server = scripted(({ query }) => {
      if (query.get("Page") === "2") return page([row(1)]);
      if (query.get("Page") === "1") return page([row(2)], `${elsewhere.url}${MESSAGES}?Page=2`);
      return page([row(3)], `${MESSAGES}?Page=1&PageToken=a%2Bb`);
    });
    const list = await carrierOf(channel(server.url), clockAt(60)).listInbound(START, NONE_KNOWN, NEVER);
    expect(list).toMatchObject({ kind: "ok", items: [{ sid: "SM1" }, { sid: "SM2" }, { sid: "SM3" }] });
    expect(server.requests.map(({ search }) => search).slice(1)).toEqual([
      "?Page=1&PageToken=a%2Bb",
      "?Page=2",
    ]);
    expect(elsewhere.requests).toHaveLength(0);
  });

  test("keeps the path of an API behind a prefix", async () => {
    using server = scripted(({ path, query }) =>
      path === `/twilio${MESSAGES}`
        ? page([row(1)], query.has("Page") ? null : `${MESSAGES}?Page=1`)
        : undefined,
    );
    const settings = channel(server.url, { account: { apiUrl: `${server.url}/twilio/` } });
    const list = await carrierOf(settings, clockAt(60)).listInbound(START, NONE_KNOWN, NEVER);
    expect(list).toMatchObject({ kind: "ok", items: [{ sid: "SM1" }, { sid: "SM1" }] });
  });

  test("leaves out what we sent, what is older, what is another number's, and what is no message", async () => {
    using server = scripted(() =>
      page([
        row(5, { direction: "outbound-api" }),
        row(4, { to: "+15550000000" }),
        row(-5, { sid: "SMold" }),
        row(3, { from: null }),
        row(2, { sid: "../../x" }),
        "odd",
        null,
        row(1, { date_sent: "nonsense", num_media: "many", num_segments: null, extra: { a: 1 } }),
      ]),
    );
    const log = recordingLog();
    const list = await carrierOf(channel(server.url), clockAt(60), log).listInbound(START, NONE_KNOWN, NEVER);
    if (list.kind !== "ok") throw new Error(list.kind);
    expect(list.items.map(({ sid }) => sid)).toEqual(["SM1"]);
    expect(log.lines.filter(({ event }) => event === "twilio.list_odd_row")).toHaveLength(3);
  });

  test("brings the media of an MMS", async () => {
    const path = `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages/MM1/Media`;
    using server = scripted((request) =>
      request.path === MESSAGES
        ? page([row(1, { sid: "MM1", num_media: "2" })])
        : request.path === `${path}.json`
          ? Response.json({
              media_list: [{ sid: "ME1", content_type: "image/png" }, { sid: "../ME" }, { sid: "ME2" }],
              next_page_uri: null,
            })
          : undefined,
    );
    const carrier = carrierOf(channel(server.url), clockAt(60));
    const list = await carrier.listInbound(START, NONE_KNOWN, NEVER);
    expect(list).toMatchObject({
      kind: "ok",
      items: [
        {
          media: [
            { url: `${server.url}${path}/ME1`, contentType: "image/png" },
            { url: `${server.url}${path}/ME2`, contentType: "application/octet-stream" },
          ],
        },
      ],
    });
  });

  test("leaves out what is known, asked page by page, and does not ask for its media", async () => {
    using server = scripted(({ path, query }) =>
      path !== MESSAGES
        ? undefined
        : query.has("Page")
          ? page([row(2, { num_media: 1 }), row(1)])
          : page([row(4), row(3), "odd"], `${MESSAGES}?Page=1`),
    );
    const asked: (readonly string[])[] = [];
    const known = async (sids: readonly string[]) => {
      asked.push(sids);
      return new Set(["SM2", "SM4"]);
    };
    const list = await carrierOf(channel(server.url), clockAt(60)).listInbound(START, known, NEVER);
    expect(list).toMatchObject({ kind: "ok", items: [{ sid: "SM1" }, { sid: "SM3" }], listed: 5 });
    expect(asked).toEqual([
      ["SM4", "SM3"],
      ["SM2", "SM1"],
    ]);
    expect(server.requests.map(({ path }) => path)).toEqual([MESSAGES, MESSAGES]);
  });

  test("keeps a text whose media are gone", async () => {
    using server = scripted(({ path }) =>
      path === MESSAGES ? page([row(1, { num_media: 1 })]) : refusal(404, 20404, "gone"),
    );
    const list = await carrierOf(channel(server.url), clockAt(60)).listInbound(START, NONE_KNOWN, NEVER);
    expect(list).toMatchObject({ kind: "ok", items: [{ sid: "SM1", media: [] }] });
    expect(list).not.toHaveProperty("unfinishedSince");
  });

  const media = () =>
    Response.json({ media_list: [{ sid: "ME1", content_type: "image/png" }], next_page_uri: null });
  const sidsOf = (list: InboundList) => (list.kind === "ok" ? list.items.map(({ sid }) => sid) : list.kind);

  test("leaves out a text whose media cannot be asked for, and what its sender texted after it, and no other", async () => {
    for (const failure of [() => new Response("", { status: 503 }), () => refusal(401, 20003, "no")]) {
      using server = scripted(({ path }) =>
        path === MESSAGES
          ? page([
              row(4, { from: "22000" }),
              row(3),
              row(2, { num_media: 1 }),
              row(1, { num_media: 1 }),
              row(0),
            ])
          : path.includes("SM2")
            ? failure()
            : media(),
      );
      const list = await carrierOf(channel(server.url), clockAt(60)).listInbound(START, NONE_KNOWN, NEVER);
      expect(sidsOf(list)).toEqual(["SM0", "SM1", "SM4"]);
      expect(list).toMatchObject({ unfinishedSince: START + 2_000 });
    }
  });

  test("gives a text without its media when they have not come for three minutes, and then what followed it", async () => {
    using server = scripted(({ path }) =>
      path === MESSAGES
        ? page([row(2), row(1, { num_media: 1 })])
        : new Response("<html>busy</html>", { status: 200 }),
    );
    const clock = clockAt(60);
    const carrier = carrierOf(channel(server.url), clock);
    expect(sidsOf(await carrier.listInbound(START, NONE_KNOWN, NEVER))).toEqual([]);
    await clock.advance(179_000);
    expect(sidsOf(await carrier.listInbound(START, NONE_KNOWN, NEVER))).toEqual([]);
    await clock.advance(1_000);
    const list = await carrier.listInbound(START, NONE_KNOWN, NEVER);
    expect(sidsOf(list)).toEqual(["SM1", "SM2"]);
    expect(list).not.toHaveProperty("unfinishedSince");
  });

  test("asks for no more media in a look once some did not come, and for those last the next time", async () => {
    const others = Array.from({ length: 20 }, (_, at) => row(at, { num_media: 1, from: `220${10 + at}` }));
    using server = scripted(({ path }) =>
      path === MESSAGES
        ? page([row(30, { from: "33000" }), ...others.reverse()])
        : path.includes("SM0/")
          ? new Response("", { status: 503 })
          : media(),
    );
    const carrier = carrierOf(channel(server.url), clockAt(300));
    const asked = () => server.requests.filter(({ path }) => path !== MESSAGES).length;
    expect(sidsOf(await carrier.listInbound(START, NONE_KNOWN, NEVER))).toEqual(["SM30"]);
    expect(asked()).toBe(1);
    expect(sidsOf(await carrier.listInbound(START, NONE_KNOWN, NEVER))).toHaveLength(20);
    expect(asked()).toBe(21);
  });

  test("asks for nothing more once it is called off", async () => {
    const stop = new AbortController();
    const log = recordingLog();
    using server = scripted(({ path }) => {
      if (path === MESSAGES) stop.abort();
      return path === MESSAGES ? page([row(1, { num_media: 1 })]) : media();
    });
    await carrierOf(channel(server.url), clockAt(60), log).listInbound(START, NONE_KNOWN, stop.signal);
    expect(server.requests.filter(({ path }) => path !== MESSAGES)).toEqual([]);
    expect(log.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });

  test("leaves out what a number texted to itself, which is never stored", async () => {
    using server = scripted(({ path }) =>
      path === MESSAGES ? page([row(2, { from: NUMBER, num_media: 1 }), row(1)]) : undefined,
    );
    const list = await carrierOf(channel(server.url), clockAt(60)).listInbound(START, NONE_KNOWN, NEVER);
    expect(sidsOf(list)).toEqual(["SM1"]);
    expect(server.requests).toHaveLength(1);
  });

  test("asks for a later page again when it does not come, and not for the first", async () => {
    let asked = 0;
    using server = scripted(({ query }) => {
      if (!query.has("Page")) return page([row(2)], `${MESSAGES}?Page=1`);
      asked += 1;
      return asked === 1 ? new Response("", { status: 503 }) : page([row(1)]);
    });
    // No pause is waited for.
    const clock = { ...clockAt(60), after: (delay: number, run: () => void) => noPauses(delay, run) };
    const list = await carrierOf(channel(server.url), clock).listInbound(START, NONE_KNOWN, NEVER);
    expect(list).toMatchObject({ kind: "ok", items: [{ sid: "SM1" }, { sid: "SM2" }] });
    expect(asked).toBe(2);
    using failing = scripted(() => new Response("", { status: 503 }));
    const none = await carrierOf(channel(failing.url), clock).listInbound(START, NONE_KNOWN, NEVER);
    expect(none).toMatchObject({ kind: "unreachable" });
    expect(failing.requests).toHaveLength(1);
  });

  test("leaves an MMS that is still coming in for the next look, but not for ever", async () => {
    using server = scripted(() => page([row(1, { status: "receiving" })]));
    const soon = await carrierOf(channel(server.url), clockAt(30)).listInbound(START, NONE_KNOWN, NEVER);
    expect(soon).toMatchObject({ kind: "ok", items: [] });
    const later = await carrierOf(channel(server.url), clockAt(300)).listInbound(START, NONE_KNOWN, NEVER);
    expect(later).toMatchObject({ kind: "ok", items: [{ sid: "SM1" }] });
  });

  test("of a service takes its own texts and those of its numbers, and no other service's", async () => {
    using server = scripted(({ path }) =>
      path === MESSAGES
        ? page([
            row(4, { messaging_service_sid: "MG9" }),
            row(3, { to: "+15550000000", messaging_service_sid: SERVICE_SID }),
            row(2),
            row(1, { to: "+15550000001" }),
          ])
        : path === `/v1/Services/${SERVICE_SID}/PhoneNumbers`
          ? Response.json({ phone_numbers: [{ sid: "PN1", phone_number: NUMBER }], meta: {} })
          : undefined,
    );
    const clock = clockAt(60);
    const carrier = carrierOf(channel(server.url, { sender: service }), clock);
    const list = await carrier.listInbound(START, NONE_KNOWN, NEVER);
    expect(list).toMatchObject({
      kind: "ok",
      items: [
        { sid: "SM2", messagingServiceSid: SERVICE_SID },
        { sid: "SM3", messagingServiceSid: SERVICE_SID },
      ],
    });
    expect(server.of("GET", MESSAGES)[0]?.query.has("To")).toBe(false);
    await carrier.listInbound(START, NONE_KNOWN, NEVER);
    expect(server.of("GET", `/v1/Services/${SERVICE_SID}/PhoneNumbers`)).toHaveLength(1);
    await clock.advance(300_000);
    await carrier.listInbound(START, NONE_KNOWN, NEVER);
    expect(server.of("GET", `/v1/Services/${SERVICE_SID}/PhoneNumbers`)).toHaveLength(2);
  });

  test("tells a refusal from an unreachable carrier", async () => {
    using refusing = scripted(() => refusal(401, 20003, "no"));
    expect(await carrierOf(channel(refusing.url)).listInbound(START, NONE_KNOWN, NEVER)).toMatchObject({
      kind: "refused",
      error: { code: 20003 },
    });
    for (const response of [
      () => new Response("", { status: 500 }),
      () => Response.json({ code: 20429 }, { status: 429 }),
      () => Response.json({ messages: "none" }),
    ]) {
      using server = scripted(response);
      const list = await carrierOf(channel(server.url)).listInbound(START, NONE_KNOWN, NEVER);
      expect(list).toMatchObject({ kind: "unreachable" });
    }
  });

  test("ends, however many pages the carrier invents", async () => {
    const log = recordingLog();
    let pages = 0;
    using server = scripted(() => page([], `${MESSAGES}?Page=${++pages}`));
    const list = await carrierOf(channel(server.url), clockAt(60), log).listInbound(START, NONE_KNOWN, NEVER);
    expect(list).toMatchObject({ kind: "ok", items: [] });
    expect(pages).toBe(500);
    expect(log.lines.some(({ event }) => event === "twilio.list_too_long")).toBe(true);
  });
});

describe("asking for a delivery state", () => {
  const message = (changes: Record<string, unknown> = {}) => ({
    sid: SID,
    account_sid: ACCOUNT_SID,
    direction: "outbound-api",
    from: NUMBER,
    to: ALICE,
    status: "undelivered",
    error_code: 30003,
    date_updated: "Thu, 01 Jan 2026 11:59:00 +0000",
    ...changes,
  });

  test("gives the carrier's word, its error code and its time", async () => {
    using server = scripted(({ path }) =>
      path.endsWith(`/Messages/${SID}.json`) ? Response.json(message()) : undefined,
    );
    expect(await carrierOf(channel(server.url)).fetchStatus(SID, NEVER)).toEqual({
      kind: "ok",
      items: [
        {
          kind: "status",
          sid: SID,
          accountSid: ACCOUNT_SID,
          status: "undelivered",
          errorCode: 30003,
          at: Date.UTC(2026, 0, 1, 11, 59),
        },
      ],
    });
  });

  test("is never of the future and does without a time or an error", async () => {
    const clock = manualClock();
    for (const date_updated of [null, "soon", "Thu, 01 Jan 2099 00:00:00 +0000"]) {
      using server = scripted(() => Response.json(message({ date_updated, error_code: null })));
      const list = await carrierOf(channel(server.url), clock).fetchStatus(SID, NEVER);
      if (list.kind !== "ok") throw new Error(list.kind);
      expect(list.items[0]?.at).toBe(clock.now());
      expect(list.items[0]).not.toHaveProperty("errorCode");
    }
  });

  test("of a message deleted at the carrier gives nothing, and of a refusing carrier its refusal", async () => {
    using gone = scripted(() => undefined);
    expect(await carrierOf(channel(gone.url)).fetchStatus(SID, NEVER)).toMatchObject({
      kind: "ok",
      items: [],
    });
    using refusing = scripted(() => refusal(401, 20003, "no"));
    expect(await carrierOf(channel(refusing.url)).fetchStatus(SID, NEVER)).toMatchObject({ kind: "refused" });
    using down = scripted(() => new Response("", { status: 502 }));
    expect(await carrierOf(channel(down.url)).fetchStatus(SID, NEVER)).toMatchObject({ kind: "unreachable" });
  });
});
