import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { decideRoute } from "../../src/dispatch.ts";
import type { PolicyEngine } from "../../src/policy.ts";
import type { ChannelSettings, Mode } from "../../src/settings.ts";
import { engineOf, invoke, NOON, PARTNER, receive, STRANGER, send } from "./setup.ts";

const example = (name: string) =>
  readFileSync(new URL(`../../docs/examples/policies/${name}.cedar`, import.meta.url), "utf8");

function channel(mode: Mode, change: Partial<ChannelSettings> = {}): ChannelSettings {
  return {
    id: mode === "message" ? "sms" : "codes",
    provider: mode === "message" ? "twilio" : "simulator",
    sender: { kind: "number", number: "+15551234567" },
    mode,
    agent: "assistant",
    enabled: true,
    inbound: "webhook",
    pollInterval: 5_000,
    catchUp: 0,
    registerWebhook: false,
    allowedSenders: [],
    allowAllSenders: false,
    idleTimeout: 60_000,
    session: "address",
    debounce: 0,
    reply: { maxMessages: 1, overflow: "more", economy: true },
    insecureNoSignature: false,
    account: {
      accountSid: "AC00000000000000000000000000000000",
      authToken: "",
      apiUrl: "",
      messagingUrl: "",
    },
    ...change,
  };
}

const PICTURE = { url: "https://example.com/picture", contentType: "image/jpeg" };

/** Route, and whether the text is kept, of a text from an unpaired (or paired) address. */
function route(engine: PolicyEngine, from: string, to: ChannelSettings, paired = false): string {
  const facts = {
    ...(paired ? { paired: { channel: to.id, address: from, pairedAt: NOON } } : {}),
    pairedAddresses: paired ? [from] : [],
  };
  const { route, state, keepText } = decideRoute({ from, media: [] }, to, facts, engine, "US", NOON);
  return `${route} ${state} ${keepText ? "kept" : "not kept"}`;
}

