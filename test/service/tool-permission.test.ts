import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { diagnose } from "../../src/app-doctor.ts";
import { systemSeams } from "../../src/app-seams.ts";
import { scriptedServer } from "../agents/mcp-http-servers.ts";
import { closing } from "../support/cleanup.ts";
import { cli } from "../support/cli.ts";
import { type ModelServer, scriptedAgent, startModelServer } from "../support/model-server.ts";
import { NUMBER, PHONE, type Service, SMS, startService } from "../support/service.ts";
import { as, makeToken } from "../tokens/support.ts";

setDefaultTimeout(20_000);

const PARTNER = "+15557770002";
const SECOND = "+15550100002";

interface World {
  readonly service: Service;
  readonly model: ModelServer;
  /** Calls that reached the house. */
  readonly calls: string[];
}

/** A house with a lamp and a door; whoever is paired may use both, the door with a code. */
async function start(policies: string, confirm: readonly string[] = []): Promise<World> {
  const scripted = closing(await startModelServer());
  const calls: string[] = [];
  const tool = (name: string) => ({ name, inputSchema: { type: "object" } });
  const house = closing(
    scriptedServer({
      "tools/list": () => ({ tools: [tool("lamp"), tool("unlock_door")] }),
      "tools/call": () => {
        calls.push("called");
        return { content: [{ type: "text", text: "done" }] };
      },
    }),
  );
  const channel = { ...SMS, agent: "assistant", allowed_senders: [{ address: PARTNER, label: "Ben" }] };
  const running = closing(
    await startService({
      files: { "policies/house.cedar": policies },
      config: {
        channels: { sms: channel, second: { ...channel, from_number: SECOND } },
        agents: {
          assistant: scriptedAgent(scripted, {
            tools: ["remind"],
            confirm,
            mcp_servers: { home: { url: house.url } },
          }),
        },
      },
    }),
  );
  return { service: running, model: scripted, calls };
}

const call = (name: string, args: Readonly<Record<string, unknown>> = {}) => ({ name, arguments: args });
const told = (server: ModelServer) =>
  JSON.stringify(server.requests.at(-1)?.body.messages.filter(({ role }) => role === "tool"));

describe("a policy that names a tool its server does not offer", () => {
  const policies = `
    @id("no-doors") forbid(principal, action == Policy::Action::"invoke_tool", resource)
      when { [Policy::Tool::"home.lamp", Policy::Tool::"home.unlok_door"].contains(resource) };`;

  test("is told to the operator once a turn has asked the server, with the name that was meant", async () => {
    const { service, model } = await start(policies);
    await service.pair();
    expect(service.logs.filter(({ event }) => event === "alert")).toEqual([]);
    model.script({ text: "Hello." });
    await service.text(PHONE, "hi");
    await service.received(PHONE, 2);
    const [alert, ...others] = await service.logged("alert");
    expect(others).toEqual([]);
    expect(alert?.fields).toMatchObject({
      cause: "policy.unknown_tool/no-doors/home.unlok_door",
      reason: expect.stringContaining(
        "house.cedar:2) names the tool home.unlok_door, which the MCP server home",
      ),
      fix: 'Did you mean Policy::Tool::"home.unlock_door"?',
    });
  });

  test("is found by doctor, which asks the server itself", async () => {
    const { service } = await start(policies);
    const seams = systemSeams({ level: "error", format: "json" }, {}, "0.0.0");
    const found: string[] = [];
    for await (const { name, status, detail } of diagnose(
      service.settings,
      seams,
      new AbortController().signal,
    ))
      if (name === "policies") found.push(`${status} ${detail}`);
    expect(found).toEqual([expect.stringMatching(/^warn The policy "no-doors" .* home\.unlok_door, /)]);
  });
});

describe("a partner who may chat", () => {
  const policies = `
    @id("partner-lamp") permit(principal, action == Policy::Action::"invoke_tool", resource == Policy::Tool::"home.lamp")
      when { context.sender.address == "${PARTNER}" };
    @id("no-doors") forbid(principal, action == Policy::Action::"invoke_tool", resource == Policy::Tool::"home.unlock_door")
      unless { context.sender.paired };`;

  test("is refused one tool by policy where others work, and the operator sees which policies decided", async () => {
    const { service, model, calls } = await start(policies);
    model.script(
      { toolCalls: [call("home__lamp"), call("home__unlock_door"), call("remind", { action: "list" })] },
      { text: "The lamp is on. I may not open the door for you." },
    );
    const sid = await service.admitted(PARTNER, "lamp on and open the door");
    expect((await service.received(PARTNER, 1))[0]?.text).toBe(
      "The lamp is on. I may not open the door for you.",
    );
    expect(calls).toHaveLength(1);
    expect(told(model)).toContain("Refused: This person may not use home.unlock_door (no-doors).");
    const { turn, conversation_id } = await service.message(sid);
    const byTool = Object.fromEntries(turn.calls.map((each: { tool: string }) => [each.tool, each]));
    expect(byTool["home.lamp"]).toMatchObject({ outcome: "done", policies: ["partner-lamp"] });
    expect(byTool["home.unlock_door"]).toMatchObject({ outcome: "refused", policies: ["no-doors"] });
    expect(byTool.remind).toMatchObject({ outcome: "refused", policies: [] });
    const [line] = await service.logged("tool.call", { tool: "home.unlock_door" });
    expect(line?.fields).toMatchObject({ outcome: "refused", policies: ["no-doors"] });

    const typed = await cli(service, "messages", (await service.message(sid)).id);
    expect(typed.out).toContain("home.unlock_door  refused  [no-doors]  Refused: This person may not");
    expect(typed.out).toContain("home.lamp  done  [partner-lamp]");

    // The same conversation goes on, and what is allowed goes on working.
    model.script({ toolCalls: [call("home__lamp")] }, { text: "On again." });
    await service.text(PARTNER, "and the lamp again");
    expect((await service.received(PARTNER, 2))[1]?.text).toBe("On again.");
    expect(calls).toHaveLength(2);
    const shown = (await service.api("GET", `/conversations/${conversation_id}`)).body;
    expect(shown.turns).toHaveLength(2);
    expect(shown.turns[0].calls).toMatchObject([{ tool: "home.lamp", outcome: "done" }]);
  });
});

