import { afterEach, describe, expect, test } from "bun:test";
import { AppError } from "../../src/errors.ts";
import { faultJson } from "../../src/simulated.ts";
import { createFaults } from "../../src/simulator/faults.ts";
import { manualClock } from "../support/clock.ts";
import { ACCOUNT, NUMBER, PHONE, startReceiver, startSimulator, TOKEN } from "./support.ts";

describe("ordering a fault", () => {
  const problemsOf = (input: unknown) => {
    try {
      createFaults().add(input);
    } catch (error) {
      if (error instanceof AppError && error.code === "invalid") return error.problems;
      throw error;
    }
    throw new Error("was accepted");
  };

  test("comes back as it was written", () => {
    for (const input of [
      {
        on: "send",
        kind: "error",
        code: 21_610,
        status: 400,
        message: "no",
        times: 2,
        match: { to: "+1555*" },
      },
      { on: "send", kind: "throttle", retry_after: "2s" },
      { on: "request", kind: "server_error", status: 500, match: { path: "/2010-04-01/*", method: "GET" } },
      { on: "callback", kind: "late", delay: "250ms", states: ["sent"] },
      { on: "callback", kind: "before_answer", state: "sent" },
      { on: "inbound", kind: "duplicate", count: 20 },
    ]) {
      const faults = createFaults();
      expect(faultJson(faults.add(input))).toEqual({ id: "fault-1", ...input });
    }
  });

  test.each<[unknown, string, string]>([
    ["lost", "", "must be an object"],
    [{ on: "sends", kind: "lost" }, "on", "request, send, callback, inbound"],
    [{ on: "inbound", kind: "late" }, "kind", "lost, slow, duplicate, list_lag, bad_signature"],
    [{ on: "send", kind: "constructor" }, "kind", "timeout_before, timeout_after"],
    [{ on: "send", kind: "error" }, "code", "from 10000 to 99999"],
    [{ on: "send", kind: "error", code: "21610" }, "code", "whole number"],
    [{ on: "send", kind: "error", code: 21_610, status: 200 }, "status", "from 400 to 599"],
    [{ on: "send", kind: "list_lag" }, "delay", "is missing"],
    [{ on: "send", kind: "slow", delay: "2 weeks" }, "delay", "write"],
    [{ on: "callback", kind: "late", delay: true }, "delay", "must be a duration"],
    [{ on: "callback", kind: "lost", states: "sent" }, "states", "must be a list"],
    [{ on: "inbound", kind: "duplicate", count: 1 }, "count", "from 2 to 1000"],
    [{ on: "inbound", kind: "lost", times: 0 }, "times", "from 1"],
    [{ on: "inbound", kind: "lost", delay: "1s" }, "delay", "is not a field of the fault inbound/lost"],
    [{ on: "inbound", kind: "lost", match: { too: "x" } }, "match.too", "is not one of from, to"],
    [{ on: "inbound", kind: "lost", match: { to: 1 } }, "match.to", "must be a text"],
  ])("%j is refused with the field and what to write", (input, path, message) => {
    expect(problemsOf(input)).toContainEqual({ path, message: expect.stringContaining(message) });
  });

  test("all problems are told at once", () => {
    expect(problemsOf({ on: "send", kind: "slow", times: 0, foo: 1 }).map((problem) => problem.path)).toEqual(
      ["delay", "times", "foo"],
    );
  });

  test("can be taken back, one or all", () => {
    const faults = createFaults();
    const one = faults.add({ on: "inbound", kind: "lost" });
    const two = faults.add({ on: "inbound", kind: "lost" });
    expect(two.id).not.toBe(one.id);
    expect(faults.remove(one.id)).toBe(true);
    expect(faults.remove(one.id)).toBe(false);
    expect(faults.list()).toEqual([two]);
    faults.clear();
    expect(faults.list()).toEqual([]);
  });
});

let simulator = startSimulator();
function start(...options: Parameters<typeof startSimulator>) {
  simulator = startSimulator(...options);
  return simulator;
}
afterEach(() => simulator.stop());

const order = (fault: Record<string, unknown>) => simulator.control.addFault({ times: 1, ...fault });
const accepted = async () => (await simulator.api("/Messages.json")).json.messages.length;

