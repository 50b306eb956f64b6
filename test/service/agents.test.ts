import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, readdirSync, readFileSync, watch } from "node:fs";
import { dirname, join } from "node:path";
import { Webhook } from "standardwebhooks";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { type Hook, openHook } from "../support/hook.ts";
import { startModelServer } from "../support/model-server.ts";
import { PHONE, type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

async function start(
  agent: Readonly<Record<string, unknown>>,
  options: ServiceOptions & { readonly channel?: Readonly<Record<string, unknown>> } = {},
): Promise<Service> {
  const { channel, ...rest } = options;
  const service = closing(
    await startService({
      ...rest,
      config: {
        channels: { sms: { ...SMS, agent: "subject", allow_all_senders: true, ...channel } },
        agents: { subject: agent },
        ...options.config,
      },
    }),
  );
  return service;
}

async function withHook(
  agent: Readonly<Record<string, unknown>> = {},
  options: ServiceOptions & { readonly channel?: Readonly<Record<string, unknown>> } = {},
): Promise<{ running: Service; endpoint: Hook }> {
  const endpoint = closing(openHook());
  return { running: await start({ type: "http", url: endpoint.url, ...agent }, options), endpoint };
}

/** The one apology a failed turn sends: short, and without a word of the cause. */
async function expectApology(running: Service, sid: string, cause: string, ...secrets: string[]) {
  const texts = await running.received(PHONE, 1);
  await running.app.idle();
  expect(await running.inbox(PHONE)).toHaveLength(1);
  expect(texts[0]?.segments).toBe(1);
  for (const word of [cause, "http", "127.0.0.1", "Error", "subject", ...secrets])
    expect(texts[0]?.text).not.toContain(word);
  const message = await running.message(sid);
  expect(message.state).toBe("failed");
  expect(message.error.meaning).toContain(cause);
  expect(message.error.fix).toBeString();
  const [line] = await running.logged("turn.failed");
  expect(line?.level).toBe("error");
  expect(line?.fields.error).toBeString();
  expect(JSON.stringify(running.logs)).not.toContain(PHONE);
}

describe("an http agent", () => {
  test("gets the turn as JSON, signed as Standard Webhooks are, and its reply is sent", async () => {
    const secret = `whsec_${Buffer.from("a secret of the tests").toString("base64")}`;
    const { running, endpoint } = await withHook({ secret });
    await running.pair();
    await running.api("PATCH", `/channels/sms/addresses/${encodeURIComponent(PHONE)}`, { label: "Ann" });
    await running.text(PHONE, "what is new? 👋");
    const { body, headers, raw } = await endpoint.request(1);
    expect(body.turn_id).toBeString();
    expect(body.conversation_id).toBeString();
    expect(body).toMatchObject({
      channel: "sms",
      agent: "subject",
      from: PHONE,
      label: "Ann",
      text: "what is new? 👋",
      media: [],
      messages: [{ role: "user", text: "what is new? 👋", media: [] }],
    });
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("webhook-id")).toBe(body.turn_id);
    const verified = new Webhook(secret).verify(raw, Object.fromEntries(headers.entries()));
    expect(verified).toMatchObject({ turn_id: body.turn_id });
    expect((await running.received(PHONE, 2))[1]?.text).toBe("re: what is new? 👋");
    expect(JSON.stringify(running.logs)).not.toContain("whsec_");
  });

  test("gets the media of a text, and may answer with media", async () => {
    const { running, endpoint } = await withHook();
    endpoint.respond(() => ({ json: { reply: "look", media_urls: ["https://example.com/cat.png"] } }));
    await running.simulator.inbound({
      from: PHONE,
      to: SMS.from_number,
      body: "see this",
      mediaUrls: ["data:image/png;base64,iVBORw0KGgo="],
    });
    const { body } = await endpoint.request(1);
    expect(body.media).toEqual([{ url: expect.stringContaining("/Media/ME"), content_type: "image/png" }]);
    const [reply] = await running.received(PHONE, 1);
    expect(reply?.text).toBe("look");
    expect(reply?.media.map(({ url }) => url)).toEqual(["https://example.com/cat.png"]);
  });

  test("may answer with media alone", async () => {
    const { running, endpoint } = await withHook();
    endpoint.respond(() => ({ json: { media_urls: ["https://example.com/cat.png"] } }));
    await running.text(PHONE, "a cat please");
    const [reply] = await running.received(PHONE, 1);
    expect([reply?.text, reply?.media.length]).toEqual(["", 1]);
  });

  test("that fails gets one apology sent, and the cause is shown to the operator", async () => {
    const { running, endpoint } = await withHook();
    endpoint.respond(() => ({ status: 400 }));
    const sid = await running.admitted(PHONE, "my secret wish");
    await expectApology(running, sid, "400", "hook fails on purpose");
  });

  test("that answers nonsense gets one apology sent", async () => {
    const { running, endpoint } = await withHook();
    endpoint.respond(() => ({ json: { answer: "under the wrong name" } }));
    const sid = await running.admitted(PHONE, "hello");
    await expectApology(running, sid, "reply", "under the wrong name");
  });

  test("that does not answer in time gets one apology sent", async () => {
    const clock = manualClock();
    const { running, endpoint } = await withHook({ timeout: "30s" }, { clock });
    endpoint.hold();
    const sid = await running.admitted(PHONE, "hello");
    await endpoint.request(1);
    await clock.advance(30_000);
    await expectApology(running, sid, "30");
  });

  test("that cannot be reached gets one apology sent, and the next turn runs all the same", async () => {
    const clock = manualClock();
    const { running, endpoint } = await withHook({}, { clock });
    await endpoint.close();
    const sid = await running.admitted(PHONE, "hello");
    await running.eventually(async () => (await running.message(sid)).state === "failed", "the turn to fail");
    await expectApology(running, sid, "could not be reached");
  });

  test("that fails once does not hold up the sender's next text", async () => {
    const { running, endpoint } = await withHook();
    endpoint.respond(({ body }) => (body.text === "poison" ? { status: 400 } : `re: ${body.text}`));
    await running.admitted(PHONE, "poison");
    await running.received(PHONE, 1);
    await running.text(PHONE, "next");
    expect((await running.received(PHONE, 2))[1]?.text).toBe("re: next");
  });
});

