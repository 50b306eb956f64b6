import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { openHook } from "../support/hook.ts";
import { PHONE, type Service, STRANGER } from "../support/service.ts";
import { CODES_NUMBER, fileOf, linesOf, startWithYaml, texted, YAML } from "./support.ts";

setDefaultTimeout(20_000);

async function start(options: Parameters<typeof startWithYaml>[0] = {}): Promise<Service> {
  const service = closing(await startWithYaml(options));
  return service;
}

const toSignal = (running: Service, channel = "sms") =>
  running.api("PATCH", `/channels/${channel}`, { mode: "signal" });
const toMessage = (running: Service, channel = "sms") =>
  running.api("PATCH", `/channels/${channel}`, { mode: "message" });

describe("a mode switched by the API", () => {
  test("stands in the file, with every comment, quote and blank line where it was", async () => {
    const running = await start();
    await toSignal(running);
    expect(fileOf(running)).toBe(YAML.replace("mode: message  ", "mode: signal  "));
    await toMessage(running);
    expect(fileOf(running)).toBe(YAML);
  });

  test("outlives a restart", async () => {
    const running = await start();
    await toSignal(running);
    const again = await running.restart({ yaml: fileOf(running) });
    expect((await again.api("GET", "/channels/sms")).body.mode).toBe("signal");
  });

  test("that it has already changes nothing, not even a value that comes from the environment", async () => {
    const yaml = YAML.replace("mode: message  ", `mode: \${MODE:-message}  `);
    const running = await start({ yaml });
    const answer = await toMessage(running);
    expect([answer.status, answer.body.mode]).toEqual([200, "message"]);
    expect(fileOf(running)).toBe(yaml);
  });

  test("makes a channel nobody may text wait for pairing, and shows the code in its answer", async () => {
    const yaml = YAML.replace("allow_all_senders: true", "allow_all_senders: false").replace(
      "mode: message  ",
      "mode: signal  ",
    );
    const running = await start({ yaml });
    expect((await running.api("GET", "/channels/sms")).body).toMatchObject({ status: "connected" });
    const { body } = await toMessage(running);
    expect(body.status).toBe("pairing");
    expect(body.pairing.code).toMatch(/^[A-Z2-9]{4}-[A-Z2-9]{4}$/);
    await running.text(PHONE, body.pairing.code);
    await running.received(PHONE, 1);
    expect((await running.api("GET", "/channels/sms")).body).toMatchObject({ status: "connected" });
    await toSignal(running);
    const back = await toMessage(running);
    expect(back.body).toMatchObject({ status: "connected", paired_addresses: 1 });
  });

  test("decides again about texts whose turn had not begun; a turn that runs ends", async () => {
    const hook = closing(openHook());
    hook.hold();
    const running = await start({
      yaml: YAML.replace("{ type: echo }", `{ type: http, url: "${hook.url}" }`),
    });
    const first = await running.admitted(PHONE, "runs already");
    const request = await hook.request(1);
    const second = await running.admitted(PHONE, "waits");
    await toSignal(running);
    request.answer("the answer");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("the answer");
    await running.until(async () => (await running.message(second)).route === "signal", "the second text");
    expect((await running.message(first)).state).toBe("handled");
    await running.app.idle();
    expect(hook.requests).toHaveLength(1);
    expect(await running.inbox(PHONE)).toHaveLength(1);
  });

  test("keeps those who wait for a code waiting", async () => {
    const running = await start();
    const waiting = running.api("POST", "/signals/await", { from: "22000", timeout: "10s" });
    await running.until(
      async () => (await running.api("GET", "/watches")).body.items.length === 1,
      "somebody to wait",
    );
    await toSignal(running);
    await toMessage(running);
    await toSignal(running);
    await running.text("22000", "Your code is 482913");
    const { body } = await waiting;
    expect(body).toMatchObject({ status: "matched", signal: { channel: "sms", code: "482913" } });
  });

  test("leaves the connection to the carrier as it is", async () => {
    const calls: string[] = [];
    const counted = Object.assign(
      (...[input, init]: Parameters<typeof fetch>) => {
        const url = String(input instanceof Request ? input.url : input);
        if (url.includes("/2010-04-01/")) calls.push(url);
        return fetch(input, init);
      },
      { preconnect: fetch.preconnect },
    );
    const running = await start({ seams: { fetch: counted } });
    await running.until(
      () =>
        linesOf(running, "channel.status").length === 2 &&
        calls.some((url) => url.includes("/Messages.json")),
      "the channels to be connected and their lists to be read",
    );
    await running.app.idle();
    const before = calls.length;
    await toSignal(running);
    await toMessage(running);
    expect(calls.slice(before)).toEqual([]);
    expect(linesOf(running, "channel.status")).toHaveLength(2);
  });
});

