import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { SentMessage } from "../../src/carrier.ts";
import { afterLook, type Doubt, nextLook, openDoubt, resumeDoubt, type Sighting } from "../../src/doubt.ts";
import { type AskedText, type ListedText, likeness } from "../../src/sent-likeness.ts";
import { type DoubtfulTry, matchSent, sightingOf } from "../../src/sent-match.ts";

const T0 = Date.UTC(2026, 0, 1, 12);
const ms = fc.integer({ min: 0, max: 20_000 });

describe("the looks for an attempt whose answer was lost", () => {
  test("are due 30 s and 120 s after it", () => {
    const doubt = openDoubt(T0, T0 + 10_000);
    expect(nextLook(doubt, T0 + 10_000)).toBe(T0 + 30_000);
    expect(afterLook(doubt, T0 + 30_000, T0 + 30_200, "missed")).toEqual({
      kind: "look",
      dueAt: T0 + 120_000,
      missedAt: T0 + 30_000,
    });
    expect(doubt.until).toBe(T0 + 180_000);
  });

  test("come to absent only by two good listings apart, the later one after 120 s, before the time is over", () => {
    const sighting = fc.constantFrom<Sighting | undefined>("missed", "missed", "unclear", undefined);
    const look = fc.record({ wait: ms, takes: ms, sighting });
    fc.assert(
      fc.property(ms, fc.array(look, { minLength: 1, maxLength: 30 }), (late, looks) => {
        let doubt: Doubt = openDoubt(T0, T0 + late);
        let now = T0 + late;
        const missed: number[] = [];
        for (const { wait, takes, sighting } of looks) {
          const lookedAt = Math.max(now, nextLook(doubt, now)) + wait;
          now = lookedAt + takes;
          if (sighting === "missed") missed.push(lookedAt);
          const next = afterLook(doubt, lookedAt, now, sighting);
          if (next.kind === "absent") {
            const [first = Number.NaN] = missed;
            expect(sighting).toBe("missed");
            expect(first).toBeGreaterThanOrEqual(T0 + 30_000);
            expect(lookedAt).toBeGreaterThanOrEqual(Math.max(T0 + 120_000, first + 30_000));
            expect(now).toBeLessThan(doubt.until);
            return;
          }
          if (next.kind === "look") {
            expect(next.dueAt).toBeGreaterThanOrEqual(now);
            const { missedAt } = next;
            doubt = { ...doubt, ...(missedAt === undefined ? {} : { missedAt }) };
          }
        }
      }),
    );
  });

  test("find what is there at any time, also after the time is over", () => {
    const doubt = openDoubt(T0, T0);
    for (const at of [T0, T0 + 60_000, T0 + 500_000])
      expect(afterLook(doubt, at, at, "found")).toEqual({ kind: "found" });
  });

  test("have time for two listings after a stop of any length, and after a clock that was set back", () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), (down) => {
        const now = T0 + down;
        for (const doubt of [openDoubt(T0, now), resumeDoubt(openDoubt(T0, T0), now)]) {
          const first = nextLook(doubt, now);
          const second = nextLook({ ...doubt, missedAt: first }, first);
          expect(doubt.until - second).toBeGreaterThanOrEqual(30_000);
          expect(first - now).toBeLessThanOrEqual(30_000);
        }
      }),
    );
  });
});

describe("a listed text", () => {
  const plain = (text: string): AskedText => ({ text, media: 0 });
  const shown = (body: string, media = 0): ListedText => ({ body, media });
  const cases: readonly (readonly [string, AskedText, ListedText, string])[] = [
    ["word for word", plain("Hello, Ann!"), shown("Hello, Ann!"), "same"],
    ["trimmed and with other white space", plain("  Hello,\r\n Ann! "), shown("Hello, Ann!"), "same"],
    [
      "with the words of a trial account",
      plain("Hello"),
      shown("Sent from your Twilio trial account - Hello"),
      "same",
    ],
    ["smart-encoded", plain("It’s “done” – really…"), shown('It\'s "done" - really...'), "alike"],
    ["without its accents", plain("São João"), shown("Sao Joao"), "alike"],
    ["with an opt-out notice behind it", plain("Hello"), shown("Hello\nReply STOP to opt out"), "perhaps"],
    ["redacted", plain("Hello"), shown(""), "perhaps"],
    ["masked", plain("Hello"), shown("*****"), "perhaps"],
    ["another text", plain("Hello"), shown("Goodbye"), "other"],
    ["another text with the same beginning of a word", plain("👍"), shown("👎"), "other"],
    ["the same sign", plain("👍"), shown("👍"), "same"],
    ["in another script", plain("Привет"), shown("Привет"), "same"],
    ["a picture", { text: "", media: 1 }, shown("", 1), "same"],
    ["a picture made into a link", { text: "Look", media: 1 }, shown("Look https://t.example/x"), "perhaps"],
    ["a picture for a text", plain("Look"), shown("Look", 1), "perhaps"],
    ["a template with its values", { text: "", media: 0, template: ["Ann"] }, shown("Dear Ann, hi"), "alike"],
    ["a template without values", { text: "", media: 0, template: [] }, shown("Dear Ann, hi"), "perhaps"],
    [
      "a template whose value is a sign",
      { text: "", media: 0, template: ["!"] },
      shown("Any text"),
      "perhaps",
    ],
    ["an apostrophe that is a letter", plain("Міцного здоровʼя"), shown("Міцного здоров'я"), "alike"],
    ["another one", plain("Aloha from Hawaiʻi"), shown("Aloha from Hawai'i"), "alike"],
    ["a template of others", { text: "", media: 0, template: ["Ann"] }, shown("Dear Bob, hi"), "perhaps"],
  ];
  for (const [name, asked, listed, expected] of cases)
    test(`${name} is ${expected}`, () => {
      expect(likeness(asked, listed)).toBe(expected as ReturnType<typeof likeness>);
    });
});

