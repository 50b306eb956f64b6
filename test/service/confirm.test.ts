import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import { type ModelServer, scriptedAgent, startModelServer } from "../support/model-server.ts";
import { NUMBER, PHONE, type Service, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const OTHER = "+15557650001";

interface World {
  readonly service: Service;
  readonly model: ModelServer;
  readonly clock: ManualClock;
}

/** A service whose agent must have `await_signal` confirmed: a watch exists once the call has run. */
async function start(): Promise<World> {
  const model = closing(await startModelServer());
  const clock = manualClock();
  const service = closing(
    await startService({
      clock,
      config: {
        channels: { sms: { provider: "simulator", from_number: NUMBER, agent: "assistant", debounce: "0s" } },
        agents: {
          assistant: scriptedAgent(model, {
            tools: ["await_signal"],
            confirm: ["await_signal"],
          }),
        },
      },
    }),
  );
  await service.pair();
  return { service, model, clock };
}

const CALL = { toolCalls: [{ name: "await_signal", arguments: { from: ["22000"], timeout: "1h" } }] };

/** Texts for the call and resolves with the code that came to the phone. */
async function ask(service: Service, phone = PHONE): Promise<string> {
  const before = (await service.inbox(phone)).length;
  await service.text(phone, "wait for it");
  const texts = await service.received(phone, before + 1);
  const code = /\b\d{6}\b/.exec(texts.at(-1)?.text ?? "")?.[0];
  if (code === undefined) throw new Error(`no code in ${texts.at(-1)?.text}`);
  await service.logged("tool.parked");
  return code;
}

async function watches(service: Service): Promise<number> {
  return (await service.api("GET", "/watches")).body.items.length;
}

/** A code of six digits that is another one. */
function wrong(code: string, by = 1): string {
  return String((Number(code) + by) % 1_000_000).padStart(6, "0");
}

/** The texts of the tool results in the last request to the model. */
function told(model: ModelServer): string {
  const last = model.requests.at(-1)?.body.messages ?? [];
  return JSON.stringify(last.filter((message) => message.role === "tool"));
}

describe("a tool under confirm", () => {
  test("runs only after the texted code has come back", async () => {
    const { service, model } = await start();
    model.script(CALL);
    const code = await ask(service);
    const text = (await service.inbox(PHONE)).at(-1)?.text ?? "";
    expect(text).toStartWith(`Allow await signal: from "['22000']", timeout "1h"? Reply ${code} within`);
    expect(text.length).toBeLessThanOrEqual(160);
    expect(await watches(service)).toBe(0);
    const sid = await service.admitted(PHONE, `${code.slice(0, 3)} ${code.slice(3)}`);
    await service.until(async () => (await watches(service)) === 1, "the call to run");
    expect(await service.message(sid)).toMatchObject({ route: "command", state: "handled" });
    // No model ever reads a code, so none can be talked into giving it away.
    expect(JSON.stringify(model.requests)).not.toContain(code);
  });

  test("runs once, and its code is worth nothing afterwards", async () => {
    const { service, model } = await start();
    model.script(CALL);
    const code = await ask(service);
    await service.admitted(PHONE, code);
    await service.until(async () => (await watches(service)) === 1, "the call to run");
    model.script({ text: "A number." });
    await service.admitted(PHONE, code);
    await service.eventually(
      async () => (await service.inbox(PHONE)).at(-1)?.text === "A number.",
      "the spent code to be an ordinary text",
    );
    expect(await watches(service)).toBe(1);
  });

  test("asks for the code once, waits across a restart, and then runs", async () => {
    const { service: first, model } = await start();
    model.script(CALL);
    const code = await ask(first);
    const service = await first.restart();
    await service.admitted(PHONE, code);
    await service.until(async () => (await watches(service)) === 1, "the call to run");
    const texts = await service.inbox(PHONE);
    expect(texts.filter(({ text }) => text?.includes("within 10 minutes")).length).toBeLessThanOrEqual(1);
    expect(model.requests).toHaveLength(1);
  });

  test("is not confirmed by another sender's text with the code", async () => {
    const { service, model } = await start();
    await service.pair(OTHER);
    model.script(CALL);
    const code = await ask(service);
    model.script({ text: "What is that?" });
    await service.admitted(OTHER, code);
    await service.received(OTHER, 2);
    expect(await watches(service)).toBe(0);
    await service.admitted(PHONE, code);
    await service.until(async () => (await watches(service)) === 1, "the call to run");
  });

  test("fails when the ten minutes are over, and a late code is an ordinary text", async () => {
    const { service, model, clock } = await start();
    model.script(CALL, { text: "Then not." });
    const code = await ask(service);
    await clock.advance(10 * 60_000);
    const texts = await service.received(PHONE, 3);
    expect(texts.at(-1)?.text).toBe("Then not.");
    expect(told(model)).toContain("did not text the confirmation code back");
    model.script({ text: "Too late." });
    await service.admitted(PHONE, code);
    expect((await service.received(PHONE, 4)).at(-1)?.text).toBe("Too late.");
    expect(await watches(service)).toBe(0);
  });

  test("fails at the latest while nobody served, when the time was over meanwhile", async () => {
    const { service: first, model, clock } = await start();
    model.script(CALL, { text: "Then not." });
    await ask(first);
    await first.stop();
    await clock.advance(11 * 60_000);
    const service = await first.restart();
    await service.eventually(
      async () => (await service.inbox(PHONE)).some(({ text }) => text === "Then not."),
      "the reply",
    );
    expect(await watches(service)).toBe(0);
  });

  test("is given up after five wrong codes, and no other can be asked for by that number for an hour", async () => {
    const { service, model, clock } = await start();
    model.script(CALL);
    const code = await ask(service);
    for (let i = 1; i <= 5; i++) {
      model.script({ text: `Answer ${i}.` });
      await service.admitted(PHONE, wrong(code, i));
      if (i < 5) await service.received(PHONE, 2 + i);
    }
    // The given-up call's turn and the text's own turn each get an answer.
    model.script({ text: "Given up." });
    await service.received(PHONE, 8);
    model.script({ text: "No." });
    await service.admitted(PHONE, code);
    await service.received(PHONE, 9);
    expect(await watches(service)).toBe(0);

    model.script(CALL, { text: "Not now." });
    await service.admitted(PHONE, "wait for it");
    expect((await service.received(PHONE, 10)).at(-1)?.text).toBe("Not now.");
    expect(told(model)).toContain("too many wrong codes");

    await clock.advance(61 * 60_000);
    model.script(CALL);
    const next = await ask(service);
    await service.admitted(PHONE, next);
    await service.until(async () => (await watches(service)) === 1, "the call to run");
  });

  test("does not run once the sender has texted STOP", async () => {
    const { service, model } = await start();
    model.script(CALL);
    const code = await ask(service);
    await service.admitted(PHONE, "STOP");
    await service.admitted(PHONE, code);
    await service.admitted(PHONE, "START");
    model.script({ text: "Hello." });
    await service.admitted(PHONE, code);
    await service.eventually(
      async () => (await service.inbox(PHONE)).at(-1)?.text === "Hello.",
      "the code to be an ordinary text",
    );
    expect(await watches(service)).toBe(0);
  });
});
