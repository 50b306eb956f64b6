import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { AppError } from "../../src/errors.ts";
import { createSessions } from "../../src/sessions.ts";
import { ADMIN } from "../../src/token.ts";
import { manualClock } from "../support/clock.ts";

const HOUR = 3_600_000;
const CLIENT = "192.0.2.7";

function sessions() {
  const clock = manualClock();
  const asked: string[] = [];
  let valid = true;
  const made = createSessions({
    identify(credential, client) {
      asked.push(`${credential} from ${client}`);
      return valid && (credential.startsWith("right") || credential === "another")
        ? Promise.resolve({ caller: ADMIN })
        : Promise.reject(new AppError("unauthenticated", "no"));
    },
    random: (count) => randomBytes(count),
    clock,
  });
  const revoke = () => {
    valid = false;
  };
  return { ...made, clock, asked, revoke };
}

test("a session ends after twelve hours without use", async () => {
  const { signIn, identify, clock } = sessions();
  const { id } = await signIn("right", CLIENT);
  await clock.advance(12 * HOUR - 1);
  expect((await identify(id, CLIENT)).caller).toBe(ADMIN);
  await clock.advance(12 * HOUR);
  expect(identify(id, CLIENT)).rejects.toThrow("not signed in any more");
});

test("a session that is used ends after a week", async () => {
  const { signIn, identify, clock } = sessions();
  const { id, expiresAt } = await signIn("right", CLIENT);
  while (clock.now() + 6 * HOUR < expiresAt) {
    await clock.advance(6 * HOUR);
    await identify(id, CLIENT);
  }
  await clock.advance(6 * HOUR);
  expect(identify(id, CLIENT)).rejects.toThrow("not signed in any more");
});

test("each use asks anew what the credential is worth, as whoever uses it", async () => {
  const { signIn, identify, asked, revoke } = sessions();
  const { id } = await signIn("right", CLIENT);
  await identify(id, "192.0.2.8");
  expect(asked).toEqual([`right from ${CLIENT}`, "right from 192.0.2.8"]);
  revoke();
  expect(identify(id, CLIENT)).rejects.toThrow("no");
});

test("a wrong code is asked for as a token, so that who guesses codes is slowed down too", async () => {
  const { signIn, asked } = sessions();
  expect(signIn("0123", CLIENT)).rejects.toThrow("no");
  expect(asked).toEqual([`0123 from ${CLIENT}`]);
});

test("no more than a hundred sessions are kept, the newest of them", async () => {
  const { signIn, identify } = sessions();
  const ids: string[] = [];
  for (let i = 0; i < 101; i++) ids.push((await signIn(`right ${i}`, CLIENT)).id);
  expect(new Set(ids).size).toBe(101);
  expect(identify(ids[0] ?? "", CLIENT)).rejects.toThrow("not signed in any more");
  expect((await identify(ids[1] ?? "", CLIENT)).caller).toBe(ADMIN);
});

test("who signs in without end with one token signs out nobody but that token's own sessions", async () => {
  const { signIn, identify } = sessions();
  const { id: mine } = await signIn("right", CLIENT);
  const others: string[] = [];
  for (let times = 0; times < 200; times++) others.push((await signIn("another", CLIENT)).id);
  expect((await identify(mine, CLIENT)).caller).toBe(ADMIN);
  expect((await identify(others.at(-1) ?? "", CLIENT)).caller).toBe(ADMIN);
  expect(identify(others[0] ?? "", CLIENT)).rejects.toThrow("not signed in any more");
});
