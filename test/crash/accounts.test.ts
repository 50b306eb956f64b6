import { expect, test } from "bun:test";
import { balance, textOf } from "./accounts.ts";

const ADA = "+15552000001";
const BEN = "+15553000002";

test("a text is answered, cut, waiting behind a cut one, missing, doubled or astray", () => {
  const accounts = balance({
    sent: new Map([
      [ADA, [1, 2, 3, 4]],
      [BEN, [5, 6, 7, 8]],
    ]),
    received: new Map([
      [ADA, [`${textOf(1)}\n${textOf(4)}`, textOf(4)]],
      [BEN, [textOf(5), textOf(1), textOf(8)]],
    ]),
    outbound: [
      { to: ADA, state: "delivered", text: textOf(1) },
      { to: ADA, state: "unknown", text: textOf(2) },
      { to: ADA, state: "pending", text: textOf(3) },
      { to: BEN, state: "pending", text: textOf(6) },
      { to: BEN, state: "delivered", text: textOf(8) },
      { to: BEN, state: "pending", text: textOf(8) },
    ],
  });
  expect(accounts).toEqual({
    sent: 8,
    answered: 4,
    cut: 1,
    behindCut: 1,
    missing: [6, 7],
    doubled: [4, 8],
    astray: [1],
  });
});
