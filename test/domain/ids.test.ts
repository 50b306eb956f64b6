import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { createIds } from "../../src/ids.ts";

const random = (count: number) => new Uint8Array(randomBytes(count));

test("ids sort by the time they were made, also within a millisecond and when the clock jumps back", () => {
  let now = 1_700_000_000_000;
  const newId = createIds({ now: () => now, after: () => () => {} }, random);
  const ids: string[] = [];
  for (let i = 0; i < 5_000; i++) {
    if (i % 100 === 0) now += 1;
    if (i === 2_500) now -= 60_000;
    ids.push(newId("msg"));
  }
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^msg_[0-9a-hjkmnp-tv-z]{26}$/);
});