describe("the built-in policies", () => {
  const engine = engineOf([]);

  test("are four, and listed with their text", () => {
    expect(engine.list().map(({ id, effect, source, hits }) => ({ id, effect, source, hits }))).toEqual(
      ["paired-senders", "all-signals", "reply-and-paired", "configured-tools"].map((id) => ({
        id,
        effect: "permit",
        source: "default",
        hits: 0,
      })),
    );
    expect(engine.list()[1]?.text).toStartWith('@id("all-signals")\npermit (');
  });

  const paired = { paired: true };
  test.each([
    ["a paired phone may text the agent", receive({ sender: paired }), "allow", ["paired-senders"]],
    ["a stranger may not text the agent", receive(), "deny", []],
    [
      "a short code may not text the agent",
      receive({ sender: { address: "22000", kind: "shortcode", country: "" } }),
      "deny",
      [],
    ],
    [
      "a stranger's text is offered to watches",
      receive({ action: "receive_signal" }),
      "allow",
      ["all-signals"],
    ],
    [
      "so is a short code's",
      receive({ action: "receive_signal", sender: { address: "22000", kind: "shortcode" } }),
      "allow",
      ["all-signals"],
    ],
    [
      "whoever waits through the API sees signals",
      receive({ action: "receive_signal", agent: "api" }),
      "allow",
      ["all-signals"],
    ],
    ["a stranger in conversation is answered", send({ inConversation: true }), "allow", ["reply-and-paired"]],
    ["a paired phone may be texted first", send(paired), "allow", ["reply-and-paired"]],
    ["a stranger may not be texted first", send(), "deny", []],
    ["a paired person's tools run", invoke({ sender: paired }), "allow", ["configured-tools"]],
    ["a stranger's do not", invoke(), "deny", []],
    ["nor do built-in ones for a stranger", invoke({ tool: "remind" }), "deny", []],
  ] as const)("%s", (_, question, decision, policies) => {
    expect(engine.decide(question)).toEqual({ decision, policies, errors: [] });
  });

  test("route texts as the table says", () => {
    const sms = channel("message");
    const codes = channel("signal");
    expect(route(engine, PARTNER, sms, true)).toBe("message queued kept");
    expect(route(engine, STRANGER, sms)).toBe("signal dropped not kept");
    expect(route(engine, "22000", sms)).toBe("signal dropped not kept");
    expect(route(engine, STRANGER, codes)).toBe("signal received kept");
  });

  test("are named with a text that reaches the agent, and so is what kept watches from it", () => {
    const deciders = (texts: readonly string[], media: number) => {
      const facts = {
        paired: { channel: "sms", address: PARTNER, pairedAt: NOON },
        pairedAddresses: [PARTNER],
      };
      const text = { from: PARTNER, media: Array.from({ length: media }, () => PICTURE) };
      const routed = decideRoute(text, channel("message"), facts, engineOf(texts), "US", NOON);
      expect(routed.route).toBe("message");
      return routed.policies;
    };
    const forbid = (id: string, when = "") =>
      `@id("${id}") forbid (principal, action == Policy::Action::"receive_signal", resource) ${when};`;
    const overflow = forbid("overflow", "when { resource.num_media * 9223372036854775807 > 3 }");
    expect(deciders([], 0)).toEqual(["paired-senders"]);
    expect(deciders([forbid("quiet")], 0)).toEqual(["paired-senders", "quiet"]);
    expect(deciders([overflow], 0)).toEqual(["paired-senders"]);
    expect(deciders([overflow], 2)).toEqual(["paired-senders", "overflow"]);
  });

  test("can each be replaced and switched off", () => {
    const off = engineOf([
      '@id("all-signals") forbid (principal, action == Policy::Action::"receive_signal", resource) when { false };',
      '@id("paired-senders") permit (principal == Policy::Agent::"hook", action == Policy::Action::"receive_message", resource) when { resource.sender.paired };',
    ]);
    expect(off.decide(receive({ action: "receive_signal" }))).toEqual({
      decision: "deny",
      policies: [],
      errors: [],
    });
    expect(off.decide(receive({ sender: paired })).decision).toBe("deny");
    expect(off.decide(receive({ agent: "hook", sender: paired })).policies).toEqual(["paired-senders"]);
    expect(
      off
        .list()
        .filter(({ source }) => source === "default")
        .map(({ id }) => id),
    ).toEqual(["reply-and-paired", "configured-tools"]);
    expect(route(off, STRANGER, channel("message"))).toBe("dropped dropped not kept");
    expect(route(off, STRANGER, channel("signal"))).toBe("dropped dropped not kept");
  });

  test("are switched off by the very lines their comments give", () => {
    for (const name of ["paired-senders", "all-signals", "reply-and-paired", "configured-tools"]) {
      const text = readFileSync(new URL(`../../policies/${name}.cedar`, import.meta.url), "utf8");
      const lines = text.split("\n").filter((line) => line.startsWith("//   "));
      const shown = lines.map((line) => line.slice(5)).join("\n");
      expect(shown).toContain(`@id("${name}")`);
      const info = engineOf([shown])
        .list()
        .find(({ id }) => id === name);
      expect(info).toMatchObject({ effect: "forbid", source: "policies/own.cedar:1" });
    }
  });
});

