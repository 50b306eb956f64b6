import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { manualClock } from "../support/clock.ts";
import { type Hook, type HookAnswer, openHook } from "../support/hook.ts";
import { PHONE, type Service, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

let service: Service | undefined;
let hook: Hook | undefined;

afterEach(async () => {
  await hook?.close();
  await service?.close();
  service = hook = undefined;
});

/** Texts these, which become one turn, for an agent that answers so; resolves once all is settled. */
async function gathered(bodies: readonly string[], answer: (asked: string) => HookAnswer) {
  const clock = manualClock();
  const agent = openHook();
  hook = agent;
  agent.respond(({ body }) => answer(body.messages.map(({ text }) => text).join("\n")));
  const running = await startService({
    clock,
    config: {
      channels: { sms: { ...SMS, agent: "hook", allow_all_senders: true, debounce: "1s" } },
      agents: { hook: { type: "http", url: agent.url } },
    },
  });
  service = running;
  const sids: string[] = [];
  for (const body of bodies) sids.push(await running.admitted(PHONE, body));
  const states = async () => Promise.all(sids.map(async (sid) => String((await running.message(sid)).state)));
  await running.eventually(
    async () => (await states()).every((state) => state !== "queued"),
    "all to be settled",
  );
  await running.eventually(
    async () =>
      (await running.api("GET", "/messages?direction=outbound")).body.items.every(
        ({ state }: { state: string }) => state === "delivered",
      ),
    "all answers to be delivered",
  );
  const inbox = (await running.inbox(PHONE)).map(({ text }) => text);
  return { running, agent, states: await states(), inbox };
}

const SORRY = expect.stringContaining("Sorry");
const unless = (status: number) => (asked: string) => (asked.includes("poison") ? { status } : "fine");

describe("of several texts in one turn", () => {
  test("the one that the agent refuses is set aside; the others are answered alone, in order, and told of nothing", async () => {
    const { agent, states, inbox, running } = await gathered(["one", "poison", "three"], unless(400));
    expect(states).toEqual(["handled", "failed", "handled"]);
    expect(inbox).toEqual(["fine", SORRY, "fine"]);
    const [together, ...alone] = agent.requests.map(({ body }) => body);
    expect(alone.map(({ text }) => text)).toEqual(["one", "poison", "three"]);
    expect(alone.map((body) => Object(body).split_from)).toEqual(Array(3).fill(together?.turn_id));
    expect(new Set(alone.map(({ turn_id }) => turn_id)).size).toBe(3);
    expect(running.logs.filter(({ event }) => event === "turn.split")).toHaveLength(1);
    expect(running.logs.filter(({ event }) => event === "turn.failed")).toHaveLength(1);
  });

  test("several that the agent refuses have one apology", async () => {
    const { states, inbox, agent } = await gathered(["poison", "two", "poison too"], unless(422));
    expect(states).toEqual(["failed", "handled", "failed"]);
    expect(inbox).toEqual([SORRY, "fine"]);
    expect(agent.requests).toHaveLength(4);
  });

  test("none is tried alone where the agent itself is in trouble", async () => {
    const { states, inbox, agent } = await gathered(["one", "two"], () => ({ status: 401 }));
    expect(states).toEqual(["failed", "failed"]);
    expect(inbox).toEqual([SORRY]);
    expect(agent.requests).toHaveLength(1);
  });
});
