import { expect, test } from "bun:test";
import { AppError, explainError, whatIsWrong } from "../../src/errors.ts";

test("an error is told with every wrong place, one line each, and what to do", () => {
  const error = new AppError("invalid", "It cannot be used.", {
    problems: [
      { path: "a.b", message: "is missing" },
      { path: "c[0]", message: "is wrong" },
    ],
    fix: "Correct it.",
  });
  expect(explainError(error)).toBe("It cannot be used.\na.b: is missing\nc[0]: is wrong\nCorrect it.");
  expect(whatIsWrong(error)).toBe("It cannot be used.\na.b: is missing\nc[0]: is wrong");
  expect(explainError(new AppError("conflict", "Not now."))).toBe("Not now.");
});