describe("a channel switched off and on by the API", () => {
  test("keeps its texts and answers them when it is on again", async () => {
    const running = await start();
    const off = await running.api("PATCH", "/channels/sms", { enabled: false });
    expect(off.body).toMatchObject({ enabled: false, status: "disabled" });
    expect(fileOf(running)).toBe(
      YAML.replace("provider: simulator\n", "provider: simulator\n    enabled: false\n"),
    );
    const sid = await running.admitted(PHONE, "while off");
    await running.app.idle();
    expect((await running.message(sid)).state).toBe("queued");
    expect(await running.inbox(PHONE)).toEqual([]);
    const on = await running.api("PATCH", "/channels/sms", { enabled: true });
    expect(on.body.enabled).toBe(true);
    expect((await running.received(PHONE, 1))[0]?.text).toBe("while off");
    await running.until(
      async () => (await running.api("GET", "/channels/sms")).body.status === "connected",
      "the channel",
    );
  });

  test("shows a turn that became too old while it was off", async () => {
    const clock = manualClock();
    const yaml = YAML.replace("debounce: 0s", "debounce: 5m\n    idle_timeout: 10m");
    const running = await start({ yaml, clock });
    const sid = await running.admitted(PHONE, "long ago");
    await running.api("PATCH", "/channels/sms", { enabled: false });
    await clock.advance(11 * 60_000);
    await running.api("PATCH", "/channels/sms", { enabled: true });
    await running.eventually(async () => (await running.message(sid)).state !== "queued", "the turn");
    expect((await running.message(sid)).error.meaning).toContain("idle_timeout");
    expect(await running.inbox(PHONE)).toEqual([]);
  });

  test("may be switched in mode by the same request", async () => {
    const running = await start();
    const { body } = await running.api("PATCH", "/channels/sms", { enabled: false, mode: "signal" });
    expect(body).toMatchObject({ enabled: false, mode: "signal", status: "disabled" });
    expect(fileOf(running)).toBe(
      YAML.replace("mode: message  ", "mode: signal  ").replace(
        "provider: simulator\n",
        "provider: simulator\n    enabled: false\n",
      ),
    );
  });
});

describe("a request to switch", () => {
  test("that names no such channel is 404", async () => {
    const running = await start();
    expect((await toSignal(running, "nope")).status).toBe(404);
    expect((await toSignal(running, "__proto__")).status).toBe(404);
  });

  test("that says nothing, or something else, is refused with the field", async () => {
    const running = await start();
    for (const [body, path] of [
      [{}, ""],
      [{ mode: "quiet" }, "mode"],
      [{ enabled: "no" }, "enabled"],
      [{ mode: "signal", agent: "x" }, "agent"],
      [{ mode: null }, "mode"],
      [[], ""],
    ] as const) {
      const answer = await running.api("PATCH", "/channels/sms", body);
      expect([JSON.stringify(body), answer.status, answer.body.errors?.[0]?.path]).toEqual([
        JSON.stringify(body),
        400,
        path,
      ]);
    }
    expect(fileOf(running)).toBe(YAML);
  });

  test("needs a credential", async () => {
    const running = await start();
    const answer = await fetch(`${running.adminUrl}/api/v1/channels/sms`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: '{"mode":"signal"}',
    });
    expect(answer.status).toBe(401);
    expect(fileOf(running)).toBe(YAML);
  });

  test("to message mode without an agent says where to write one, and changes nothing", async () => {
    const running = await start();
    const answer = await toMessage(running, "codes");
    expect(answer.status).toBe(409);
    expect(answer.body.detail).toContain(
      "channels.codes.agent: is missing; in mode message an agent answers",
    );
    expect(answer.body.detail).toContain("write agent: parrot");
    expect(fileOf(running)).toBe(YAML);
    expect((await texted(running, STRANGER, "hi", CODES_NUMBER)).route).toBe("signal");
  });
});
