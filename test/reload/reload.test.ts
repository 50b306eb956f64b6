import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Carrier, openCarrier, routedFetch, TWILIO_SMS, twilioSection } from "../support/carrier.ts";
import { type Hook, openHook } from "../support/hook.ts";
import { openProxy, type ReverseProxy } from "../support/proxy.ts";
import {
  inboundParameters,
  NUMBER,
  PHONE,
  type Service,
  STRANGER,
  startService,
} from "../support/service.ts";
import { CODES_NUMBER, configPath, edit, linesOf, startWithYaml, texted, YAML } from "./support.ts";

setDefaultTimeout(20_000);

let service: Service | undefined;
let carrier: Carrier | undefined;
const hooks: Hook[] = [];
const proxies: ReverseProxy[] = [];

afterEach(async () => {
  for (const hook of hooks.splice(0)) await hook.close();
  await service?.close();
  await carrier?.close();
  for (const proxy of proxies.splice(0)) await proxy.close();
  service = carrier = undefined;
});

async function start(options: Parameters<typeof startWithYaml>[0] = {}): Promise<Service> {
  service = await startWithYaml(options);
  return service;
}

function hook(): Hook {
  const opened = openHook();
  hooks.push(opened);
  return opened;
}

async function reload(running: Service): Promise<void> {
  const outcome = await running.app.configuration.reload();
  if (outcome.kind === "refused") throw new Error(outcome.message);
}

const status = async (running: Service, channel: string) =>
  (await running.api("GET", `/channels/${channel}`)).body.status;

describe("an agent that was changed", () => {
  test("answers the next turn; a running one ends on the old agent", async () => {
    const [old, next] = [hook(), hook()];
    old.hold();
    const running = await start({
      yaml: YAML.replace("{ type: echo }", `{ type: http, url: "${old.url}" }`),
    });
    await running.admitted(PHONE, "first");
    const request = await old.request(1);
    edit(running, [old.url, next.url]);
    await reload(running);
    await running.admitted(STRANGER, "second");
    expect((await running.received(STRANGER, 1))[0]?.text).toBe("re: second");
    request.answer("late, but the old one's");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("late, but the old one's");
    expect([old.requests.length, next.requests.length]).toEqual([1, 1]);
    expect(linesOf(running, "config.reloaded")).toEqual([{ channels: [], agents: ["parrot"] }]);
  });

  test("may be of another kind, and another channel's agent is not made anew", async () => {
    const agent = hook();
    const running = await start({
      yaml: YAML.replace(
        'mode: "signal" }',
        "mode: message, agent: other, debounce: 0s, allow_all_senders: true }",
      ).replace("agents: {", `agents: { other: { type: http, url: "${agent.url}" },`),
    });
    edit(running, ["parrot: { type: echo }", `parrot: { type: command, command: [/bin/echo, hello] }`]);
    await reload(running);
    await running.admitted(PHONE, "anything");
    expect((await running.received(PHONE, 1))[0]?.text).toBe("hello");
    await running.admitted(STRANGER, "and you", CODES_NUMBER);
    expect((await running.received(STRANGER, 1))[0]?.text).toBe("re: and you");
    expect(linesOf(running, "config.reloaded")[0]?.agents).toEqual(["parrot"]);
  });
});

