import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { newPairingCode, pairingCodeIn } from "../../src/pairing.ts";
import { manualClock } from "../support/clock.ts";
import { PHONE, type Service, startService } from "../support/service.ts";

setDefaultTimeout(60_000);

let service: Service | undefined;
afterEach(async () => {
  await service?.close();
  service = undefined;
});

const phone = (n: number) => `+1555000${String(1_000 + n)}`;

describe("guessing the pairing code", () => {
  test("from a hundred numbers opens nothing, locks each out by itself, and leaves the owner's phone alone", async () => {
    service = await startService({ clock: manualClock() });
    const running = service;
    const shown = await running.api("GET", "/channels/sms");
    const code: string = shown.body.pairing.code;
    // A wrong code that is near: its last symbol is another one.
    const wrong = code.slice(0, -1) + (code.endsWith("2") ? "3" : "2");
    for (let n = 0; n < 100; n++) await running.text(phone(n), n % 2 === 0 ? wrong : wrong.toLowerCase());
    await running.logged("inbound.admitted", {}, 100);
    expect((await running.api("GET", "/channels/sms")).body.paired_addresses).toBe(0);
    expect((await running.api("GET", "/channels/sms")).body.pairing.code).toBe(code);
    for (let n = 0; n < 100; n++) expect(await running.inbox(phone(n))).toEqual([]);
    await running.pair(PHONE);
    expect((await running.api("GET", "/channels/sms")).body.paired_addresses).toBe(1);
  });

  test("in another spelling each time is the same guess: five lock the number out, also from the right code", async () => {
    service = await startService({ clock: manualClock() });
    const running = service;
    const code: string = (await running.api("GET", "/channels/sms")).body.pairing.code;
    const wrong = (code.slice(0, -1) + (code.endsWith("2") ? "3" : "2")).replace("-", "");
    const spellings = [
      wrong,
      wrong.toLowerCase(),
      `${wrong.slice(0, 2)} ${wrong.slice(2)}`,
      [...wrong].join("-"),
      `\u00a0${wrong.slice(0, 4)}\u2013${wrong.slice(4)}\n`,
    ];
    for (const spelling of spellings) await running.text(phone(1), spelling);
    await running.logged("inbound.admitted", {}, spellings.length);
    await running.text(phone(1), code);
    await running.logged("inbound.admitted", {}, spellings.length + 1);
    expect((await running.api("GET", "/channels/sms")).body.paired_addresses).toBe(0);
  });

  test("with letters that look alike is no guess and no way in", () => {
    for (const body of [
      "ＡＢＣＤＥＦＧＨ",
      "АВСDЕFGН",
      "ABCDEFG\u0405",
      "ABCDEFſ2",
      "ABCDEF\u2160\u2160",
      "ABCD\u0301EFG",
      "ABCDEFGIJ",
    ])
      expect(pairingCodeIn(body), body).toBeUndefined();
    expect(pairingCodeIn("abcd efgh")).toBe("ABCD-EFGH");
  });

  test("has 31 to the eighth codes to try, none likelier than another", () => {
    const counts = new Map<string, number>();
    for (let n = 0; n < 20_000; n++)
      for (const symbol of newPairingCode((count) => crypto.getRandomValues(new Uint8Array(count))).replace(
        "-",
        "",
      ))
        counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
    expect(counts.size).toBe(31);
    const expected = (20_000 * 8) / 31;
    for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(expected * 0.1);
  });
});