describe("a command agent", () => {
  async function withScript(
    script: string,
    agent: Readonly<Record<string, unknown>> = {},
    options: ServiceOptions = {},
  ): Promise<Service> {
    const running = await start(
      { type: "command", command: ["./reply.sh"], ...agent },
      { ...options, files: { "reply.sh": `#!/bin/sh\n${script}\n` } },
    );
    chmodSync(join(running.folder, "reply.sh"), 0o755);
    return running;
  }

  test("gets the same JSON on stdin, and its stdout is the reply", async () => {
    const running = await withScript(`cat > turn.json; printf 'It is done.\\n'`);
    await running.text(PHONE, "do it; rm -rf $HOME `x`");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("It is done.");
    const turn = await Bun.file(join(running.folder, "turn.json")).json();
    expect(turn).toMatchObject({
      channel: "sms",
      agent: "subject",
      from: PHONE,
      text: "do it; rm -rf $HOME `x`",
    });
    expect(turn.turn_id).toBeString();
    expect(turn.messages).toHaveLength(1);
  });

  test("sees PATH, HOME, LANG and its own env, and nothing else", async () => {
    const running = await withScript("env | sort | cut -d= -f1 | tr '\\n' ' '", {
      env: { GREETING: "hello" },
    });
    await running.text(PHONE, "what do you see?");
    const names = ((await running.received(PHONE, 1))[0]?.text ?? "").trim().split(" ");
    const shell = ["PWD", "SHLVL", "_", "OLDPWD"];
    expect(names.filter((name) => !shell.includes(name) && name !== "HOME" && name !== "LANG")).toEqual([
      "GREETING",
      "PATH",
    ]);
  });

  test("that prints nothing says nothing", async () => {
    const running = await withScript("cat > /dev/null");
    const sid = await running.admitted(PHONE, "hello");
    await running.until(async () => (await running.message(sid)).state === "handled", "the turn");
    await running.app.idle();
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toEqual([]);
  });

  test("that exits with an error gets one apology sent; what it printed is not", async () => {
    const running = await withScript("echo half a reply; echo 'no such lamp' >&2; exit 3");
    const sid = await running.admitted(PHONE, "lights on");
    await expectApology(running, sid, "3", "half a reply", "no such lamp");
    expect((await running.message(sid)).error.meaning).toContain("no such lamp");
  });

  test.if(process.platform === "linux")(
    "that takes too long is ended with all its children, and one apology is sent",
    async () => {
      const clock = manualClock();
      const running = await withScript("echo $$ > pid; sleep 300 & wait", { timeout: "5s" }, { clock });
      const sid = await running.admitted(PHONE, "hello");
      const pid = Number(await contentOf(join(running.folder, "pid")));
      await clock.advance(5_000);
      await running.eventually(
        async () => (await running.message(sid)).state === "failed",
        "the turn to fail",
      );
      await expectApology(running, sid, "5");
      await running.until(() => alive(pid).length === 0, "the process group to end");
    },
  );

  test("that is not there gets one apology sent, and the cause names the program", async () => {
    const running = await start({ type: "command", command: ["./nowhere.sh"] });
    const sid = await running.admitted(PHONE, "hello");
    await expectApology(running, sid, "nowhere.sh");
  });

  test("is not run by a shell", async () => {
    const running = await start({ type: "command", command: ["/bin/echo", "$HOME", ";", "exit 1"] });
    await running.text(PHONE, "hello");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("$HOME ; exit 1");
  });
});