describe("the example policies", () => {
  const engine = engineOf([example("partner"), example("block-short-code")]);
  const sms = channel("message");

  test("let the partner's number reach that agent on that channel, and nobody else", () => {
    expect(engine.decide(receive({ sender: { address: PARTNER } }))).toEqual({
      decision: "allow",
      policies: ["partner-may-text"],
      errors: [],
    });
    expect(route(engine, PARTNER, sms)).toBe("message queued kept");
    expect(route(engine, PARTNER, { ...sms, agent: "hook" })).toBe("signal dropped not kept");
    expect(route(engine, PARTNER, { ...sms, id: "codes" })).toBe("signal dropped not kept");
    expect(route(engine, STRANGER, sms)).toBe("signal dropped not kept");
    expect(route(engine, `whatsapp:${PARTNER}`, sms)).toBe("signal dropped not kept");
    expect(route(engine, "+155501000011", sms)).toBe("signal dropped not kept");
    expect(route(engine, PARTNER, channel("signal"))).toBe("signal received kept");
  });

  test("drop the short code everywhere, even where it is paired or everyone is allowed", () => {
    expect(route(engine, "22000", sms)).toBe("dropped dropped not kept");
    expect(route(engine, "22000", channel("signal"))).toBe("dropped dropped not kept");
    expect(route(engine, "22000", sms, true)).toBe("dropped dropped not kept");
    expect(route(engine, "22001", channel("signal"))).toBe("signal received kept");
    const open = engineOf([example("block-short-code")], {
      allowed: { sms: { agent: "assistant", allowedSenders: ["22000"], allowAllSenders: true } },
    });
    expect(route(open, "22000", sms)).toBe("dropped dropped not kept");
    expect(open.decide(receive({ sender: { address: "22000" } })).policies).toEqual(["block-22000"]);
    expect(route(open, STRANGER, sms)).toBe("message queued kept");
  });
});

describe("allowed senders", () => {
  const engine = engineOf([], {
    allowed: {
      sms: { agent: "assistant", allowedSenders: [PARTNER, "whatsapp:+15550100002"], allowAllSenders: false },
      codes: { agent: "api", allowedSenders: [], allowAllSenders: true },
    },
  });

  test("may text their channel's agent, by its generated policy", () => {
    expect(engine.decide(receive({ sender: { address: PARTNER } })).policies).toEqual([
      "allowed-senders:sms",
    ]);
    expect(engine.decide(receive({ sender: { address: "whatsapp:+15550100002" } })).decision).toBe("allow");
    expect(engine.decide(receive({ sender: { address: "+15550100002" } })).decision).toBe("deny");
    expect(engine.decide(receive({ sender: { address: PARTNER }, agent: "hook" })).decision).toBe("deny");
  });

  test("of one channel are nobody on another", () => {
    const codes = { id: "codes", mode: "signal", provider: "simulator" } as const;
    expect(engine.decide(receive({ sender: { address: PARTNER }, channel: codes })).decision).toBe("deny");
    const anyone = engine.decide(receive({ channel: codes, agent: "api" }));
    expect(anyone).toEqual({ decision: "allow", policies: ["allow-all:codes"], errors: [] });
    expect(engine.decide(receive({ agent: "api" })).decision).toBe("deny");
  });

  test("are shown by the list", () => {
    const generated = engine.list().filter(({ source }) => source === "generated");
    expect(generated.map(({ id, effect }) => [id, effect])).toEqual([
      ["allowed-senders:sms", "permit"],
      ["allow-all:codes", "permit"],
    ]);
    expect(generated[0]?.text).toContain(
      `["${PARTNER}", "whatsapp:+15550100002"].contains(resource.sender.address)`,
    );
  });

  test("and channels with hostile names stay within their quotes", () => {
    const name = 'sms"); permit(principal, action, resource); //\n\\ü😀\u0000';
    const hostile = engineOf([], {
      channels: [{ id: name, mode: "message", provider: "twilio" }],
      allowed: {
        [name]: {
          agent: name,
          allowedSenders: [`"].contains("x") || true || ["`, name],
          allowAllSenders: false,
        },
      },
    });
    expect(hostile.list()).toHaveLength(5);
    expect(hostile.decide(receive()).decision).toBe("deny");
    const theirs = { agent: name, channel: { id: name, mode: "message", provider: "twilio" } } as const;
    expect(hostile.decide(receive({ ...theirs, sender: { address: name } })).decision).toBe("allow");
    expect(hostile.decide(receive(theirs)).decision).toBe("deny");
  });
});
