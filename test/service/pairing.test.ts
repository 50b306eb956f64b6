import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import {
  inboundParameters,
  NUMBER,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

async function start(options: ServiceOptions = {}): Promise<Service> {
  const service = closing(await startService(options));
  return service;
}

const MINUTE = 60_000;
const OTHER = "+15557650002";
const THIRD = "+15557650003";

async function channel(running: Service, id = "sms") {
  return (await running.api("GET", `/channels/${id}`)).body;
}

async function code(running: Service): Promise<string> {
  return (await channel(running)).pairing.code;
}

async function freshCode(running: Service, id = "sms"): Promise<string> {
  const { status, body } = await running.api("POST", `/channels/${id}/pairing`);
  expect(status).toBe(201);
  return body.code;
}

async function addresses(running: Service, id = "sms"): Promise<{ address: string; label?: string }[]> {
  return (await running.api("GET", `/channels/${id}/addresses`)).body.items;
}

/** A code of the right shape that is not `right`. */
function wrong(right: string, n = 0): string {
  const symbols = "ABCDEFGHJKMNPQRSTUVWXYZ23456789";
  const made = `ABCD-EF${symbols[n % 31]}${symbols[(n * 7 + 3) % 31]}`;
  return made === right ? wrong(right, n + 1) : made;
}

describe("a channel nobody may text yet", () => {
  test("shows a code, where to text it, and a link that opens the phone's composer", async () => {
    const running = await start();
    const shown = await channel(running);
    expect(shown).toMatchObject({ status: "pairing", paired_addresses: 0 });
    expect(shown.reason).toBeString();
    expect(shown.fix).toContain(shown.pairing.code);
    expect(shown.pairing.code).toMatch(
      /^[ABCDEFGHJKMNPQRSTUVWXYZ23456789]{4}-[ABCDEFGHJKMNPQRSTUVWXYZ23456789]{4}$/,
    );
    expect(shown.pairing.number).toBe(NUMBER);
    expect(decodeURIComponent(shown.pairing.sms_uri)).toBe(`sms:${NUMBER}?body=${shown.pairing.code}`);
    const valid = Date.parse(shown.pairing.expires_at) - Date.now();
    expect(valid).toBeGreaterThan(9 * MINUTE);
    expect(valid).toBeLessThanOrEqual(10 * MINUTE);
    const [line] = await running.logged("pairing.code", { channel: "sms" });
    expect(line?.fields.code).toBe(shown.pairing.code);
  });

  test("links to WhatsApp where the channel's number is a WhatsApp sender", async () => {
    const running = await start({
      config: { channels: { sms: { ...SMS, from_number: `whatsapp:${NUMBER}` } } },
    });
    const { pairing } = await channel(running);
    expect(pairing.sms_uri).toBe(`https://wa.me/${NUMBER.slice(1)}?text=${pairing.code}`);
  });

  test("is not in pairing when sms.yaml admits senders, or captures signals only", async () => {
    const running = await start({
      config: {
        channels: {
          sms: { ...SMS, allowed_senders: [PHONE] },
          open: { ...SMS, from_number: "+15550100002", allow_all_senders: true },
          codes: { ...SMS, from_number: "+15550100003", mode: "signal" },
          off: { ...SMS, from_number: "+15550100004", enabled: false },
        },
      },
    });
    for (const id of ["sms", "open", "codes"]) {
      const shown = await channel(running, id);
      expect([id, shown.status, shown.pairing]).toEqual([id, "connected", undefined]);
    }
    expect(await channel(running, "off")).toMatchObject({ status: "disabled" });
    expect((await channel(running, "off")).fix).toContain("enabled");
    expect((await running.api("POST", "/channels/off/pairing")).status).toBe(409);
  });

  test("accepts the code in any case, with spaces, hyphens or none", async () => {
    const forms = [
      (shown: string) => shown,
      (shown: string) => shown.toLowerCase(),
      (shown: string) => shown.replace("-", ""),
      (shown: string) => `  ${shown.replace("-", " – ")} \n`,
      (shown: string) => [...shown.replace("-", "").toLowerCase()].join(" "),
    ];
    const running = await start();
    for (const [i, form] of forms.entries()) {
      const phone = `+1555765100${i}`;
      await running.text(phone, form(i === 0 ? await code(running) : await freshCode(running)));
      await running.received(phone, 1);
    }
    expect(await addresses(running)).toHaveLength(forms.length);
  });

  test("does not take a code with anything else in the body", async () => {
    const running = await start();
    const right = await code(running);
    for (const body of [
      `My code is ${right}`,
      `${right}.`,
      `${right} ${right}`,
      `#${right}`,
      right.slice(0, -1),
    ])
      await running.admitted(PHONE, body);
    expect(await addresses(running)).toEqual([]);
    expect(await code(running)).toBe(right);
  });

  test("confirms a pairing with exactly one text, and is connected", async () => {
    const running = await start();
    const right = await code(running);
    const sid = await running.admitted(PHONE, right);
    await running.received(PHONE, 1);
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(1);
    expect(await running.message(sid)).toMatchObject({ route: "pairing", state: "handled", from: PHONE });
    expect(await channel(running)).toMatchObject({ status: "connected", paired_addresses: 1 });
    const [paired] = await addresses(running);
    expect(paired).toMatchObject({ address: PHONE, paired_at: expect.any(String) });
  });

  test("takes a code once, also when two phones text it at the same moment", async () => {
    const running = await start();
    const right = await code(running);
    const phones = [PHONE, OTHER, THIRD];
    const answers = await Promise.all(
      phones.map((from) => running.webhook(inboundParameters(running, { From: from, Body: right }))),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    await running.logged("send.accepted");
    await running.app.idle();
    expect(await addresses(running)).toHaveLength(1);
    const { body } = await running.api("GET", "/messages?direction=outbound");
    expect(body.items).toHaveLength(1);
    await running.admitted(STRANGER, right);
    expect(await addresses(running)).toHaveLength(1);
  });

  test("replaces an expired code by a fresh one, and redeems only the fresh one", async () => {
    const clock = manualClock();
    const running = await start({ clock });
    const first = await code(running);
    await clock.advance(10 * MINUTE - 1);
    expect(await code(running)).toBe(first);
    await clock.advance(1);
    await running.logged("pairing.code", {}, 2);
    const second = await code(running);
    expect(second).not.toBe(first);
    await running.admitted(PHONE, first);
    expect(await addresses(running)).toEqual([]);
    await running.pair();
    expect(await addresses(running)).toHaveLength(1);
  });

  test("keeps its pending code and its paired addresses over a restart", async () => {
    let running = await start();
    const right = await code(running);
    running = await running.restart();
    expect(await code(running)).toBe(right);
    await running.pair();
    await running.api("PATCH", `/channels/sms/addresses/${encodeURIComponent(PHONE)}`, { label: "Ann" });
    const second = await freshCode(running);
    running = await running.restart();
    expect(await channel(running)).toMatchObject({ status: "connected", paired_addresses: 1 });
    expect(await addresses(running)).toMatchObject([{ address: PHONE, label: "Ann" }]);
    await running.text(OTHER, second);
    await running.received(OTHER, 1);
    expect(await addresses(running)).toHaveLength(2);
  });

  test("shows a code that is still valid once in the log of each process", async () => {
    const clock = manualClock();
    let running = await start({ clock });
    const right = await code(running);
    running = await running.restart();
    const lines = () => running.logs.filter(({ event }) => event === "pairing.code");
    await running.logged("channel.status", { status: "pairing" });
    expect(lines().map(({ fields }) => [fields.code, fields.number])).toEqual([[right, "+1555***0001"]]);
    await clock.advance(10 * MINUTE);
    await running.logged("pairing.code", {}, 2);
    expect(lines().map(({ fields }) => fields.code)).toEqual([right, await code(running)]);
  });

  test("withdraws a code on request and puts a fresh one in its place while nobody is paired", async () => {
    const running = await start();
    const right = await code(running);
    expect((await running.api("DELETE", "/channels/sms/pairing")).status).toBe(204);
    const next = await code(running);
    expect(next).not.toBe(right);
    await running.admitted(PHONE, right);
    expect(await addresses(running)).toEqual([]);
    await running.pair();
    await freshCode(running);
    expect((await running.api("DELETE", "/channels/sms/pairing")).status).toBe(204);
    expect((await channel(running)).pairing).toBeUndefined();
    expect((await running.api("DELETE", "/channels/sms/pairing")).status).toBe(404);
  });
});

describe("guessing pairing codes", () => {
  test("does not lock out who was wrong four times, or five times in more than ten minutes", async () => {
    const clock = manualClock();
    const running = await start({ clock });
    await running.pair();
    let right = await freshCode(running);
    for (let i = 0; i < 4; i++) await running.admitted(STRANGER, wrong(right, i));
    await clock.advance(9 * MINUTE);
    right = await freshCode(running);
    await clock.advance(1 * MINUTE + 1);
    await running.admitted(STRANGER, wrong(right, 9));
    await running.text(STRANGER, right);
    await running.received(STRANGER, 1);
    expect(await addresses(running)).toHaveLength(2);
  });

  test("leaves a wrong code on its normal route", async () => {
    const running = await start({ config: { channels: { sms: { ...SMS, allow_all_senders: true } } } });
    const right = await freshCode(running);
    const guess = wrong(right);
    const sid = await running.admitted(STRANGER, guess);
    const texts = await running.received(STRANGER, 1);
    expect(texts[0]?.text).toBe(guess);
    expect(await running.message(sid)).toMatchObject({ route: "message" });
  });

  test("does not count what a paired phone texts", async () => {
    const running = await start();
    await running.pair();
    const right = await freshCode(running);
    for (let i = 0; i < 6; i++) await running.admitted(PHONE, wrong(right, i));
    await running.admitted(PHONE, right);
    const paired = async () =>
      (await running.inbox(PHONE)).filter(({ text }) => text.startsWith("This phone is paired"));
    await running.until(async () => (await paired()).length === 2, "the second code to be taken");
    expect((await channel(running)).pairing).toBeUndefined();
  });

  test("keeps a lock over a restart", async () => {
    let running = await start();
    await running.pair();
    const right = await freshCode(running);
    for (let i = 0; i < 5; i++) await running.admitted(STRANGER, wrong(right, i));
    running = await running.restart();
    await running.admitted(STRANGER, right);
    expect(await addresses(running)).toHaveLength(1);
  });
});

describe("a pending code", () => {
  test("is replaced by the next one that is asked for", async () => {
    const running = await start();
    const first = await freshCode(running);
    const second = await freshCode(running);
    expect(await code(running)).toBe(second);
    await running.admitted(PHONE, first);
    expect(await addresses(running)).toEqual([]);
    await running.pair();
  });

  test("pairs with its own channel only", async () => {
    const second = { ...SMS, from_number: "+15550100002" };
    const running = await start({ config: { channels: { sms: SMS, second } } });
    const right = await code(running);
    await running.admitted(PHONE, right, second.from_number);
    expect(await addresses(running, "second")).toEqual([]);
    expect(await addresses(running)).toEqual([]);
    await running.pair();
    expect(await addresses(running, "second")).toEqual([]);
    expect(await channel(running, "second")).toMatchObject({ status: "pairing" });
  });

  test("is redeemed by a phone that has opted out, without a confirmation", async () => {
    const running = await start({ config: { channels: { sms: { ...SMS, allow_all_senders: true } } } });
    await running.text(PHONE, "STOP");
    await running.received(PHONE, 1);
    await running.logged("inbound.admitted", { action: "opt_out" });
    await running.admitted(PHONE, await freshCode(running));
    await running.app.idle();
    expect(await addresses(running)).toHaveLength(1);
    const { body } = await running.api("GET", "/messages?direction=outbound");
    expect(body.items).toHaveLength(1);
    expect(body.items[0]).toMatchObject({ state: "suppressed", to: PHONE });
    expect(body.items[0].error.fix).toContain("START");
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });
});

describe("paired addresses", () => {
  test("are named by PATCH, and lose the name with null", async () => {
    const running = await start();
    await running.pair();
    const path = `/channels/sms/addresses/${encodeURIComponent(PHONE)}`;
    const named = await running.api("PATCH", path, { label: " Ann's phone " });
    expect([named.status, named.body]).toEqual([
      200,
      { address: PHONE, label: "Ann's phone", paired_at: expect.any(String) },
    ]);
    expect((await running.api("PATCH", path, { label: null })).body.label).toBeUndefined();
    expect((await running.api("PATCH", path, { label: "" })).status).toBe(400);
    expect((await running.api("PATCH", path, { name: "x" })).status).toBe(400);
    expect(
      (await running.api("PATCH", "/channels/sms/addresses/%2B15550000000", { label: "x" })).status,
    ).toBe(404);
    expect(
      (await running.api("PATCH", `/channels/none/addresses/${encodeURIComponent(PHONE)}`, { label: "x" }))
        .status,
    ).toBe(404);
  });

  test("get the label that sms.yaml gives an allowed sender", async () => {
    const running = await start({
      config: { channels: { sms: { ...SMS, allowed_senders: [{ address: PHONE, label: "Grandma" }] } } },
    });
    await running.text(PHONE, await freshCode(running));
    await running.received(PHONE, 1);
    expect(await addresses(running)).toMatchObject([{ address: PHONE, label: "Grandma" }]);
  });

  test("keep their label when they are paired once more", async () => {
    const running = await start();
    await running.pair();
    await running.api("PATCH", `/channels/sms/addresses/${encodeURIComponent(PHONE)}`, { label: "Ann" });
    await running.pair();
    expect(await addresses(running)).toMatchObject([{ address: PHONE, label: "Ann" }]);
  });

  test("are revoked by DELETE: the phone is a stranger again, and the last one brings pairing back", async () => {
    const running = await start();
    await running.pair(PHONE);
    await running.pair(OTHER);
    const revoke = (address: string) =>
      running.api("DELETE", `/channels/sms/addresses/${encodeURIComponent(address)}`);
    expect((await revoke(PHONE)).status).toBe(204);
    expect((await revoke(PHONE)).status).toBe(404);
    const sid = await running.admitted(PHONE, "am I still in?");
    expect(await running.message(sid)).toMatchObject({ state: "dropped", from: "+1555***4321" });
    expect(await channel(running)).toMatchObject({ status: "connected", paired_addresses: 1 });
    expect((await revoke(OTHER)).status).toBe(204);
    const shown = await channel(running);
    expect(shown).toMatchObject({ status: "pairing", paired_addresses: 0 });
    expect(shown.pairing.code).toBeString();
  });
});
