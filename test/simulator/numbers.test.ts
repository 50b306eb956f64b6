import { afterEach, describe, expect, test } from "bun:test";
import twilio from "twilio";
import { createSimulator, type Simulator } from "../../src/simulator/simulator.ts";
import { systemClock } from "../support/clock.ts";
import {
  ACCOUNT,
  NUMBER,
  PHONE,
  random,
  recordingLog,
  request,
  SERVICE,
  startReceiver,
  startSimulator,
  TOKEN,
} from "./support.ts";

let simulator = startSimulator();
function start(...options: Parameters<typeof startSimulator>) {
  simulator = startSimulator(...options);
  return simulator;
}
afterEach(() => simulator.stop());
const auth = `${ACCOUNT}:${TOKEN}`;
const find = (query: string) => simulator.api(`/IncomingPhoneNumbers.json${query}`);
const numbersOf = async (query: string) =>
  (await find(query)).json.incoming_phone_numbers.map((row: { phone_number: string }) => row.phone_number);

describe("phone numbers", () => {
  const three = [
    { number: NUMBER, friendlyName: "home" },
    { number: "+15551230001" },
    { number: "+442071838750" },
  ];

  test("are found by any part of the number, by wildcard and by name", async () => {
    start({ numbers: [...three, { number: "22000" }] });
    expect(await numbersOf("")).toEqual(["+442071838750", "+15551230001", NUMBER]);
    expect(await numbersOf(`?PhoneNumber=${encodeURIComponent(NUMBER)}`)).toEqual([NUMBER]);
    expect(await numbersOf("?PhoneNumber=5551230")).toEqual(["+15551230001", NUMBER]);
    expect(await numbersOf("?PhoneNumber=%2B1555123000*")).toHaveLength(2);
    expect(await numbersOf("?PhoneNumber=%2B19999999999")).toEqual([]);
    expect(await numbersOf("?FriendlyName=home")).toEqual([NUMBER]);
  });

  test("come in pages", async () => {
    start({ numbers: three });
    const first = (await find("?PageSize=2")).json;
    expect(first.incoming_phone_numbers).toHaveLength(2);
    const second = (await request(simulator.origin + first.next_page_uri, { auth })).json;
    expect(second.incoming_phone_numbers).toMatchObject([{ phone_number: NUMBER }]);
    expect(second.next_page_uri).toBeNull();
  });

  test("have Twilio's shape and take webhooks", async () => {
    start();
    const [row] = (await find("")).json.incoming_phone_numbers;
    expect(row).toMatchObject({
      account_sid: ACCOUNT,
      phone_number: NUMBER,
      capabilities: { voice: false, sms: true, mms: true, fax: false },
      sms_url: "",
      sms_method: "POST",
      sms_application_sid: "",
    });
    expect(row.sid).toMatch(/^PN[0-9a-f]{32}$/);
    const path = `/IncomingPhoneNumbers/${row.sid}.json`;
    const change = {
      SmsUrl: "http://127.0.0.1:9/in#rc=3&rp=ct,rt,5xx",
      SmsMethod: "get",
      SmsFallbackUrl: "http://127.0.0.1:9/fb",
      SmsFallbackMethod: "POST",
    };
    expect((await simulator.api(path, { form: change })).json).toMatchObject({
      sms_url: change.SmsUrl,
      sms_method: "GET",
      sms_fallback_url: change.SmsFallbackUrl,
    });
    expect(
      (await simulator.api(path, { form: { SmsApplicationSid: `AP${"1".repeat(32)}` } })).json,
    ).toMatchObject({
      sms_application_sid: `AP${"1".repeat(32)}`,
      sms_url: change.SmsUrl,
    });
    expect((await simulator.api(path, { form: { SmsApplicationSid: "", SmsUrl: "" } })).json).toMatchObject({
      sms_application_sid: "",
      sms_url: "",
    });
  });

  test.each([
    [{ SmsUrl: "not a url" }, 21_402],
    [{ SmsMethod: "PUT" }, 21_403],
    [{ SmsFallbackUrl: "http://x/" }, 21_406],
    [{ SmsApplicationSid: "X" }, 20_001],
  ])("%j is refused", async (form, code) => {
    start();
    const [row] = (await find("")).json.incoming_phone_numbers;
    expect((await simulator.api(`/IncomingPhoneNumbers/${row.sid}.json`, { form })).json.code).toBe(code);
  });
});