describe("faults of sending", () => {
  test("any error code and status", async () => {
    start();
    await order({ on: "send", kind: "error", code: 30_034, status: 403, message: "campaign" });
    expect(await simulator.send()).toMatchObject({
      status: 403,
      json: { code: 30_034, message: "campaign" },
    });
    expect(await accepted()).toBe(0);
    expect((await simulator.send()).status).toBe(201);
  });

  test("429 with Retry-After", async () => {
    start();
    await order({ on: "send", kind: "throttle", retry_after: "1500ms" });
    const answer = await simulator.send();
    expect(answer).toMatchObject({ status: 429, json: { code: 20_429 } });
    expect(answer.headers.get("Retry-After")).toBe("2");
    expect(await accepted()).toBe(0);
  });

  test("5xx without and with acceptance", async () => {
    start();
    await order({ on: "send", kind: "server_error", status: 502 });
    expect((await simulator.send()).status).toBe(502);
    expect(await accepted()).toBe(0);
    await order({ on: "send", kind: "server_error_after" });
    expect((await simulator.send()).status).toBe(503);
    expect(await accepted()).toBe(1);
  });

  test("no answer, without and with acceptance", async () => {
    start();
    for (const [kind, count] of [
      ["timeout_before", 0],
      ["timeout_after", 1],
    ] as const) {
      await order({ on: "send", kind });
      const sending = fetch(`${simulator.origin}/2010-04-01/Accounts/${ACCOUNT}/Messages.json`, {
        method: "POST",
        headers: { Authorization: `Basic ${btoa(`${ACCOUNT}:${TOKEN}`)}` },
        body: new URLSearchParams({ To: PHONE, From: NUMBER, Body: "x" }),
        signal: AbortSignal.timeout(300),
      });
      await expect(sending).rejects.toThrow("timed out");
      expect(await accepted()).toBe(count);
    }
  });

  test("a cut connection, without and with acceptance", async () => {
    start();
    for (const [kind, count] of [
      ["cut_before", 0],
      ["cut_after", 1],
    ] as const) {
      await order({ on: "send", kind });
      await expect(simulator.send()).rejects.toThrow();
      expect(await accepted()).toBe(count);
    }
  });

  test("closing lets go of requests that were to stay unanswered", async () => {
    start();
    await order({ on: "send", kind: "timeout_before" });
    const sending = simulator.send().catch((error: unknown) => error);
    while ((await simulator.control.faults()).length > 0)
      await new Promise((resolve) => setImmediate(resolve));
    simulator.close();
    expect(await sending).toBeInstanceOf(Error);
  });

  test("a slow answer waits for the clock", async () => {
    const clock = manualClock();
    start({ clock });
    await order({ on: "send", kind: "slow", delay: "20s" });
    let answered = false;
    const sending = simulator.send().then((answer) => {
      answered = true;
      return answer;
    });
    while ((await accepted()) === 0) await clock.flush();
    await clock.advance(19_000);
    expect(answered).toBe(false);
    await clock.advance(2_000);
    expect((await sending).status).toBe(201);
  });

  test("a listing that lags behind", async () => {
    const clock = manualClock();
    start({ clock });
    await order({ on: "send", kind: "list_lag", delay: "10s" });
    await order({ on: "send", kind: "cut_after" });
    await expect(simulator.send()).rejects.toThrow();
    expect(await accepted()).toBe(0);
    await clock.advance(10_000);
    expect(await accepted()).toBe(1);
  });

  test("match narrows them to a recipient, a sender or a text", async () => {
    start();
    await simulator.control.addFault({
      on: "send",
      kind: "throttle",
      match: { to: "+1555000*", body: "hello" },
    });
    expect((await simulator.send()).status).toBe(201);
    expect((await simulator.send({ To: "+15550001111", Body: "other" })).status).toBe(201);
    expect((await simulator.send({ To: "+15550001111", Body: "hello" })).status).toBe(429);
    expect((await simulator.send({ To: "+15550001111", Body: "hello" })).status).toBe(429);
  });

  test("a refused request does not use one up", async () => {
    start();
    await order({ on: "send", kind: "throttle" });
    expect((await simulator.send({ Body: "" })).json.code).toBe(21_602);
    expect((await simulator.send()).status).toBe(429);
  });
});

test("faults of other requests hit lookups and lists, never a send", async () => {
  start();
  await order({ on: "request", kind: "server_error", times: 2 });
  expect((await simulator.send()).status).toBe(201);
  expect((await simulator.api("/IncomingPhoneNumbers.json")).status).toBe(503);
  expect((await simulator.api("/Messages.json")).status).toBe(503);
  expect((await simulator.api("/Messages.json")).status).toBe(200);
  // Without an end: clients may repeat a GET by themselves when its connection breaks.
  const match = { path: `/2010-04-01/Accounts/${ACCOUNT}/Inc*` };
  await simulator.control.addFault({ on: "request", kind: "cut", match });
  expect((await simulator.api("/Messages.json")).status).toBe(200);
  await expect(simulator.api("/IncomingPhoneNumbers.json")).rejects.toThrow();
});

test("a fault of a callback does not fire without a callback to concern", async () => {
  const receiver = startReceiver();
  start();
  await order({ on: "callback", kind: "lost" });
  await simulator.send();
  expect(await simulator.control.faults()).toHaveLength(1);
  await simulator.send({ StatusCallback: receiver.url });
  expect(await simulator.control.faults()).toHaveLength(0);
  await receiver.stop();
});
