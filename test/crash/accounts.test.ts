import { expect, test } from "bun:test";
import { type Books, balance, type InboundRow, type OutboundRow, type SentText, textOf } from "./accounts.ts";
import type { CarriedText } from "./carrier.ts";
import type { Run } from "./far-ends.ts";
import { reminderOf } from "./model.ts";

const ADA = "+15552000001";
const BEN = "+15553000002";

const sent = (number: number, phone = ADA): SentText => ({
  number,
  phone,
  channel: "sms",
  sid: `SM${number}`,
  at: number,
});
const received = (number: number, more: Partial<InboundRow> = {}): InboundRow => ({
  seq: number,
  id: `in-${number}`,
  sid: `SM${number}`,
  channel: "sms",
  phone: ADA,
  state: "handled",
  route: "message",
  late: 0,
  turnId: `turn-${number}`,
  error: null,
  ...more,
});
const reply = (number: number, state: string, more: Partial<OutboundRow> = {}): OutboundRow => ({
  seq: 100 + number,
  id: `out-${number}`,
  channel: "sms",
  phone: ADA,
  text: textOf(number),
  state,
  error: null,
  lastAttemptAt: 1_000,
  attempts: 1,
  ...more,
});
const carried = (text: string, arrived = true): CarriedText => ({
  sid: `CA${text}`,
  text,
  state: arrived ? "delivered" : "failed",
  arrived,
  at: 0,
});
const run = (turnId: string, numbers: readonly number[], replied = true): Run => ({
  turnId,
  webhookId: turnId,
  from: ADA,
  numbers,
  replied,
});

function books(more: Partial<Books>): Books {
  return {
    texts: [],
    acknowledged: new Map(),
    carried: new Map(),
    inbound: [],
    outbound: [],
    runs: [],
    reminders: new Map(),
    stopped: new Map(),
    claims: new Map(),
    codes: [],
    settled: true,
    ...more,
  };
}

const rulesOf = (more: Partial<Books>) => balance(books(more)).violations.map(({ rule }) => rule);

test("every text has one fate, told by what its phone, the carrier and the service know", () => {
  const { fates, violations } = balance(
    books({
      texts: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((number) => sent(number, number === 9 ? BEN : ADA)),
      carried: new Map([[ADA, [carried(textOf(1)), carried(textOf(2), false)]]]),
      inbound: [1, 2, 3, 4, 5, 9]
        .map((number) => received(number))
        .concat(
          received(6, { route: "signal" }),
          received(7, { turnId: "quiet" }),
          received(8, { state: "failed" }),
        ),
      outbound: [
        reply(1, "delivered"),
        reply(2, "failed"),
        reply(3, "failed"),
        reply(4, "unknown"),
        reply(5, "pending"),
        reply(9, "suppressed", { phone: BEN }),
      ],
      runs: [run("quiet", [7], false)],
      settled: false,
    }),
  );
  expect(fates).toEqual({
    answered: 1,
    undelivered: 1,
    refused: 1,
    unknown: 1,
    behind: 1,
    captured: 1,
    silent: 1,
    apologised: 1,
    stopped: 1,
    missing: 0,
  });
  expect(violations).toEqual([]);
});

test("a text that was acknowledged and is not there is lost, and one without a reply is missing", () => {
  const texts = [sent(1), sent(2)];
  expect(rulesOf({ texts, acknowledged: new Map([["SM1", 5]]), inbound: [received(2)] })).toEqual([
    "acknowledged and lost",
    "missing",
    "missing",
  ]);
});

test("a reply that waits counts as missing once nothing is left to do", () => {
  const waiting = {
    texts: [sent(1), sent(2)],
    inbound: [received(1), received(2)],
    outbound: [reply(1, "unknown"), reply(2, "pending")],
  };
  expect(rulesOf({ ...waiting, settled: false })).toEqual([]);
  expect(rulesOf(waiting)).toEqual(["missing"]);
});

