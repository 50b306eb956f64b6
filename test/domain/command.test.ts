import { describe, expect, test } from "bun:test";
import { asksForMore, commandIn, optOutKeyword } from "../../src/command.ts";

describe("texts handled before the agent", () => {
  test("carrier keywords count alone in the body, in any case, with stray spaces", () => {
    for (const word of [
      "STOP",
      " stop ",
      "StopAll",
      "unsubscribe",
      "CANCEL\n",
      "end",
      "quit",
      "revoke",
      "optout",
    ])
      expect(optOutKeyword(word)).toBe("STOP");
    for (const word of ["start", "YES", "unstop "]) expect(optOutKeyword(word)).toBe("START");
    for (const word of ["help", "INFO"]) expect(optOutKeyword(word)).toBe("HELP");
    for (const text of ["please stop", "stop it", "yes please", ""])
      expect(optOutKeyword(text)).toBeUndefined();
  });

  test("commands are taken in any case with stray spaces", () => {
    expect(commandIn(" /NEW ")).toBe("new");
    expect(commandIn("/ status")).toBe("status");
    expect(commandIn("/stop")).toBe("stop");
    expect(commandIn("/help me")).toBeUndefined();
    expect(commandIn("new")).toBeUndefined();
  });

  test("MORE asks for more", () => {
    expect(asksForMore(" more ")).toBe(true);
    expect(asksForMore("more coffee")).toBe(false);
  });
});
