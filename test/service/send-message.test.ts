import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { type ModelServer, scriptedAgent, startModelServer } from "../support/model-server.ts";
import {
  NUMBER,
  PHONE,
  type Service,
  type ServiceOptions,
  STRANGER,
  startService,
} from "../support/service.ts";

setDefaultTimeout(20_000);

const OTHER = "+15550100002";
const CODES = "+15550100003";
const ANNA = "+15557770001";
const PARTNER = "+15557770002";

interface World {
  readonly service: Service;
  readonly model: ModelServer;
  /** Texts from PHONE, whose turn makes this call; answers what the model was told of it. */
  told(input: Readonly<Record<string, unknown>>): Promise<string>;
  outbound(): Promise<readonly { to: string; state: string; text: string }[]>;
}

/** PHONE and ANNA are paired, ANNA under her name; PARTNER may chat and is called Ben. */
async function start(options: ServiceOptions = {}): Promise<World> {
  const server = closing(await startModelServer());
  const channel = { provider: "simulator", agent: "assistant", debounce: "0s" };
  const running = closing(
    await startService({
      ...options,
      config: {
        channels: {
          sms: { ...channel, from_number: NUMBER, allowed_senders: [{ address: PARTNER, label: "Ben" }] },
          work: { ...channel, from_number: OTHER, allowed_senders: [{ address: ANNA, label: "Anna" }] },
          codes: { provider: "simulator", from_number: CODES, mode: "signal" },
        },
        agents: {
          assistant: scriptedAgent(server, {
            tools: ["send_message"],
          }),
        },
        home: { channel: "sms", address: ANNA, label: "Home" },
        ...options.config,
      },
    }),
  );
  await running.pair(PHONE);
  await running.pair(ANNA);
  const labelled = await running.api("PATCH", `/channels/sms/addresses/${ANNA}`, { label: "Anna" });
  expect(labelled.status).toBe(200);
  return {
    service: running,
    model: server,
    async told(input) {
      const before = (await running.inbox(PHONE)).length;
      server.script(send(input), { text: "Done." });
      await running.text(PHONE, "go");
      await running.received(PHONE, before + 1);
      const last = server.requests.at(-1)?.body.messages ?? [];
      return JSON.stringify(last.filter(({ role }) => role === "tool").at(-1));
    },
    outbound: async () => (await running.api("GET", "/messages?direction=outbound&limit=200")).body.items,
  };
}

const send = (input: Readonly<Record<string, unknown>>) => ({
  toolCalls: [{ name: "send_message", arguments: input }],
});

describe("an agent that texts somebody else", () => {
  test("names them, whatever the case and the spaces, and learns id and state", async () => {
    const { service, model, told } = await start();
    const answer = await told({ to: "  aNNa ", text: "**Dinner** at 8" });
    expect(answer).toContain("pending");
    expect(answer).toContain("msg_");
    // The model knows the name, and does not learn the number.
    expect(JSON.stringify(model.requests)).not.toContain(ANNA);
    expect((await service.received(ANNA, 2))[1]).toMatchObject({ text: "Dinner at 8", from: NUMBER });
    expect((await service.inbox(PHONE)).at(-1)?.text).toBe("Done.");
  });

  test("may write the number as people do", async () => {
    const { service, told } = await start();
    await told({ to: "+1 (555) 777-0001", text: "hello" });
    expect((await service.received(ANNA, 2))[1]?.text).toBe("hello");
  });

  test("may use another channel, whose policies and pairings then count", async () => {
    const { service, told } = await start();
    expect(await told({ to: "Anna", text: "hello", channel: "work" })).toContain("may not text");
    await service.pair(ANNA, "work");
    await told({ to: "Anna", text: "from work", channel: "work" });
    const got = await service.received(ANNA, 3);
    expect(got[2]).toMatchObject({ text: "from work", from: OTHER });
  });

  test("reaches the home phone by its label", async () => {
    const { service, told } = await start();
    await told({ to: "home", text: "washed" });
    expect((await service.received(ANNA, 2))[1]?.text).toBe("washed");
  });
});

describe("what an agent texts somebody else", () => {
  test("stands in their own conversation, so that their agent understands the answer", async () => {
    const { service, model, told } = await start();
    await told({ to: "Anna", text: "Dinner at 8?" });
    await service.received(ANNA, 2);
    model.script({ text: "I will tell them." });
    await service.text(ANNA, "yes");
    await service.received(ANNA, 3);
    const said = model.requests.at(-1)?.body.messages.map(({ role, content }) => [role, content]) ?? [];
    expect(said.slice(-2)).toEqual([
      ["assistant", "Dinner at 8?"],
      ["user", "yes"],
    ]);
    // Each of the two has a conversation of its own.
    const { items } = (await service.api("GET", "/conversations")).body;
    expect(items.map(({ address }: { address: string }) => address).sort()).toEqual([PHONE, ANNA].sort());
    expect(JSON.stringify(said)).not.toContain("go");
  });

  test("gives the agent no leave to text them again: only who has texted is in a conversation", async () => {
    const once = `@id("to-strangers") permit(principal, action == Policy::Action::"send_message", resource)
      when { resource.address == "${PARTNER}" && !resource.in_conversation };`;
    const { service, model, told } = await start({ files: { "policies/once.cedar": once } });
    const check = { action: "send_message", channel: "sms", from: PARTNER };
    const deciding = async () => (await service.api("POST", "/policies/check", check)).body.policies;
    expect(await told({ to: "Ben", text: "hello" })).toContain("pending");
    expect(await deciding()).toEqual(["to-strangers"]);
    model.script({ text: "Hi Ben." });
    await service.text(PARTNER, "hi");
    await service.received(PARTNER, 2);
    expect(await deciding()).toEqual(["reply-and-paired"]);
  });

  test("is not in it when it was not sent", async () => {
    const { service, told } = await start();
    await service.admitted(ANNA, "STOP");
    await told({ to: "Anna", text: "psst" });
    await told({ to: STRANGER, text: "spam" });
    const { items } = (await service.api("GET", "/conversations")).body;
    expect(items.map(({ address }: { address: string }) => address)).toEqual([PHONE]);
  });
});

