import { expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { openHook } from "../support/hook.ts";
import { inboundParameters, newSid, SMS, STRANGER, startService } from "../support/service.ts";

setDefaultTimeout(60_000);

const SENDERS = 150;
const EACH = 10;
const PACE = "+15550100002";

function sender(i: number): string {
  return `+1555${String(1_000_000 + i)}`;
}

test("while many texts wait for a stuck agent: all are taken, a code wakes its waiter, callbacks count, nobody is starved", async () => {
  const agent = closing(openHook());
  agent.hold();
  const running = closing(
    await startService({
      config: {
        channels: {
          sms: { ...SMS, agent: "hook", allow_all_senders: true },
          codes: { provider: "simulator", from_number: PACE, mode: "signal" },
        },
        agents: { hook: { type: "http", url: agent.url } },
        limits: { sender_per_minute: 2, segments_per_day: 100_000 },
      },
    }),
  );
  const waiting = running.api("POST", "/signals/await", { channel: "codes", timeout: "30s" });
  for (let n = 0; n < EACH; n++) {
    const answers = await Promise.all(
      Array.from({ length: SENDERS }, (_, i) =>
        running.webhook(
          inboundParameters(running, { From: sender(i), Body: `${i}.${n}`, MessageSid: newSid() }),
        ),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  }
  await agent.request(64); // as many as run at once; the others wait on disk

  await running.text(STRANGER, "Your code is 482913", PACE);
  expect((await waiting).body).toMatchObject({ status: "matched", signal: { code: "482913" } });

  const sent = await running.api("POST", "/messages", {
    channel: "sms",
    to: STRANGER,
    body: "not the agent",
  });
  await running.until(
    async () => (await running.api("GET", `/messages/${sent.body.id}`)).body.state === "delivered",
    "the callback of a send",
  );

  agent.respond(({ body }) => `re: ${body.text}`);
  for (const held of agent.requests) held.answer(`re: ${held.body.text}`);
  await running.until(
    () => new Set(agent.requests.map(({ body }) => body.from)).size === SENDERS,
    "every sender to be served",
  );
  // Each has had a turn before anybody could have three.
  for (let i = 0; i < SENDERS; i++) {
    const turns = agent.requests.filter(({ body }) => body.from === sender(i));
    expect(turns.length).toBeLessThanOrEqual(2);
    expect(turns.flatMap(({ body }) => body.text.split("\n"))[0]).toBe(`${i}.0`);
  }
});
