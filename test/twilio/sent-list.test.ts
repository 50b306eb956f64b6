import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { CarrierList, SentMessage } from "../../src/carrier.ts";
import type { Sender } from "../../src/settings.ts";
import { createTwilioCarrier } from "../../src/twilio/carrier.ts";
import { manualClock } from "../support/clock.ts";
import {
  ACCOUNT_SID,
  channel,
  NEVER,
  NUMBER,
  recordingLog,
  refusal,
  type ScriptedServer,
  SERVICE_SID,
  scripted,
  service,
} from "./support.ts";

const MESSAGES = `/2010-04-01/Accounts/${ACCOUNT_SID}/Messages.json`;
const NOW = Date.UTC(2026, 0, 1, 12);
const ALICE = "+15557654321";
const SINCE = NOW - 3_600_000;

const date = (at: number) => new Date(at).toUTCString().replace("GMT", "+0000");

/** A row of Twilio's list, made `age` ms before the carrier's now. */
function row(sid: string, age: number, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    sid,
    account_sid: ACCOUNT_SID,
    from: NUMBER,
    to: ALICE,
    body: "hello",
    direction: "outbound-api",
    status: "delivered",
    num_media: "0",
    num_segments: "1",
    messaging_service_sid: null,
    error_code: null,
    date_sent: date(NOW - age),
    date_created: date(NOW - age),
    date_updated: date(NOW - age),
    ...changes,
  };
}

/** The carrier's clock tells `ahead` ms more than ours. */
function page(rows: readonly unknown[], next: string | null = null, ahead = 0): Response {
  const body = JSON.stringify({ messages: rows, next_page_uri: next });
  const headers = { "content-type": "application/json", date: new Date(NOW + ahead).toUTCString() };
  return new Response(body, { headers });
}

function listSent(
  server: ScriptedServer,
  sender: Sender = { kind: "number", number: NUMBER },
): Promise<CarrierList<SentMessage>> {
  const carrier = createTwilioCarrier({
    settings: channel(server.url, { sender }),
    fetch: (input, init) => fetch(input, init),
    clock: manualClock(NOW),
    log: recordingLog(),
  });
  return carrier.listSent({ to: ALICE, since: SINCE }, NEVER);
}

function sids(list: CarrierList<SentMessage>): readonly string[] {
  if (list.kind !== "ok") throw new Error(JSON.stringify(list));
  return list.items.map(({ sid }) => sid);
}

describe("the list of what was sent to one recipient", () => {
  test("is asked for by `To` alone, since a sender may be unset and a queued text has no date of sending", async () => {
    using server = scripted(() =>
      page([row("SM1", 1_000, { status: "queued", date_sent: null, num_segments: "2", error_code: 30008 })]),
    );
    expect(await listSent(server)).toEqual({
      kind: "ok",
      items: [
        {
          sid: "SM1",
          status: "queued",
          errorCode: 30008,
          body: "hello",
          media: 0,
          segments: 2,
          createdAt: NOW - 1_000,
        },
      ],
    });
    expect([...(server.requests[0]?.query.keys() ?? [])].sort()).toEqual(["PageSize", "To"]);
    expect(server.requests[0]?.query.get("To")).toBe(ALICE);
  });

  test("leaves out what others sent, and texts that came in", async () => {
    using server = scripted(() =>
      page([
        row("SM1", 0),
        row("SM2", 0, { from: "+15559990000" }),
        row("SM3", 0, { direction: "inbound" }),
        row("SM4", 0, { to: "+15559990000" }),
        row("SM5", 0, { from: null }),
      ]),
    );
    expect(sids(await listSent(server))).toEqual(["SM1", "SM5"]);
  });

  test("of a Messaging Service holds what has no sender yet, and what went by RCS", async () => {
    using server = scripted(({ query, path }) => {
      if (path.includes("/Services/"))
        return Response.json({ phone_numbers: [], short_codes: [], senders: [], meta: {} });
      if (query.get("To") === `rcs:${ALICE}`)
        return page([
          row("SM4", 0, { from: "rcs:brand", to: `rcs:${ALICE}`, messaging_service_sid: SERVICE_SID }),
        ]);
      return page([
        row("SM1", 0, { from: null, messaging_service_sid: SERVICE_SID, status: "accepted" }),
        row("SM2", 0, { messaging_service_sid: "MG0000000000000000000000000000000f" }),
        row("SM3", 0, { from: "+15559990000" }),
      ]);
    });
    expect(sids(await listSent(server, service))).toEqual(["SM1", "SM4"]);
  });

  test("is read page after page as far back as asked, and no further, whatever the carrier's clock tells", async () => {
    const history = fc.array(fc.integer({ min: 0, max: 7_200_000 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.integer({ min: 1, max: 7 }),
        fc.integer({ min: -86_400, max: 86_400 }),
        async (ages, size, seconds) => {
          const ahead = seconds * 1_000;
          const rows = ages.sort((a, b) => a - b).map((age, i) => row(`SM${i}`, age - ahead));
          using server = scripted(({ query }) => {
            const at = Number(query.get("Page") ?? 0);
            const more = (at + 1) * size < rows.length;
            const next = more ? `${MESSAGES}?Page=${at + 1}` : null;
            return page(rows.slice(at * size, (at + 1) * size), next, ahead);
          });
          const found = new Set(sids(await listSent(server)));
          for (const [i, age] of ages.entries())
            if (age < 3_600_000 - 1_000) expect(found.has(`SM${i}`)).toBe(true);
          const wanted = ages.filter((age) => age <= 3_600_000 + 1_000).length;
          expect(server.requests.length).toBeLessThanOrEqual(Math.floor(wanted / size) + 2);
        },
      ),
      { numRuns: 40 },
    );
  });

  test("is no list when a page fails, when a row cannot be read, and when it has no end", async () => {
    using failing = scripted(({ query }) =>
      query.get("Page") === "1" ? refusal(500, 20500, "oops") : page([row("SM1", 0)], `${MESSAGES}?Page=1`),
    );
    expect((await listSent(failing)).kind).toBe("unreachable");
    using odd = scripted(() => page([row("SM1", 0), { sid: "!" }]));
    expect((await listSent(odd)).kind).toBe("unreachable");
    using endless = scripted(() => page([row("SM1", 0)], `${MESSAGES}?Page=1`));
    expect((await listSent(endless)).kind).toBe("unreachable");
    using refused = scripted(() => refusal(401, 20003, "no"));
    expect((await listSent(refused)).kind).toBe("refused");
  });
});