describe("an agent is told, and nothing is sent, when it texts", () => {
  test("a stranger, whom no policy lets it text; the attempt is shown with the cause", async () => {
    const { service, told, outbound } = await start();
    expect(await told({ to: STRANGER, text: "spam" })).toContain("may not text");
    await service.app.idle();
    expect(await service.inbox(STRANGER)).toHaveLength(0);
    expect((await outbound()).find(({ to }) => to === STRANGER)).toMatchObject({
      state: "suppressed",
      error: { fix: expect.stringContaining("send_message") },
    });
  });

  test("somebody allowed to chat who is not in a conversation; once they are, it may", async () => {
    const { service, model, told } = await start();
    expect(await told({ to: "Ben", text: "hello" })).toContain("may not text");
    model.script({ text: "Hi Ben." });
    await service.text(PARTNER, "hi");
    await service.received(PARTNER, 1);
    expect(await told({ to: "Ben", text: "hello" })).toContain("pending");
    expect((await service.received(PARTNER, 2))[1]?.text).toBe("hello");
  });

  test("a number of this service, on any channel: it would talk to itself", async () => {
    const { told, outbound } = await start();
    for (const to of [NUMBER, OTHER, CODES, "+1 555 010 0002"])
      expect(await told({ to, text: "echo" })).toContain("number of this service");
    expect((await outbound()).filter(({ text }) => text === "echo")).toEqual([]);
  });

  test("the person it answers, who would pay attention twice", async () => {
    const { service, told } = await start();
    expect(await told({ to: PHONE, text: "echo" })).toContain("write it in your reply");
    await service.app.idle();
    expect((await service.inbox(PHONE)).filter(({ text }) => text === "echo")).toEqual([]);
  });

  test("somebody who opted out", async () => {
    const { service, told, outbound } = await start();
    await service.admitted(ANNA, "STOP");
    expect(await told({ to: "Anna", text: "psst" })).toContain("opted out");
    await service.app.idle();
    expect((await service.inbox(ANNA)).filter(({ text }) => text === "psst")).toEqual([]);
    expect((await outbound()).find(({ text }) => text === "psst")?.state).toBe("suppressed");
  });

  test("a name nobody has; it learns the names it may use, and no others", async () => {
    const { told } = await start();
    const answer = await told({ to: "Zoe", text: "hello" });
    expect(answer).toContain("Anna");
    expect(answer).not.toContain("Ben");
    expect(answer).not.toContain(ANNA);
  });

  test("through a channel that only receives, or that is not there", async () => {
    const { told } = await start();
    expect(await told({ to: "Anna", text: "x", channel: "codes" })).toContain("only receives");
    expect(await told({ to: "Anna", text: "x", channel: "nowhere" })).toContain("write one of sms, work");
    expect(await told({ to: "Anna", text: "x", channel: "__proto__" })).toContain("There is no channel");
  });

  test("nothing, too much, or what is no text", async () => {
    const { told, outbound } = await start();
    expect(await told({ to: "Anna", text: "   " })).toContain("text must be");
    expect(await told({ to: "Anna", text: "x".repeat(1_700) })).toContain("too long");
    expect(await told({ to: ["Anna"], text: "x" })).toContain("to must be");
    expect((await outbound()).filter(({ to, text }) => to === ANNA && text.startsWith("x"))).toEqual([]);
  });
});

test("a text that talks the model into texting everybody ends after five messages", async () => {
  const { service, model, outbound } = await start();
  model.script(
    {
      toolCalls: Array.from({ length: 8 }, (_, i) => ({
        name: "send_message",
        arguments: { to: "Anna", text: `flood ${i}` },
      })),
    },
    { text: "Done." },
  );
  await service.text(PHONE, "flood her");
  await service.received(PHONE, 2);
  await service.app.idle();
  const flood = (await outbound()).filter(({ text }) => text.startsWith("flood"));
  expect(flood).toHaveLength(5);
});

test("whoever may only chat cannot make the agent text others", async () => {
  const { service, model, outbound } = await start();
  model.script(send({ to: "Anna", text: "hello" }), { text: "I may not." });
  await service.text(PARTNER, "text Anna");
  expect((await service.received(PARTNER, 1))[0]?.text).toBe("I may not.");
  expect((await outbound()).filter(({ text }) => text === "hello")).toEqual([]);
});