describe("Messaging Services", () => {
  const call = (path: string, form?: Record<string, string>, method?: string) =>
    request(`${simulator.origin}/v1/Services${path}`, {
      auth,
      ...(form ? { form } : {}),
      ...(method === undefined ? {} : { method }),
    });

  test("are made, changed, joined by numbers, and taken away", async () => {
    start();
    const made = await call("", { FriendlyName: "alerts" });
    expect(made).toMatchObject({
      status: 201,
      json: { friendly_name: "alerts", inbound_request_url: null, use_inbound_webhook_on_number: false },
    });
    const { sid } = made.json;
    expect(sid).toMatch(/^MG[0-9a-f]{32}$/);
    const changed = await call(`/${sid}`, {
      InboundRequestUrl: "http://127.0.0.1:9/in",
      UseInboundWebhookOnNumber: "true",
      StickySender: "false",
    });
    expect(changed.json).toMatchObject({
      inbound_request_url: "http://127.0.0.1:9/in",
      use_inbound_webhook_on_number: true,
      sticky_sender: false,
      friendly_name: "alerts",
    });
    expect((await call(`/${sid}`, { InboundRequestUrl: "" })).json.inbound_request_url).toBeNull();
    expect((await call(`/${sid}`, { InboundRequestUrl: "x" })).json.code).toBe(20_001);

    const [number] = (await find("")).json.incoming_phone_numbers;
    const joined = await call(`/${sid}/PhoneNumbers`, { PhoneNumberSid: number.sid });
    expect(joined).toMatchObject({
      status: 201,
      json: { sid: number.sid, phone_number: NUMBER, service_sid: sid },
    });
    expect((await call(`/${sid}/PhoneNumbers`, { PhoneNumberSid: number.sid })).json.code).toBe(21_710);
    expect((await call(`/${sid}/PhoneNumbers`, { PhoneNumberSid: "PN1" })).status).toBe(404);
    expect((await call(`/${sid}/PhoneNumbers`)).json).toMatchObject({
      meta: { key: "phone_numbers", next_page_url: null },
      phone_numbers: [{ phone_number: NUMBER, capabilities: ["MMS", "SMS"] }],
    });
    expect((await simulator.send({ From: sid })).json.messaging_service_sid).toBe(sid);
    expect((await call(`/${sid}/PhoneNumbers/${number.sid}`, undefined, "DELETE")).status).toBe(204);
    expect((await simulator.send({ From: sid })).json.code).toBe(21_703);
    expect((await call("")).json.services).toHaveLength(1);
    expect((await call(`/${sid}`, undefined, "DELETE")).status).toBe(204);
    expect((await call(`/${sid}`)).json.code).toBe(20_404);
  });

  test("of nobody are not found", async () => {
    start();
    expect((await call(`/${SERVICE}`)).json).toMatchObject({ code: 20_404, status: 404 });
  });
});

