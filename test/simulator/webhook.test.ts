import { afterEach, describe, expect, test } from "bun:test";
import twilio from "twilio";
import { manualClock } from "../support/clock.ts";
import { isSigned, NUMBER, PHONE, receive, startSimulator, TOKEN, xml } from "./support.ts";

let simulator = startSimulator();

afterEach(() => simulator.stop());

const text = (body: string, more: Record<string, unknown> = {}) =>
  simulator.control.inbound({ from: PHONE, to: NUMBER, body, ...more });
const phoneTexts = async (address = PHONE) =>
  (await simulator.control.messages(address))
    .filter((message) => message.direction === "outbound")
    .map((message) => message.text);

describe("the answer of the webhook", () => {
  const answering = async (response: () => Response) => {
    const hook = receive(response);
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
    await text("hi");
    await hook.until(1);
    await simulator.settled();
    return hook;
  };

  test("<Response/> says nothing", async () => {
    await answering(() => xml("<Response/>"));
    expect(await phoneTexts()).toEqual([]);
  });

  test("plain text is texted to the person, as Twilio does", async () => {
    await answering(() => new Response("OK", { headers: { "Content-Type": "text/plain" } }));
    expect(await phoneTexts()).toEqual(["OK"]);
    expect((await simulator.api("/Messages.json")).json.messages[0]).toMatchObject({
      direction: "outbound-reply",
      body: "OK",
      status: "delivered",
    });
    expect(simulator.log.lines).toContainEqual(
      expect.objectContaining({ event: "simulator.plain_text_answer" }),
    );
  });

  test("TwiML sends messages, to others as well, with callbacks", async () => {
    const hook = await answering(() =>
      xml(
        `<Response><Message>one</Message><Message to="+15559990002" statusCallback="/status">two</Message></Response>`,
      ),
    );
    expect(await phoneTexts()).toEqual(["one"]);
    expect(await phoneTexts("+15559990002")).toEqual(["two"]);
    const statuses = hook.calls
      .slice(1)
      .map((call) => [new URL(call.url).pathname, call.form.get("MessageStatus")]);
    expect(statuses).toEqual([
      ["/status", "queued"],
      ["/status", "sending"],
      ["/status", "sent"],
      ["/status", "delivered"],
    ]);
  });

  test("a reply that Twilio would refuse is not sent", async () => {
    await answering(() => xml(`<Response><Message>${"a".repeat(1601)}</Message></Response>`));
    expect(await phoneTexts()).toEqual([]);
    expect(simulator.log.lines).toContainEqual(
      expect.objectContaining({ event: "simulator.reply_refused", code: 21_617 }),
    );
  });

  test("a redirect is followed with the same parameters, signed for its URL", async () => {
    const hook = receive((call) =>
      xml(
        call.url.endsWith("/in")
          ? "<Response><Redirect>next</Redirect></Response>"
          : "<Response><Message>there</Message></Response>",
      ),
    );
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
    await text("hi");
    const calls = await hook.until(2);
    await simulator.settled();
    expect(calls[1]?.url).toBe(`${hook.url}/next`);
    expect(calls[1]?.params).toEqual(calls[0]?.params ?? {});
    expect(calls.every((call) => isSigned(call))).toBe(true);
    expect(await phoneTexts()).toEqual(["there"]);
  });

  test.each([
    ["text/xml", "<Response>", 12_100],
    ["text/xml", "<html/>", 12_200],
    ["application/json", "{}", 12_300],
  ])("%s %s sends the call to the fallback URL", async (type, body, code) => {
    const hook = receive(() => new Response(body, { headers: { "Content-Type": type } }));
    const fallback = receive(() => xml("<Response><Message>fallback</Message></Response>"));
    simulator = startSimulator({
      numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in`, smsFallbackUrl: fallback.url }],
    });
    await text("hi");
    const [call] = await fallback.until(1);
    expect(call?.params).toMatchObject({ ErrorCode: String(code), Body: "hi" });
    await simulator.settled();
    expect(await phoneTexts()).toEqual(["fallback"]);
  });
});

describe("a webhook that fails", () => {
  const failing = (fragment: string, respond: Parameters<typeof receive>[0]) => {
    const hook = receive(respond);
    const fallback = receive();
    simulator = startSimulator({
      numbers: [
        { number: NUMBER, smsUrl: `${hook.url}/in${fragment}`, smsFallbackUrl: `${fallback.url}/fallback` },
      ],
    });
    return { hook, fallback };
  };
  const broken = () => new Response("no", { status: 500 });

  test("with 5xx is not called again by default, but its fallback is", async () => {
    const { hook, fallback } = failing("", broken);
    const { sid } = await text("hi");
    const [call] = await fallback.until(1);
    await simulator.settled();
    expect(hook.calls).toHaveLength(1);
    expect(call?.params).toMatchObject({
      MessageSid: sid,
      Body: "hi",
      ErrorCode: "11200",
      ErrorUrl: `${hook.url}/in`,
    });
    expect(call && isSigned(call)).toBe(true);
    expect(call?.headers.get("I-Twilio-Idempotency-Token")).not.toBe(
      hook.calls[0]?.headers.get("I-Twilio-Idempotency-Token") ?? null,
    );
    expect((await simulator.api("/Messages.json")).json.messages).toHaveLength(1);
  });

  test("with 5xx is called again as the overrides say, with one idempotency token, and nothing of the fragment", async () => {
    const { hook, fallback } = failing("#rc=3&rp=5xx", (_call, index) =>
      index < 2 ? broken() : xml("<Response/>"),
    );
    await text("hi");
    await hook.until(3);
    await simulator.settled();
    expect(hook.calls).toHaveLength(3);
    expect(fallback.calls).toHaveLength(0);
    expect(hook.calls.every((call) => call.url === `${hook.url}/in` && isSigned(call))).toBe(true);
    expect(new Set(hook.calls.map((call) => call.headers.get("I-Twilio-Idempotency-Token"))).size).toBe(1);
  });

  test("with 4xx is called again only where the policy has 4xx or all", async () => {
    const refused = () => new Response("", { status: 404 });
    const { hook } = failing("#rc=2&rp=5xx,ct", refused);
    await text("hi");
    await simulator.settled();
    expect(hook.calls).toHaveLength(1);
    await simulator.stop();
    const again = failing("#rc=2&rp=all", refused);
    await text("hi");
    await simulator.settled();
    expect(again.hook.calls).toHaveLength(3);
  });

  test("that cannot be reached is tried twice by default", async () => {
    const gone = receive();
    await gone.stop();
    let attempts = 0;
    const fallback = receive();
    simulator = startSimulator({
      fetch(input, init) {
        attempts += input.startsWith(gone.url) ? 1 : 0;
        return fetch(input, init);
      },
      numbers: [{ number: NUMBER, smsUrl: gone.url, smsFallbackUrl: fallback.url }],
    });
    await text("hi");
    expect((await fallback.until(1))[0]?.form.get("ErrorCode")).toBe("11205");
    expect(attempts).toBe(2);
  });

  test("by staying silent is given up after 15 s, and called again only with rt", async () => {
    for (const [fragment, calls] of [
      ["", 1],
      ["#rc=5&rp=rt&rt=4000", 4], // 4 + 4 + 4 + 3 s: the total time is 15 s
    ] as const) {
      const clock = manualClock();
      const hook = receive(() => new Promise<Response>(() => {}));
      const fallback = receive();
      simulator = startSimulator({
        clock,
        numbers: [{ number: NUMBER, smsUrl: hook.url + fragment, smsFallbackUrl: fallback.url }],
      });
      await text("hi");
      await hook.until(1);
      await clock.advance(3_999);
      expect(hook.calls).toHaveLength(1);
      // Never beyond the next timer, so that the retry starts at the time at which it would.
      await clock.advance(1);
      for (let i = 2; i <= calls; i++) {
        await hook.until(i);
        await clock.advance(i === calls ? 2_999 : 4_000);
      }
      if (calls === 1) await clock.advance(10_999);
      expect(fallback.calls).toHaveLength(0);
      await clock.advance(1);
      expect((await fallback.until(1))[0]?.form.get("ErrorCode")).toBe("11205");
      expect(hook.calls).toHaveLength(calls);
      if (calls === 1) await simulator.stop();
    }
  });

  test("with GET and credentials in the URL is called as configured", async () => {
    const hook = receive();
    const url = hook.url.replace("http://", "http://user:p%40ss@");
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${url}/in?x=1`, smsMethod: "GET" }] });
    await text("a b");
    const [call] = await hook.until(1);
    expect(call?.method).toBe("GET");
    expect(new URL(call?.url ?? "").searchParams.get("Body")).toBe("a b");
    expect(call?.headers.get("Authorization")).toBe(`Basic ${btoa("user:p@ss")}`);
    const signature = call?.headers.get("X-Twilio-Signature") ?? "";
    expect(twilio.validateRequest(TOKEN, signature, call?.url ?? "", {})).toBe(true);
  });
});