describe("a channel that was", () => {
  test("added is connected and answers; its simulated number exists from then on", async () => {
    const running = await start();
    edit(running, [
      "  codes:",
      `  more: { provider: simulator, from_number: "+15550100003", agent: parrot, debounce: 0s, allow_all_senders: true }\n  codes:`,
    ]);
    await reload(running);
    await running.until(async () => (await status(running, "more")) === "connected", "the new channel");
    await running.admitted(PHONE, "hello you", "+15550100003");
    const [reply] = await running.received(PHONE, 1);
    expect(reply).toMatchObject({ text: "hello you", from: "+15550100003" });
    expect((await running.api("GET", "/channels")).body.items).toHaveLength(3);
  });

  test("added to a service without a simulated one brings the simulator with it", async () => {
    carrier = openCarrier();
    const config = {
      twilio: twilioSection(carrier),
      channels: { real: { ...TWILIO_SMS, inbound: "none", allow_all_senders: true } },
    };
    const running = await startService({ config });
    service = running;
    expect((await running.api("GET", "/simulator/phones")).status).toBe(404);
    const before = JSON.parse(await Bun.file(configPath(running)).text());
    const sms = { provider: "simulator", from_number: "+15550100009", agent: "parrot", debounce: "0s" };
    const channels = { ...before.channels, sms: { ...sms, allow_all_senders: true } };
    writeFileSync(configPath(running), JSON.stringify({ ...before, channels }));
    await reload(running);
    const answer = await running.api("POST", "/simulator/inbound", {
      channel: "sms",
      from: PHONE,
      body: "hi",
    });
    expect(answer.status).toBe(201);
    const read = async () => {
      const { body } = await running.api("GET", `/simulator/phones/${encodeURIComponent(PHONE)}/messages`);
      return body.items?.filter((item: { direction: string }) => item.direction === "outbound");
    };
    await running.until(async () => (await read())?.[0]?.text === "hi", "the reply");
    writeFileSync(configPath(running), JSON.stringify(before));
    await reload(running);
    expect((await running.api("GET", "/simulator/phones")).status).toBe(404);
  });

  test("removed takes no texts any more and is gone from the API; the others do not notice", async () => {
    const running = await start();
    const parameters = inboundParameters(running, { To: CODES_NUMBER }, "codes");
    edit(running, [/^ {2}codes:.*\n/m.exec(YAML)?.[0] ?? "", ""]);
    await reload(running);
    expect((await running.api("GET", "/channels/codes")).status).toBe(404);
    expect((await running.webhook(parameters, { channel: "codes" })).status).toBe(404);
    expect(linesOf(running, "channel.removed")).toEqual([{ channel: "codes" }]);
    expect((await texted(running, PHONE, "hello")).route).toBe("message");
    expect(linesOf(running, "channel.status").filter(({ channel }) => channel === "sms")).toHaveLength(1);
  });

  test("removed and added again remembers who was paired", async () => {
    const closed = YAML.replace("allow_all_senders: true", "allow_all_senders: false");
    const running = await start({ yaml: closed });
    await running.pair();
    writeFileSync(configPath(running), closed.replace("  sms: ", "  other: "));
    await reload(running);
    await running.until(async () => (await status(running, "other")) === "pairing", "the other channel");
    writeFileSync(configPath(running), closed);
    await reload(running);
    await running.until(async () => (await status(running, "sms")) === "connected", "the channel");
    expect((await running.api("GET", "/channels/sms")).body.paired_addresses).toBe(1);
  });

  test("given another number is connected with that one", async () => {
    const running = await start();
    edit(running, [NUMBER, "+15550100077"]);
    await reload(running);
    await running.logged("channel.status", { channel: "sms", status: "connected" }, 2);
    await running.admitted(PHONE, "to the new number", "+15550100077");
    expect((await running.received(PHONE, 1))[0]?.from).toBe("+15550100077");
    const { body } = await running.api("GET", "/channels/sms");
    expect(body.number).toBe("+15550100077");
  });

  test("failed is tried again by a reload, also when nothing was changed", async () => {
    carrier = openCarrier({ numbers: [] });
    const running = await startService({
      config: {
        twilio: twilioSection(carrier),
        channels: { sms: { ...TWILIO_SMS, inbound: "poll", allow_all_senders: true } },
      },
      carrier,
    });
    service = running;
    expect(await status(running, "sms")).toBe("failed");
    await running.app.configuration.reload();
    await running.logged("channel.status", { channel: "sms", status: "failed" }, 2);
  });

  test("disabled by hand is taken down, and connected again when it is enabled", async () => {
    const running = await start();
    edit(running, ["mode: message  ", "enabled: false  "]);
    await reload(running);
    expect(await status(running, "sms")).toBe("disabled");
    edit(running, ["enabled: false  ", "mode: message  "]);
    await reload(running);
    await running.until(async () => (await status(running, "sms")) === "connected", "the channel");
  });
});