/** The processes of a group that are not dead: one nobody has buried yet is. */
function alive(group: number): readonly string[] {
  return readdirSync("/proc").filter((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const [state, , pgrp] = readFileSync(`/proc/${name}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      return Number(pgrp) === group && state !== "Z";
    } catch {
      return false; // gone meanwhile
    }
  });
}

/** The content of a file that a process of the test is about to write. */
async function contentOf(path: string): Promise<string> {
  const watcher = watch(dirname(path));
  try {
    return await new Promise((resolve) => {
      const look = () => {
        const text = existsSync(path) ? readFileSync(path, "utf8") : "";
        if (text.endsWith("\n")) resolve(text);
      };
      watcher.on("change", look);
      look();
    });
  } finally {
    watcher.close();
  }
}

describe("an llm agent", () => {
  test("chats over an OpenAI-compatible endpoint, with the conversation as history", async () => {
    const model = closing(await startModelServer({ text: "Hello **Ann**!" }, { text: "You said hi." }));
    const running = await start({
      type: "llm",
      base_url: model.baseUrl,
      model: "test-model",
      tools: [],
      system: "Be kind.",
    });
    await running.text(PHONE, "hi");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("Hello Ann!");
    await running.text(PHONE, "what did I say?");
    expect((await running.received(PHONE, 2))[1]?.text).toBe("You said hi.");
    const said =
      model.requests[1]?.body.messages.map(({ role, content }) => [role, JSON.stringify(content)]) ?? [];
    expect(said.map(([role]) => role)).toEqual(["system", "user", "assistant", "user"]);
    expect(said[0]?.[1]).toContain("Be kind.");
    expect(said[1]?.[1]).toContain("hi");
    expect(said[3]?.[1]).toContain("what did I say?");
  });

  test("may stay silent: the text is handled, and nothing is sent", async () => {
    const model = closing(await startModelServer({ toolCalls: [{ name: "stay_silent", arguments: {} }] }));
    const running = await start({ type: "llm", base_url: model.baseUrl, model: "test-model" });
    const sid = await running.admitted(PHONE, "ok thanks");
    await running.until(async () => (await running.message(sid)).state === "handled", "the turn");
    await running.app.idle();
    expect((await running.api("GET", "/messages?direction=outbound")).body.items).toEqual([]);
    expect((await running.message(sid)).turn).toMatchObject({ state: "done", calls: [] });
  });

  test("has its tokens counted for the turn and the day, those of a failed turn too", async () => {
    const model = closing(
      await startModelServer(
        { text: "Hello.", usage: { prompt: 100, completion: 7 } },
        { text: "", usage: { prompt: 200, completion: 0 } },
        { text: "", usage: { prompt: 300, completion: 0 } },
      ),
    );
    const running = await start({ type: "llm", base_url: model.baseUrl, model: "test-model", tools: [] });
    const sid = await running.admitted(PHONE, "hi");
    await running.received(PHONE, 1);
    expect((await running.message(sid)).turn.usage).toEqual({ input_tokens: 100, output_tokens: 7 });
    const failed = await running.admitted(PHONE, "and now?");
    await running.received(PHONE, 2);
    expect((await running.message(failed)).turn.usage).toEqual({ input_tokens: 500, output_tokens: 0 });
    const [today] = (await running.api("GET", "/usage")).body.days;
    expect(today).toMatchObject({ channel: "sms", input_tokens: 600, output_tokens: 7 });
  });

  test("whose provider fails for good gets one apology sent", async () => {
    const clock = manualClock();
    const model = closing(await startModelServer());
    const running = await start(
      {
        type: "llm",
        base_url: model.baseUrl,
        model: "test-model",
        tools: [],
        timeout: "60s",
        api_key: "sk-secret-key",
      },
      { clock },
    );
    const sid = await running.admitted(PHONE, "hi");
    await running.eventually(async () => (await running.message(sid)).state === "failed", "the turn to fail");
    await expectApology(running, sid, "500", "sk-secret-key");
    expect(JSON.stringify(running.logs)).not.toContain("sk-secret-key");
    expect(JSON.stringify(await running.message(sid))).not.toContain("sk-secret-key");
  });
});

describe("the echo agent", () => {
  test("answers with the text it got", async () => {
    const running = await start({ type: "echo" });
    await running.text(PHONE, "line one\nline two");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("line one\nline two");
  });
});
