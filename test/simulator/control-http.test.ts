import { afterEach, expect, test } from "bun:test";
import { NUMBER, PHONE, startReceiver, startSimulator } from "./support.ts";

let simulator = startSimulator();
function start(...options: Parameters<typeof startSimulator>) {
  simulator = startSimulator(...options);
  return simulator;
}
afterEach(() => simulator.stop());

async function call(
  path: string,
  init: { method?: string; json?: unknown; headers?: Record<string, string> } = {},
) {
  const response = await fetch(`${simulator.origin}/simulator${path}`, {
    method: init.method ?? (init.json === undefined ? "GET" : "POST"),
    headers: { ...(init.json === undefined ? {} : { "Content-Type": "application/json" }), ...init.headers },
    ...(init.json === undefined ? {} : { body: JSON.stringify(init.json) }),
    signal: AbortSignal.timeout(5_000),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    json: text === "" ? undefined : JSON.parse(text),
  };
}

test("a phone texts, and what it sent and received can be read", async () => {
  const hook = startReceiver(
    () =>
      new Response("<Response><Message>welcome</Message></Response>", {
        headers: { "Content-Type": "text/xml" },
      }),
  );
  start({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
  const sent = await call("/inbound", {
    json: { from: PHONE, to: NUMBER, body: "hi", media_urls: ["data:text/plain,hey"] },
  });
  expect(sent).toMatchObject({ status: 201, json: { sid: expect.stringMatching(/^MM/) } });
  await hook.until(1);
  await simulator.settled();
  expect((await call("/phones")).json).toEqual({
    items: [{ address: PHONE, messages: 2, last_at: expect.stringMatching(/Z$/), opted_out_of: [] }],
  });
  expect((await call(`/phones/${encodeURIComponent(PHONE)}/messages`)).json).toEqual({
    items: [
      {
        sid: sent.json.sid,
        direction: "inbound",
        from: PHONE,
        to: NUMBER,
        text: "hi",
        media: [{ url: expect.stringContaining("/cdn/ME"), content_type: "text/plain" }],
        state: "received",
        segments: 1,
        at: expect.any(String),
      },
      {
        sid: expect.any(String),
        direction: "outbound",
        from: NUMBER,
        to: PHONE,
        text: "welcome",
        media: [],
        state: "delivered",
        segments: 1,
        at: expect.any(String),
        arrived_at: expect.any(String),
      },
    ],
  });
  expect((await call("/phones/+15550009999/messages")).json).toEqual({ items: [] });
  await hook.stop();
});

test("faults are ordered, listed and taken back", async () => {
  start();
  const made = await call("/faults", { json: { on: "send", kind: "slow", delay: 0.5, times: 3 } });
  const fault = { id: "fault-1", on: "send", kind: "slow", delay: "500ms", times: 3 };
  expect(made).toMatchObject({ status: 201, json: fault });
  await call("/faults", { json: { on: "inbound", kind: "lost" } });
  expect((await call("/faults")).json.items).toHaveLength(2);
  expect((await call("/faults?id=fault-1", { method: "DELETE" })).status).toBe(204);
  expect((await call("/faults/fault-1", { method: "DELETE" })).status).toBe(404);
  expect((await call("/faults")).json).toEqual({ items: [{ id: "fault-2", on: "inbound", kind: "lost" }] });
  expect((await call("/faults", { method: "DELETE" })).status).toBe(204);
  expect((await call("/faults")).json).toEqual({ items: [] });
});

test("wrong input is answered with the fields", async () => {
  start();
  const unknown = await call("/faults", { json: { on: "send", kind: "explode" } });
  expect(unknown.status).toBe(422);
  expect(unknown.headers.get("Content-Type")).toBe("application/problem+json");
  expect(unknown.json).toMatchObject({
    status: 422,
    errors: [{ path: "kind", message: expect.stringContaining("timeout_after") }],
  });
  const text = await call("/inbound", { json: { from: 5, to: NUMBER, media_urls: "x", bdoy: "" } });
  expect(text.json.errors.map((error: { path: string }) => error.path)).toEqual([
    "from",
    "body",
    "media_urls",
    "bdoy",
  ]);
  expect(
    (await call("/inbound", { json: { from: PHONE, to: "+15550000000", body: "x" } })).json.errors[0],
  ).toEqual({
    path: "to",
    message: expect.stringContaining(NUMBER),
  });
  expect((await call("/inbound", { json: [] })).status).toBe(422);
});

test("bodies must be JSON and say so", async () => {
  start();
  const post = (body: string, type: string) =>
    fetch(`${simulator.origin}/simulator/inbound`, {
      method: "POST",
      headers: { "Content-Type": type },
      body,
    });
  expect((await post("{}", "text/plain")).status).toBe(422);
  expect((await post("{", "application/json")).status).toBe(422);
});

test("web pages of others are kept out", async () => {
  start();
  const host = new URL(simulator.origin).host;
  expect((await call("/phones", { headers: { Host: "rebound.example.com" } })).status).toBe(403);
  expect((await call("/phones", { headers: { Origin: "https://example.com" } })).status).toBe(403);
  expect((await call("/phones", { headers: { Origin: "null" } })).status).toBe(403);
  expect((await call("/phones", { headers: { Origin: `http://${host}` } })).status).toBe(200);
  expect(
    (await call("/phones", { headers: { Host: `localhost:${new URL(simulator.origin).port}` } })).status,
  ).toBe(200);
});

test("other paths and methods are 404 and 405", async () => {
  start();
  expect((await call("/nothing")).status).toBe(404);
  expect((await call("/phones/x/y")).status).toBe(404);
  expect((await call("/inbound")).status).toBe(405);
  expect((await call("/phones", { method: "DELETE" })).headers.get("Allow")).toBe("GET");
});

test("numbers are listed and set up as in the carrier's console", async () => {
  const hook = startReceiver();
  start();
  expect((await call("/numbers")).json.items).toMatchObject([
    { number: NUMBER, whatsapp: false, sms_url: "" },
  ]);
  const address = "whatsapp:+15551230002";
  const put = (json: unknown, number = address) =>
    call(`/numbers/${encodeURIComponent(number)}`, { method: "PUT", json });
  expect(await put({ sms_url: `${hook.url}/in` })).toMatchObject({
    status: 200,
    json: { number: "+15551230002", whatsapp: true, sms_url: `${hook.url}/in` },
  });
  await simulator.control.inbound({ from: `whatsapp:${PHONE}`, to: address, body: "hi" });
  expect((await hook.until(1))[0]?.form.get("To")).toBe(address);
  expect((await put({ sms_url: "" })).json.sms_url).toBe("");
  const paths = async (answer: ReturnType<typeof put>) =>
    (await answer).json.errors.map((error: { path: string }) => error.path);
  expect(await paths(put({ sms_url: "x", whatsapp: "yes", foo: 1 }))).toEqual(["whatsapp", "sms_url", "foo"]);
  expect(await paths(put({ account_sid: "AC1" }))).toEqual(["account_sid"]);
  expect(await paths(put({}, "home"))).toEqual(["number"]);
  expect((await call("/numbers", { method: "DELETE" })).status).toBe(405);
  await hook.stop();
});

test("in open mode a number of the only account exists once it is texted", async () => {
  start({ accounts: [], numbers: [], open: true });
  const inbound = () => call("/inbound", { json: { from: PHONE, to: NUMBER, body: "hi" } });
  expect((await inbound()).json.errors[0].message).toContain("there are none yet");
  await simulator.api(".json");
  expect((await inbound()).status).toBe(201);
  expect((await simulator.api("/Messages.json")).json.messages).toMatchObject([{ body: "hi", to: NUMBER }]);
});