describe("a tool of a server under confirm", () => {
  /** Texts from PHONE, or from somebody who forges its number, and resolves with the text that reaches PHONE. */
  async function ask({ service, model }: World): Promise<{ text: string; code: string }> {
    model.script({ toolCalls: [call("home__unlock_door", { door: "back", seconds: 30 })] });
    const before = (await service.inbox(PHONE)).length;
    await service.admitted(PHONE, "unlock the back door");
    const text = (await service.received(PHONE, before + 1)).at(-1)?.text ?? "";
    await service.logged("tool.parked");
    return { text, code: /Reply (\d{6}) /.exec(text)?.[1] ?? "" };
  }

  test("shows what would be done, in one segment, and is done when the code comes back", async () => {
    const world = await start("", ["home.unlock_door"]);
    const { service, model, calls } = world;
    await service.pair();
    const { text, code } = await ask(world);
    expect(text).toBe(
      `Allow unlock door (home): door "back", seconds 30? Reply ${code} within 10 minutes. Did not ask for this? Do not reply.`,
    );
    expect((await service.inbox(PHONE)).at(-1)?.segments).toBe(1);
    expect(calls).toEqual([]);
    model.script({ text: "It is open." });
    await service.text(PHONE, code);
    expect((await service.received(PHONE, 3)).at(-1)?.text).toBe("It is open.");
    expect(calls).toHaveLength(1);
    expect(JSON.stringify(model.requests)).not.toContain(code);
  });

  test("gives a forger nothing: the code goes to the true phone, and guesses do not open the door", async () => {
    const world = await start("", ["home.unlock_door"]);
    const { service, model, calls } = world;
    await service.pair();
    const { code } = await ask(world);
    for (let guess = 1; guess <= 5; guess++) {
      model.script({ text: `No ${guess}.` });
      await service.admitted(PHONE, String((Number(code) + guess) % 1_000_000).padStart(6, "0"));
      if (guess < 5) await service.received(PHONE, 2 + guess);
    }
    // The turn of the call that was given up, and that of the last guess.
    model.script({ text: "Given up." });
    await service.received(PHONE, 8);
    model.script({ text: "That is only a number." });
    await service.admitted(PHONE, code);
    await service.received(PHONE, 9);
    expect(calls).toEqual([]);
  });

  test("shows its code to no token that could forge the answer, be it one that may see other codes", async () => {
    const world = await start("", ["home.unlock_door"]);
    const { service } = world;
    await service.pair();
    const { code } = await ask(world);
    const token = await makeToken(service, { scopes: ["read", "messages:send", "signals:await"] });
    const reader = as(service, token.token);
    const list = await reader("GET", "/messages?limit=50");
    const asked = list.body.items.find(({ text }: { text?: string }) =>
      text?.startsWith("Allow unlock door"),
    );
    expect(asked.text).toContain('door "back", seconds 30? Reply *** within 10 minutes.');
    expect(JSON.stringify([list.body, (await reader("GET", `/messages/${asked.id}`)).body])).not.toContain(
      code,
    );
    expect(JSON.stringify((await service.api("GET", `/messages/${asked.id}`)).body)).toContain(code);
  });

  test("whose name the server does not know makes all its tools wait for a code, and the operator is told", async () => {
    const world = await start("", ["home.unlok_door"]);
    const { service, model, calls } = world;
    await service.pair();
    const { text, code } = await ask(world);
    expect(text).toStartWith("Allow unlock door (home):");
    expect(calls).toEqual([]);
    await service.logged("alert", { cause: "confirm.unknown/assistant/home.unlok_door" });
    model.script({ text: "It is open." });
    await service.text(PHONE, code);
    await service.received(PHONE, 3);
    expect(calls).toHaveLength(1);
  });

  test("is not confirmed through another channel, even by the same phone", async () => {
    const world = await start("", ["home.unlock_door"]);
    const { service, model, calls } = world;
    await service.pair();
    await service.pair(PHONE, "second");
    const { code } = await ask(world);
    model.script({ text: "What is that?" });
    await service.text(PHONE, code, SECOND);
    await service.eventually(
      async () => (await service.inbox(PHONE)).some(({ text }) => text === "What is that?"),
      "the code to be an ordinary text there",
    );
    expect(calls).toEqual([]);
    model.script({ text: "Open." });
    await service.text(PHONE, code, NUMBER);
    await service.eventually(
      async () => (await service.inbox(PHONE)).some(({ text }) => text === "Open."),
      "the call to run",
    );
    expect(calls).toHaveLength(1);
  });
});
