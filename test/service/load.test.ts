import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { openHook } from "../support/hook.ts";
import { inboundParameters, newSid, SMS, startService } from "../support/service.ts";

setDefaultTimeout(60_000);

const SENDERS = 100;
const TEXTS = 10;

function sender(i: number): string {
  return `+1555${String(1_000_000 + i)}`;
}

describe("a thousand texts from a hundred senders", () => {
  test("are all answered, each sender's in order, none lost and none doubled", async () => {
    const running = closing(
      await startService({
        config: {
          channels: { sms: { ...SMS, allow_all_senders: true } },
          limits: { sender_per_minute: 1_000, segments_per_day: 100_000 },
        },
      }),
    );
    for (let n = 0; n < TEXTS; n++)
      await Promise.all(Array.from({ length: SENDERS }, (_, i) => running.text(sender(i), `${i}.${n}`)));
    await running.until(async () => {
      for (let i = 0; i < SENDERS; i++) {
        const last = (await running.inbox(sender(i))).at(-1);
        if (last === undefined || !last.text.endsWith(`${i}.${TEXTS - 1}`)) return false;
      }
      return true;
    }, "every sender's last answer");
    await running.app.idle();
    for (let i = 0; i < SENDERS; i++) {
      const answers = (await running.inbox(sender(i))).flatMap(({ text }) => text.split("\n"));
      expect(answers).toEqual(Array.from({ length: TEXTS }, (_, n) => `${i}.${n}`));
    }
    expect(running.logs.filter(({ event }) => event === "inbound.admitted")).toHaveLength(SENDERS * TEXTS);
    expect(running.logs.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("that are each delivered twice, at once, are taken once", async () => {
    const agent = openHook();
    try {
      const running = closing(
        await startService({
          config: {
            channels: { sms: { ...SMS, agent: "hook", allow_all_senders: true } },
            agents: { hook: { type: "http", url: agent.url } },
            limits: { sender_per_minute: 1_000, segments_per_day: 100_000 },
          },
        }),
      );
      const texts = Array.from({ length: SENDERS }, (_, i) =>
        inboundParameters(running, { From: sender(i), Body: `text ${i}`, MessageSid: newSid() }),
      );
      const answers = await Promise.all([...texts, ...texts].map((text) => running.webhook(text)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      await agent.request(SENDERS);
      await running.logged("turn.done", {}, SENDERS);
      await running.app.idle();
      expect(agent.requests).toHaveLength(SENDERS);
      expect(new Set(agent.requests.map(({ body }) => body.from)).size).toBe(SENDERS);
    } finally {
      await agent.close();
    }
  });
});