test("a reply that the carrier has twice, or that was written twice, is found", () => {
  const one = { texts: [sent(1)], inbound: [received(1)] };
  expect(
    rulesOf({
      ...one,
      outbound: [reply(1, "delivered")],
      carried: new Map([[ADA, [carried(textOf(1)), carried(textOf(1), false)]]]),
    }),
  ).toEqual(["doubled"]);
  expect(
    rulesOf({
      ...one,
      outbound: [reply(1, "delivered"), reply(1, "pending", { id: "again" })],
      carried: new Map([[ADA, [carried(textOf(1))]]]),
    }),
  ).toEqual(["written twice"]);
});

test("a reply on another phone, or before that to an earlier text, is found", () => {
  const texts = [sent(1), sent(2)];
  const inbound = [received(1), received(2)];
  const outbound = [reply(1, "delivered"), reply(2, "delivered")];
  expect(
    rulesOf({
      texts,
      inbound,
      outbound,
      carried: new Map([[ADA, [textOf(2), textOf(1)].map((t) => carried(t))]]),
    }),
  ).toEqual(["out of order"]);
  expect(
    rulesOf({
      texts: [sent(1)],
      inbound: [received(1)],
      outbound: [reply(1, "delivered")],
      carried: new Map([[BEN, [carried(textOf(1))]]]),
    }),
  ).toEqual(["astray"]);
});

test("an agent may be asked again under the same turn, and under no other", () => {
  const one = {
    texts: [sent(1)],
    inbound: [received(1)],
    outbound: [reply(1, "delivered")],
    carried: new Map([[ADA, [carried(textOf(1))]]]),
  };
  expect(rulesOf({ ...one, runs: [run("a", [1]), run("a", [1])] })).toEqual([]);
  expect(rulesOf({ ...one, runs: [run("a", [1]), run("b", [1])] })).toEqual(["run twice"]);
  expect(rulesOf({ ...one, runs: [run("a", [1]), { ...run("b", [1]), splitFrom: "a" }] })).toEqual([]);
  expect(rulesOf({ ...one, runs: [run("a", [1]), { ...run("b", [1]), splitFrom: "c" }] })).toEqual([
    "run twice",
  ]);
  expect(rulesOf({ ...one, runs: [{ ...run("a", [1]), webhookId: "b" }] })).toEqual(["two ids"]);
});

test("a reminder that was set comes once", () => {
  const reminders = new Map([[7, "set" as const]]);
  const row = { text: reminderOf(7) };
  expect(rulesOf({ reminders })).toEqual(["reminder lost"]);
  expect(rulesOf({ reminders, settled: false })).toEqual([]);
  expect(rulesOf({ reminders, outbound: [reply(7, "delivered", row)] })).toEqual([]);
  expect(rulesOf({ reminders, outbound: [reply(7, "delivered", row), reply(7, "unknown", row)] })).toEqual([
    "reminder twice",
  ]);
  const twice = new Map([[ADA, [carried(reminderOf(7)), carried(reminderOf(7))]]]);
  expect(rulesOf({ reminders, outbound: [reply(7, "delivered", row)], carried: twice })).toEqual([
    "reminder twice",
  ]);
  expect(rulesOf({ reminders: new Map([[7, "unknown" as const]]) })).toEqual([]);
});

test("a send after STOP, an event that was not told and a code for two are found", () => {
  expect(
    rulesOf({
      stopped: new Map([[ADA, 999]]),
      outbound: [reply(1, "failed")],
    }),
  ).toEqual(["after STOP"]);
  expect(rulesOf({ inbound: [received(1)], events: new Map() })).toEqual(["event missing"]);
  const told = (id: string) => [id, { id, type: "message.received", message: "in-1" }] as const;
  expect(rulesOf({ inbound: [received(1)], events: new Map([told("a"), told("b")]) })).toEqual([
    "event twice",
  ]);
  const claims = (...codes: (string | undefined)[]) => new Map(codes.map((code, i) => [`w${i}`, code]));
  expect(rulesOf({ codes: ["1", "2"], claims: claims("1", "1") })).toEqual(["code twice", "code lost"]);
  expect(rulesOf({ codes: ["1", "2"], claims: claims("2", "1") })).toEqual([]);
});