describe("the search in a list", () => {
  const tried = (message: number, changes: Partial<DoubtfulTry> = {}): DoubtfulTry => ({
    message,
    attempt: 1,
    startedAt: T0,
    text: "ping",
    media: 0,
    ...changes,
  });
  const sent = (sid: string, changes: Partial<SentMessage> = {}): SentMessage => ({
    sid,
    status: "sent",
    body: "ping",
    media: 0,
    createdAt: T0,
    ...changes,
  });
  const look = (message: number, tries: readonly DoubtfulTry[], list: readonly SentMessage[]) =>
    sightingOf(message, tries, list, matchSent(tries, list));

  test("takes the nearest of several with the same words", () => {
    const tries = [tried(1), tried(2, { startedAt: T0 + 100_000 })];
    const list = [sent("SM2", { createdAt: T0 + 101_000 }), sent("SM1", { createdAt: T0 + 1_000 })];
    expect(matchSent(tries, list).map(({ message, sent: one }) => [message, one.sid])).toEqual([
      [1, "SM1"],
      [2, "SM2"],
    ]);
  });

  test("of two attempts and one message finds one, and the other is missed", () => {
    const tries = [tried(1), tried(2, { startedAt: T0 + 1_000 })];
    expect([1, 2].map((message) => look(message, tries, [sent("SM1")])).sort()).toEqual(["found", "missed"]);
  });

  test("of two attempts of one message needs only one", () => {
    const tries = [tried(1), tried(1, { attempt: 2, startedAt: T0 + 120_000 })];
    expect(look(1, tries, [sent("SM1")])).toBe("found");
  });

  test("prefers the same words to alike ones", () => {
    const tries = [tried(1, { text: "ok?" }), tried(2, { text: "ok!" })];
    expect(look(1, tries, [sent("SM1", { body: "ok!" })])).toBe("missed");
    expect(look(2, tries, [sent("SM1", { body: "ok!" })])).toBe("found");
  });

  test("does not decide by what is an hour off, or not legible", () => {
    expect(look(1, [tried(1)], [sent("SM1", { createdAt: T0 - 20 * 60_000 })])).toBe("unclear");
    expect(look(1, [tried(1)], [sent("SM1", { createdAt: T0 + 20 * 60_000 })])).toBe("unclear");
    expect(look(1, [tried(1)], [sent("SM1", { body: "" })])).toBe("unclear");
    expect(look(1, [tried(1)], [sent("SM1", { createdAt: T0 - 2 * 3_600_000 })])).toBe("missed");
    expect(look(1, [tried(1)], [sent("SM1", { body: "something else" })])).toBe("missed");
  });

  test("gives each message to one attempt at most, and leaves no attempt without one it could have", () => {
    const offset = fc.integer({ min: -400_000, max: 400_000 });
    const words = fc.constantFrom("ping", "ping", "Ping!", "pong", "👍");
    fc.assert(
      fc.property(
        fc.array(fc.record({ offset, words }), { maxLength: 6 }),
        fc.array(fc.record({ offset, words }), { maxLength: 6 }),
        (ours, theirs) => {
          const tries = ours.map((one, i) => tried(i, { startedAt: T0 + one.offset, text: one.words }));
          const list = theirs.map((one, i) =>
            sent(`SM${i}`, { createdAt: T0 + one.offset, body: one.words }),
          );
          const matches = matchSent(tries, list);
          expect(new Set(matches.map(({ sent: one }) => one.sid)).size).toBe(matches.length);
          expect(new Set(matches.map(({ message }) => message)).size).toBe(matches.length);
          expect(matches.length).toBe(most(tries, list));
        },
      ),
    );
  });

  /** The largest number of pairs, by trying all of them. */
  function most(tries: readonly DoubtfulTry[], list: readonly SentMessage[]): number {
    const [first, ...rest] = tries;
    if (first === undefined) return 0;
    const fits = list.filter(
      (one) =>
        ["same", "alike"].includes(likeness(first, one)) &&
        Math.abs((one.createdAt ?? 0) - first.startedAt) <= 5 * 60_000,
    );
    return Math.max(
      most(rest, list),
      ...fits.map(
        (one) =>
          1 +
          most(
            rest,
            list.filter((other) => other !== one),
          ),
      ),
    );
  }
});
