import { afterEach, describe, expect, test } from "bun:test";
import { openLog } from "../../src/log/logtape.ts";
import { manualClock } from "../support/clock.ts";
import { inboundParameters, type Service, SMS, startService } from "../support/service.ts";

let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

/** Everything that begins a line of its own, moves a cursor, hides what stands before or looks like a line of ours. */
const EVIL = [
  'a\n{"time":"2026-01-01T00:00:00.000Z","level":"error","event":"forged"}',
  "a\r\nforged",
  "\u001b[2J\u001b[1;31mforged",
  "\u009b2Jforged",
  "a\u2028forged\u2029forged",
  "\u202edegrof",
  "a\0b",
  "\u007f\u0085",
  '","level":"error","x":"',
  "\ud800",
  "\u{e0041}\u200b\u2066",
];

describe("a line of the log", () => {
  for (const format of ["json", "pretty"] as const)
    test(`is one line without anything a terminal would obey, as ${format}`, () => {
      const written: string[] = [];
      const log = openLog({ level: "debug", format, write: (lines) => void written.push(lines) });
      for (const text of EVIL) {
        written.length = 0;
        log.warn("webhook.malformed", { reason: text, list: [text, text] });
        log.flush();
        const line = written.join("");
        expect(line.indexOf("\n")).toBe(line.length - 1);
        // Colours are ours, and stand around the event alone.
        const rest = line.slice(0, -1).replace(/\p{Cc}\[\d+m/gu, "");
        expect(/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(rest), JSON.stringify(line)).toBe(false);
        if (format !== "json") continue;
        const read: Record<string, unknown> = JSON.parse(line);
        expect([read.level, read.event]).toEqual(["warn", "webhook.malformed"]);
        expect(read.reason).toBe(text);
      }
    });

  test("is not written for each of a thousand wrong credentials", async () => {
    const clock = manualClock();
    service = await startService({ clock });
    const running = service;
    const ask = (token: string) =>
      running.api("GET", "/channels", undefined, { authorization: `Bearer ${token}` });
    const refused = () => running.logs.filter(({ event }) => event === "auth.refused");
    // One program with an old token, which is no guess and so not slowed down.
    for (let n = 0; n < 200; n++) expect((await ask("the-old-one")).status).toBe(401);
    expect(refused()).toHaveLength(30);
    await clock.advance(61_000);
    await ask("the-old-one");
    expect(refused().at(-1)?.fields.more).toBe(170);
  });

  test("is not written for each of a hundred requests that come through a proxy to an unsigned channel", async () => {
    const clock = manualClock();
    service = await startService({
      clock,
      config: { channels: { sms: { ...SMS, allow_all_senders: true, insecure_no_signature: true } } },
    });
    const running = service;
    const ask = () =>
      running.webhook(inboundParameters(running), {
        signature: null,
        headers: { "X-Forwarded-For": "203.0.113.9" },
      });
    const refused = () => running.logs.filter(({ event }) => event === "webhook.proxied");
    for (let n = 0; n < 100; n++) expect((await ask()).status).toBe(403);
    expect(refused()).toHaveLength(1);
    await clock.advance(61_000);
    await ask();
    expect(refused().at(-1)?.fields.more).toBe(99);
  });

  test("holds nothing of a text, no whole number and no token, whatever is sent where", async () => {
    service = await startService({ config: { channels: { sms: { ...SMS, allow_all_senders: true } } } });
    const running = service;
    const words = "the-secret-words-of-a-stranger";
    const number = "+15557778899";
    for (const evil of EVIL) {
      await running.webhook({
        ...inboundParameters(running, { From: number, Body: words }),
        MessageSid: evil,
      });
      await running.webhook({ ...inboundParameters(running, { Body: words }), From: `${number}${evil}` });
      await running.webhook({ ...inboundParameters(running, { Body: words, From: number }), To: evil });
      await running.webhook({
        ...inboundParameters(running, { Body: words, From: number }),
        AccountSid: evil,
      });
      await running.webhook(inboundParameters(running, { Body: words, From: number }), { signature: words });
      await running.webhook(
        { MessageSid: number, MessageStatus: words },
        { status: true, query: `m=${words}` },
      );
      await running.api("GET", `/messages/${encodeURIComponent(evil.toWellFormed() + words)}`);
      await running.api("GET", "/channels", undefined, {
        authorization: `Bearer ${words}-${EVIL.indexOf(evil) % 3}`,
      });
      await running.api("POST", "/tokens", { name: words, scopes: ["read"] });
    }
    await running.webhook(inboundParameters(running, { From: number, Body: words }));
    await running.app.idle();
    const logged = JSON.stringify(running.logs);
    expect(running.logs.length).toBeGreaterThan(20);
    expect(logged).not.toContain(words);
    expect(logged).not.toContain(number);
    expect(logged).not.toContain(running.token);
  });
});
