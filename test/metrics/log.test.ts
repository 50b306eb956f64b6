import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { manualClock } from "../support/clock.ts";
import { type LogLine, PHONE, type Service, SMS } from "../support/service.ts";
import { start } from "./support.ts";

setDefaultTimeout(20_000);

/** The lines that hold an id, as `grep` finds them. */
function grep(service: Service, id: unknown): readonly LogLine[] {
  return service.logs.filter(
    (line) => !line.event.startsWith("simulator.") && JSON.stringify(line).includes(`"${id}"`),
  );
}

const names = (lines: readonly LogLine[]) => lines.map(({ event }) => event);

describe("the log of one text", () => {
  test("is joined by its ids from the webhook to the phone that shows the answer", async () => {
    const service = await start();
    const sid = await service.admitted(PHONE, "Hello");
    await service.logged("delivery.status", { status: "delivered" });
    const [admitted] = grep(service, sid);
    expect(admitted?.event).toBe("inbound.admitted");
    const ofText = grep(service, admitted?.fields.message);
    expect(names(ofText).filter((name) => name !== "inbound.duplicate")).toEqual([
      "inbound.admitted",
      "turn.done",
    ]);
    const ofTurn = grep(service, ofText.at(-1)?.fields.turn);
    expect(names(ofTurn)).toEqual(["send.queued", "turn.done", "send.accepted"]);
    const ofAnswer = grep(service, ofTurn[2]?.fields.message);
    expect(names(ofAnswer)).toContain("send.accepted");
    expect(names(ofAnswer)).toContain("delivery.status");
    const callbacks = grep(service, ofTurn[2]?.fields.sid).filter(({ event }) => event === "delivery.status");
    expect(callbacks.at(-1)?.fields.status).toBe("delivered");
    for (const line of [...ofText, ...ofTurn, ...ofAnswer]) expect(line.fields.channel).toBe("sms");
  });

  test("has one line for each event, and none of them holds the text or the whole number", async () => {
    const service = await start();
    await service.admitted(PHONE, "xylophone");
    await service.logged("delivery.status", { status: "delivered" });
    for (const event of ["inbound.admitted", "turn.done", "send.queued", "send.accepted"])
      expect([event, service.logs.filter((line) => line.event === event).length]).toEqual([event, 1]);
    const all = JSON.stringify(service.logs);
    expect(all).not.toContain("xylophone");
    expect(all).not.toContain(PHONE);
  });

  test("says that a send was suppressed by a STOP that came while it waited", async () => {
    const clock = manualClock();
    const service = await start({ clock });
    await service.simulator.addFault({ on: "send", kind: "throttle", times: 1_000 });
    const { body } = await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "Lunch?" });
    await service.logged("send.retry", { message: body.id });
    await service.text(PHONE, "STOP");
    await service.logged("inbound.admitted");
    await service.eventually(() => names(grep(service, body.id)).includes("send.suppressed"), "the line");
    const [line] = grep(service, body.id).filter(({ event }) => event === "send.suppressed");
    expect(line?.fields).toMatchObject({ channel: "sms", to: "+1555***4321" });
    expect(line?.fields.reason).toContain("STOP");
  });

  test("says that a send was given up after four hours", async () => {
    const clock = manualClock();
    const service = await start({ clock, config: { channels: { sms: { ...SMS, enabled: false } } } });
    const { body } = await service.api("POST", "/messages", { channel: "sms", to: PHONE, body: "Lunch?" });
    await clock.advance(5 * 3_600_000);
    await service.eventually(() => names(grep(service, body.id)).includes("send.failed"), "the line");
  });

  test("names the turn that a command has cancelled while it waited", async () => {
    const clock = manualClock();
    const service = await start({
      clock,
      config: { channels: { sms: { ...SMS, allow_all_senders: true, debounce: "1h" } } },
    });
    await service.pair();
    const sid = await service.admitted(PHONE, "Hello");
    await service.admitted(PHONE, "/stop");
    const [line] = await service.logged("turn.cancelled");
    expect(line?.fields.turn).toBe((await service.message(sid)).turn_id ?? line?.fields.turn);
    expect(line?.fields).toMatchObject({
      channel: "sms",
      agent: "parrot",
      reason: "The sender texted /stop.",
    });
  });
});

test("docs/OPERATING.md lists every event of the way of a text", async () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/OPERATING.md"), "utf8");
  const service = await start();
  await service.text(PHONE, "Hello");
  await service.logged("delivery.status", { status: "delivered" });
  const way = new Set(names(service.logs).filter((event) => /^(inbound|turn|send|delivery)\./.test(event)));
  expect(way.size).toBeGreaterThan(4);
  for (const event of way) expect(page).toContain(`\`${event}\``);
});

test("a schedule that is due names the turn that answers it", async () => {
  const clock = manualClock();
  const service = await start({
    clock,
    config: {
      channels: { sms: { ...SMS, allow_all_senders: true } },
      home: { channel: "sms", address: PHONE, label: "Home" },
      timezone: "UTC",
      schedules: [{ name: "noon", cron: "5 12 * * *", agent: "parrot", prompt: "The news" }],
    },
  });
  await clock.advance(5 * 60_000);
  const [due] = await service.logged("schedule.due", { schedule: "noon" });
  const [done] = await service.logged("turn.done");
  expect(due?.fields.turn).toBeString();
  expect(done?.fields.turn).toBe(due?.fields.turn);
});
