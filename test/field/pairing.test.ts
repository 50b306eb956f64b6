import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import {
  inboundParameters,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
} from "../support/service.ts";
import { OTHER, start as startOpen, THIRD } from "./support.ts";

setDefaultTimeout(20_000);

const MINUTE = 60_000;

/** A channel nobody may text without pairing. */
const start = (options: ServiceOptions = {}) => startOpen({ config: { channels: { sms: SMS } }, ...options });

async function freshCode(running: Service): Promise<string> {
  const { status, body } = await running.api("POST", "/channels/sms/pairing");
  expect(status).toBe(201);
  return body.code;
}

async function addresses(running: Service): Promise<string[]> {
  const { body } = await running.api("GET", "/channels/sms/addresses");
  return body.items.map(({ address }: { address: string }) => address).sort();
}

/** A code of the right shape that is not `right`. */
function wrong(right: string, n: number): string {
  const letter = "ABCDEFGH"[n % 8] ?? "A";
  return right.startsWith(letter) ? `Z${right.slice(1)}` : `${letter}${right.slice(1)}`;
}

describe("while a pairing code is pending", () => {
  test("everybody else's texts go their normal way, the paired owner's among them", async () => {
    const running = await start();
    await running.pair(PHONE);
    await freshCode(running);
    await running.text(PHONE, "business as usual");
    expect((await running.received(PHONE, 2))[1]?.text).toBe("business as usual");
    const sid = await running.admitted(STRANGER, "let me in");
    expect(await running.message(sid)).toMatchObject({ state: "dropped" });
    await running.text(PHONE, "/status");
    expect((await running.received(PHONE, 3))[2]?.text).toContain("sms: connected");
  });

  test("five wrong guesses lock their sender out for an hour, and nobody else", async () => {
    const clock = manualClock();
    const running = await start({ clock });
    await running.pair();
    let right = await freshCode(running);
    for (let i = 0; i < 5; i++) await running.admitted(STRANGER, wrong(right, i));
    await running.admitted(STRANGER, right);
    expect(await addresses(running)).toEqual([PHONE]);
    await running.text(OTHER, right);
    await running.received(OTHER, 1);
    expect(await addresses(running)).toEqual([OTHER, PHONE].sort());
    await clock.advance(59 * MINUTE);
    right = await freshCode(running);
    await running.admitted(STRANGER, right);
    expect(await addresses(running)).not.toContain(STRANGER);
    await clock.advance(2 * MINUTE);
    await running.text(STRANGER, right);
    await running.received(STRANGER, 1);
    expect(await addresses(running)).toContain(STRANGER);
  });

  test("any number of strangers who text take no place from who has the code", async () => {
    const running = await start();
    const right = await freshCode(running);
    await Promise.all(
      Array.from({ length: 150 }, (_, n) =>
        running.webhook(
          inboundParameters(running, {
            From: `+1555060${String(n).padStart(4, "0")}`,
            Body: wrong(right, n),
          }),
        ),
      ),
    );
    expect((await running.api("GET", "/channels/sms")).body.pairing.code).toBe(right);
    await running.text(PHONE, right);
    await running.received(PHONE, 1);
    expect(await addresses(running)).toEqual([PHONE]);
  });

  test("its end is a matter of the clock when it is texted, not of a sweep that comes later", async () => {
    const clock = manualClock();
    const running = await start({ clock });
    await running.pair();
    const right = await freshCode(running);
    await clock.advance(10 * MINUTE);
    await running.admitted(OTHER, right);
    expect(await addresses(running)).toEqual([PHONE]);
    expect((await running.api("GET", "/channels/sms")).body.pairing).toBeUndefined();
  });
});

test("pairing another phone takes nothing from those that were paired before", async () => {
  const running = await start();
  for (const phone of [PHONE, OTHER, THIRD]) await running.pair(phone);
  expect(await addresses(running)).toEqual([PHONE, OTHER, THIRD].sort());
  await running.text(PHONE, "still here");
  expect((await running.received(PHONE, 2))[1]?.text).toBe("still here");
});