describe("a public URL that was changed", () => {
  test("is registered with the carrier, and texts and callbacks come in under it", async () => {
    const front = openProxy({});
    const prefixed = openProxy({});
    proxies.push(front, prefixed);
    const reachable = routedFetch({
      "https://one.example.com": front.url,
      "https://two.example.com": prefixed.url,
    });
    carrier = openCarrier({ fetch: reachable });
    const running = await startService({
      config: {
        server: { listen: "127.0.0.1:0", public_url: "https://one.example.com" },
        twilio: twilioSection(carrier),
        channels: { sms: { ...TWILIO_SMS, allow_all_senders: true } },
      },
      carrier,
      seams: { fetch: reachable },
      onListening(url) {
        front.pointTo(url);
        prefixed.pointTo(url);
      },
    });
    service = running;
    await running.admitted(PHONE, "one");
    await running.received(PHONE, 1);
    edit(running, ["https://one.example.com", "https://two.example.com/agent"]);
    await reload(running);
    await running.logged("channel.status", { channel: "sms", status: "connected" }, 2);
    await running.admitted(PHONE, "two");
    const texts = await running.received(PHONE, 2);
    await running.logged("delivery.status", { sid: texts[1]?.sid, status: "delivered" });
    expect(prefixed.requests.find(({ method }) => method === "POST")?.path).toBe(
      "/agent/webhooks/twilio/sms",
    );
    expect((await fetch(`${running.publicUrl}/agent/healthz`)).status).toBe(200);
  });
});

describe("policies that were changed", () => {
  test("decide from then on, and keep their counts", async () => {
    const running = await start({
      yaml: YAML.replace("allow_all_senders: true", "allow_all_senders: false"),
      files: { "policies/mine.cedar": "" },
    });
    expect((await texted(running, PHONE, "one")).route).toBe("signal");
    const rule = `@id("guest") permit (principal, action == Policy::Action::"receive_message", resource)
      when { resource.sender.address == "${PHONE}" };`;
    writeFileSync(join(running.folder, "policies", "mine.cedar"), rule);
    await reload(running);
    expect(await texted(running, PHONE, "two")).toMatchObject({ route: "message", policies: ["guest"] });
    const hits = async () => {
      const { body } = await running.api("GET", "/policies");
      return Object.fromEntries(body.items.map((item: { id: string; hits: number }) => [item.id, item.hits]));
    };
    const before = await hits();
    expect(before.guest).toBeGreaterThan(0);
    await reload(running);
    expect(await hits()).toEqual(before);
  });
});

describe("the admin listener", () => {
  test("takes a new token and new host names at once, and the old ones no more", async () => {
    const running = await start({
      yaml: YAML.replace(`"127.0.0.1:0" }`, `"127.0.0.1:0", token: first-token-of-all }`),
    });
    const ask = async (token: string, host?: string) => {
      const headers = { authorization: `Bearer ${token}`, ...(host === undefined ? {} : { host }) };
      return (await fetch(`${running.adminUrl}/api/v1/channels`, { headers })).status;
    };
    expect(await ask("first-token-of-all")).toBe(200);
    expect(await ask("first-token-of-all", "sms.home")).toBe(403);
    edit(running, ["token: first-token-of-all", "token: second-token-of-all, allowed_hosts: [sms.home]"]);
    await reload(running);
    expect(await ask("first-token-of-all")).toBe(401);
    expect(await ask("second-token-of-all", "sms.home")).toBe(200);
    expect(running.app.adminToken).toBe("second-token-of-all");
  });
});

describe("a reload", () => {
  test("that changes nothing disturbs nothing", async () => {
    const running = await start();
    const before = running.logs.length;
    await reload(running);
    await running.app.idle();
    const told = running.logs.slice(before).filter(({ level }) => level !== "debug");
    expect(told.map(({ event }) => event)).toEqual(["config.reloaded"]);
  });

  test("with settings from elsewhere is all or nothing too", async () => {
    const running = await start();
    const { settings } = running;
    const sms = settings.channels.sms;
    if (sms === undefined) throw new Error("no channel");
    const moved = await running.app.reload({ ...settings, dataDir: "/elsewhere", channels: {} });
    expect(moved).toMatchObject({ kind: "refused", message: expect.stringContaining("data_dir") });
    expect((await running.api("GET", "/channels")).body.items).toHaveLength(2);
    expect(await running.app.reload({ ...settings, channels: { sms } })).toEqual({ kind: "reloaded" });
    expect((await running.api("GET", "/channels")).body.items).toHaveLength(1);
  });

  test("after the end of the service is refused", async () => {
    const running = await start();
    await running.stop();
    expect(await running.app.configuration.reload()).toMatchObject({
      kind: "refused",
      fix: "Start it again.",
    });
  });
});
