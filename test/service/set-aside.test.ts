import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { type Hook, openHook } from "../support/hook.ts";
import {
  inboundParameters,
  newSid,
  PHONE,
  type Service,
  type ServiceOptions,
  SMS,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

async function start(
  channel: Readonly<Record<string, unknown>> = {},
  options: ServiceOptions = {},
): Promise<{ readonly running: Service; readonly agent: Hook }> {
  const agent = closing(openHook());
  const service = closing(await startService({ config: configOf(agent, channel), ...options }));
  return { running: service, agent };
}

function configOf(agent: Hook, channel: Readonly<Record<string, unknown>> = {}) {
  return {
    channels: { sms: { ...SMS, agent: "hook", allow_all_senders: true, ...channel } },
    agents: { hook: { type: "http", url: agent.url } },
  };
}

/** A text on which the agent fails, and its id. */
async function failedText(running: Service, agent: Hook, body = "answer this"): Promise<string> {
  agent.respond(() => ({ status: 400 }));
  const sid = await running.text(PHONE, body);
  await running.logged("turn.failed");
  await running.app.idle();
  agent.respond(({ body: asked }) => `re: ${asked.text}`);
  return (await running.message(sid)).id;
}

const resend = (running: Service, id: string, key?: string) =>
  running.api(
    "POST",
    `/messages/${id}/resend`,
    undefined,
    key === undefined ? {} : { "Idempotency-Key": key },
  );

describe("a text that the agent has failed", () => {
  test("is answered when the operator has it tried again, once per press, after one apology", async () => {
    const { running, agent } = await start();
    const id = await failedText(running, agent);
    await running.received(PHONE, 1);
    expect(await resend(running, id)).toMatchObject({ status: 202, body: { id, state: "queued" } });
    const texts = await running.received(PHONE, 2);
    expect(texts[1]?.text).toBe("re: answer this");
    await running.app.idle();
    expect((await running.api("GET", `/messages/${id}`)).body).toMatchObject({ state: "handled" });
    const again = await resend(running, id);
    expect(again.status).toBe(409);
    expect(JSON.stringify(again.body)).toContain("was answered");
    await running.app.idle();
    expect(await running.inbox(PHONE)).toHaveLength(2);
  });

  test("is tried once per Idempotency-Key, however often the request is made", async () => {
    const { running, agent } = await start();
    const id = await failedText(running, agent);
    agent.respond(() => ({ status: 400 }));
    expect((await resend(running, id, "press 1")).status).toBe(202);
    await running.logged("turn.failed", {}, 2);
    await running.app.idle();
    expect(await resend(running, id, "press 1")).toMatchObject({
      status: 202,
      body: { id, state: "failed" },
    });
    await running.app.idle();
    expect(agent.requests).toHaveLength(2);
    expect((await resend(running, id, "press 2")).status).toBe(202);
    await agent.request(3);
  });

  test("is tried alone: what the sender texts meanwhile is another turn", async () => {
    const { running, agent } = await start({ debounce: "0s" });
    const id = await failedText(running, agent, "poison");
    agent.hold();
    await running.text(PHONE, "running");
    const first = await agent.request(2);
    await resend(running, id);
    await running.admitted(PHONE, "later");
    first.answer("one");
    const second = await agent.request(3);
    expect(second.body.text).toBe("poison");
    second.answer("two");
    expect((await agent.request(4)).body.text).toBe("later");
  });

  test("stays as it is while its sender may not text the agent, has opted out, or the channel answers nobody", async () => {
    const { running, agent } = await start();
    const id = await failedText(running, agent);
    await running.admitted(PHONE, "STOP");
    expect(JSON.stringify((await resend(running, id)).body)).toContain("opted out");
    await running.admitted(PHONE, "START");
    await running.api("PATCH", "/channels/sms", { mode: "signal" });
    expect(JSON.stringify((await resend(running, id)).body)).toContain("signal mode");
    const denied = await running.restart({
      config: configOf(agent, { allow_all_senders: false, allowed_senders: [STRANGER] }),
    });
    const refused = await resend(denied, id);
    expect(refused.status).toBe(409);
    expect(JSON.stringify(refused.body)).toContain("may not text the agent");
    expect((await denied.api("GET", `/messages/${id}`)).body.state).toBe("failed");
    expect(agent.requests).toHaveLength(1);
  });

  test("that no agent can take, fails the conversation's next turn at most, not all of them", async () => {
    const { running, agent } = await start();
    agent.respond(({ body }) =>
      body.messages.some(({ text }) => text === "poison") ? { status: 400 } : `re: ${body.text}`,
    );
    for (const [nth, body] of ["poison", "try again", "are you there?"].entries()) {
      await running.admitted(PHONE, body);
      await running.received(PHONE, nth + 1);
    }
    expect((await running.inbox(PHONE)).at(-1)?.text).toBe("re: are you there?");
    expect(agent.requests.at(-1)?.body.messages.map(({ text }) => text)).toContain("try again");
  });

  test("does not keep the sender's next text waiting", async () => {
    const { running, agent } = await start();
    agent.respond(({ body }) => (body.text === "poison" ? { status: 400 } : `re: ${body.text}`));
    await running.admitted(PHONE, "poison");
    await running.admitted(PHONE, "fine");
    await running.until(
      async () => (await running.inbox(PHONE)).some(({ text }) => text === "re: fine"),
      "the answer to the next text",
    );
    const alert = await running.logged("alert");
    expect(JSON.stringify(alert[0]?.fields)).toContain("messages resend");
  });
});

test("a text that was shown, not run, can be answered after all", async () => {
  const clock = manualClock();
  const { running } = await start({ enabled: false, idle_timeout: "10m" }, { clock });
  const sid = newSid();
  await running.webhook(inboundParameters(running, { MessageSid: sid, Body: "long ago" }));
  await clock.advance(11 * 60_000);
  await running.api("PATCH", "/channels/sms", { enabled: true });
  await running.eventually(async () => (await running.message(sid)).state === "failed", "it to be shown");
  const { id } = await running.message(sid);
  expect((await resend(running, id)).status).toBe(202);
  expect((await running.received(PHONE, 1))[0]?.text).toBe("re: long ago");
});

test("a turn that every clean stop cuts is answered in the end", async () => {
  const clock = manualClock();
  const { running, agent } = await start({}, { clock });
  agent.hold();
  const sid = await running.text(PHONE, "a long task");
  await agent.request(1);
  let now = running;
  for (let stops = 1; stops <= 6; stops++) {
    now = await now.restart();
    closing(now);
    await agent.request(1 + stops);
  }
  agent.respond(({ body }) => `re: ${body.text}`);
  agent.requests.at(-1)?.answer("at last");
  expect((await now.received(PHONE, 1)).map(({ text }) => text)).toEqual(["at last"]);
  expect((await now.message(sid)).state).toBe("handled");
  expect(new Set(agent.requests.map(({ body }) => body.turn_id)).size).toBe(1);
});