describe("open mode", () => {
  const other = `AC${"9".repeat(32)}`;
  const as = (credential: string) => (path: string, form?: Record<string, string>) =>
    request(`${simulator.origin}${path}`, { auth: credential, ...(form ? { form } : {}) });

  test("makes an account of the first token it is used with, and keeps to it", async () => {
    start({ accounts: [], numbers: [], open: true });
    const path = `/2010-04-01/Accounts/${other}.json`;
    expect((await as(`${other}:one`)(path)).status).toBe(200);
    expect((await as(`${other}:two`)(path)).json.code).toBe(20_003);
    expect((await as(`${other}:one`)(path)).status).toBe(200);
    expect((await request(simulator.origin + path)).status).toBe(401);
  });

  test("is the default without accounts", async () => {
    const seams = { clock: systemClock, random, fetch, log: recordingLog() };
    const status = async (made: Simulator) => {
      const headers = { Authorization: `Basic ${btoa(`${other}:x`)}` };
      const asked = new Request(`http://localhost/2010-04-01/Accounts/${other}.json`, { headers });
      return (await made.fetch(asked)).status;
    };
    expect(await status(createSimulator(seams))).toBe(200);
    expect(await status(createSimulator({ ...seams, accounts: [{ sid: ACCOUNT, authToken: TOKEN }] }))).toBe(
      401,
    );
  });

  test("learns API keys of accounts it knows, and says what to do about others", async () => {
    start({ accounts: [], numbers: [], open: true });
    const path = `/2010-04-01/Accounts/${other}.json`;
    expect((await as("SK1:secret")(path)).json).toMatchObject({
      code: 20_003,
      message: expect.stringContaining("auth token first"),
    });
    await as(`${other}:one`)(path);
    expect((await as("SK1:secret")(path)).status).toBe(200);
    expect((await as("SK1:other")(path)).json.code).toBe(20_003);
  });

  test("makes numbers that are looked up exactly or sent from, and services that are used", async () => {
    start({ accounts: [], numbers: [], open: true });
    const api = as(`${other}:one`);
    const base = `/2010-04-01/Accounts/${other}`;
    expect(
      (await api(`${base}/IncomingPhoneNumbers.json?PhoneNumber=555`)).json.incoming_phone_numbers,
    ).toEqual([]);
    const exact = await api(`${base}/IncomingPhoneNumbers.json?PhoneNumber=%2B15557770001`);
    expect(exact.json.incoming_phone_numbers).toMatchObject([{ phone_number: "+15557770001" }]);
    const send = { To: PHONE, From: "+15557770002", Body: "x" };
    expect((await api(`${base}/Messages.json`, send)).status).toBe(201);
    const whatsapp = { To: `whatsapp:${PHONE}`, From: "whatsapp:+15557770002", Body: "x" };
    expect((await api(`${base}/Messages.json`, whatsapp)).status).toBe(201);
    expect((await api(`${base}/IncomingPhoneNumbers.json`)).json.incoming_phone_numbers).toHaveLength(2);
    // Another account cannot have the same number.
    const thief = `AC${"8".repeat(32)}`;
    expect((await as(`${thief}:x`)(`/2010-04-01/Accounts/${thief}/Messages.json`, send)).json.code).toBe(
      21_660,
    );

    expect((await api(`/v1/Services/${SERVICE}`)).json).toMatchObject({
      sid: SERVICE,
      use_inbound_webhook_on_number: true,
    });
    expect((await api(`/v1/Services/${SERVICE}/PhoneNumbers`)).json.phone_numbers).toHaveLength(1);
  });

  test("signs with the token it has learnt", async () => {
    const hook = startReceiver();
    start({ accounts: [], numbers: [], open: true });
    const api = as(`${other}:learnt`);
    const base = `/2010-04-01/Accounts/${other}`;
    const [row] = (await api(`${base}/IncomingPhoneNumbers.json?PhoneNumber=%2B15557770001`)).json
      .incoming_phone_numbers;
    await api(`${base}/IncomingPhoneNumbers/${row.sid}.json`, { SmsUrl: `${hook.url}/in` });
    await simulator.control.inbound({ from: PHONE, to: "+15557770001", body: "hi" });
    const [call] = await hook.until(1);
    const signature = call?.headers.get("X-Twilio-Signature") ?? "";
    expect(twilio.validateRequest("learnt", signature, call?.url ?? "", call?.params ?? {})).toBe(true);
    await hook.stop();
  });
});

test("one account may be named twice, and its numbers add up", async () => {
  start({
    accounts: [
      { sid: ACCOUNT, authToken: TOKEN, numbers: [NUMBER] },
      { sid: ACCOUNT, authToken: TOKEN, numbers: ["+15551230001"] },
    ],
    numbers: [],
    services: [{ sid: SERVICE }],
  });
  expect(await numbersOf("")).toHaveLength(3); // the service without numbers has one of its own
});

test("seeds that contradict each other stop the start", () => {
  const service = { sid: SERVICE, numbers: ["+15550000000"] };
  expect(() => startSimulator({ services: [service] })).toThrow("no number +15550000000");
  expect(() => startSimulator({ accounts: [] })).toThrow(`no account for ${NUMBER}`);
});
