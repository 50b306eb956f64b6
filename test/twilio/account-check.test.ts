import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { ChannelSettings } from "../../src/settings.ts";
import { checkAccount, checkCampaign, checkClock } from "../../src/twilio/account-check.ts";
import { systemClock } from "../support/clock.ts";

setDefaultTimeout(20_000);

const ACCOUNT = "AC0123456789abcdef0123456789abcdef";
const LONG_CODE = "+12125550123";
const TOLL_FREE = "+18885550123";
const PN = `PN${"1".repeat(32)}`;
const MG = `MG${"1".repeat(32)}`;

type Answers = Readonly<Record<string, unknown>>;

let server: Bun.Server<undefined> | undefined;
afterEach(() => server?.stop(true));

/** A carrier that answers these paths, and 404 to all others. `date` is what its answers say. */
function carrier(answers: Answers, date = new Date().toUTCString()) {
  const asked: string[] = [];
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url);
      asked.push(`${request.method} ${pathname} ${request.headers.get("authorization") ?? ""}`.trim());
      const answer = answers[pathname];
      return Response.json(answer ?? { code: 20404, message: "not found" }, {
        status: answer === undefined ? 404 : 200,
        headers: { date },
      });
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  return { account: { accountSid: ACCOUNT, authToken: "t0ken", apiUrl: url, messagingUrl: url }, asked };
}

const seams = {
  fetch,
  clock: systemClock,
  log: { debug() {}, info() {}, warn() {}, error() {} },
  countryOf: (address: string) => (address.startsWith("+1212") || address.startsWith("+1888") ? "US" : "CA"),
};
const signal = new AbortController().signal;

describe("the account", () => {
  const path = `/2010-04-01/Accounts/${ACCOUNT}.json`;

  test.each([
    ["active", "Full", "ok", "the credentials work"],
    ["active", "Trial", "warn", "trial account"],
    ["suspended", "Full", "fail", "the account is suspended"],
  ] as const)("that is %s and %s is %s", async (status, type, wanted, words) => {
    const { account } = carrier({ [path]: { status, type } });
    const finding = await checkAccount(account, seams, signal);
    expect(finding.status).toBe(wanted);
    expect(finding.detail).toContain(words);
  });

  test("with wrong credentials says so, with what to do", async () => {
    const { account } = carrier({});
    const finding = await checkAccount(account, seams, signal);
    expect(finding.status).toBe("fail");
    expect(finding.fix).toBeString();
  });
});

describe("the clock", () => {
  test("is compared with the carrier's, without a credential", async () => {
    const { account, asked } = carrier({});
    expect(await checkClock(account, seams, signal)).toMatchObject({ name: "clock", status: "ok" });
    expect(asked).toEqual(["HEAD /"]);
  });

  test.each([
    [-600_000, "ahead of"],
    [600_000, "behind"],
  ])("that differs by %p ms is told", async (ms, words) => {
    const { account } = carrier({}, new Date(Date.now() + ms).toUTCString());
    const finding = await checkClock(account, seams, signal);
    expect(finding.status).toBe("warn");
    expect(finding.detail).toContain(words);
    expect(finding.detail).toMatch(/^(599|600|601) s/);
  });
});

describe("a sender's standing with US carriers", () => {
  const numbers = `/2010-04-01/Accounts/${ACCOUNT}/IncomingPhoneNumbers.json`;
  const capabilities = { sms: true };
  const row = (phone_number: string) => ({
    incoming_phone_numbers: [{ sid: PN, phone_number, capabilities }],
  });
  const services = (...sids: readonly string[]) => ({ services: sids.map((sid) => ({ sid })), meta: {} });
  const campaign = (...states: readonly string[]) => ({
    compliance: states.map((campaign_status) => ({ campaign_status })),
  });

  async function standing(from: string, answers: Answers) {
    const { account } = carrier(answers);
    const sender = from.startsWith("MG")
      ? { kind: "service" as const, sid: from }
      : { kind: "number" as const, number: from };
    const channel = { id: "sms", sender, account } as ChannelSettings;
    return checkCampaign(channel, seams, signal);
  }

  test("a long code in no Messaging Service has no campaign", async () => {
    const [finding] = await standing(LONG_CODE, { [numbers]: row(LONG_CODE), "/v1/Services": services() });
    expect(finding).toMatchObject({ status: "warn" });
    expect(finding?.detail).toContain("30034");
  });

  test.each([
    [["VERIFIED"], "ok"],
    [["FAILED", "VERIFIED"], "ok"],
    [["IN_PROGRESS"], "warn"],
    [[], "warn"],
  ] as const)("a long code whose service's campaigns are %p is %p", async (states, wanted) => {
    const [finding] = await standing(LONG_CODE, {
      [numbers]: row(LONG_CODE),
      "/v1/Services": services(MG),
      [`/v1/Services/${MG}/PhoneNumbers/${PN}`]: { sid: PN, phone_number: LONG_CODE },
      [`/v1/Services/${MG}/Compliance/Usa2p`]: campaign(...states),
    });
    expect(finding?.status).toBe(wanted);
  });

  test("a Messaging Service is asked for its campaign itself", async () => {
    const [finding] = await standing(MG, { [`/v1/Services/${MG}/Compliance/Usa2p`]: campaign("VERIFIED") });
    expect(finding?.status).toBe("ok");
  });

  test.each([
    [["TWILIO_APPROVED"], "ok"],
    [["PENDING_REVIEW"], "warn"],
    [[], "warn"],
  ] as const)("a toll-free number whose verifications are %p is %p", async (states, wanted) => {
    const [finding] = await standing(TOLL_FREE, {
      [numbers]: row(TOLL_FREE),
      "/v1/Tollfree/Verifications": { verifications: states.map((status) => ({ status })) },
    });
    expect(finding?.status).toBe(wanted);
  });

  test("nothing is said of senders outside the United States", async () => {
    expect(await standing("+15145550123", { [numbers]: row("+15145550123") })).toEqual([]);
    expect(await standing("+4915550123456", {})).toEqual([]);
  });

  test("what may not be read is said not to be known", async () => {
    const [finding] = await standing(LONG_CODE, { [numbers]: row(LONG_CODE) });
    expect(finding?.detail).toContain("could not be read");
  });
});
