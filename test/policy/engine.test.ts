import { describe, expect, test } from "bun:test";
import { initSync, isAuthorized } from "@cedar-policy/cedar-wasm/web";
import fc from "fast-check";
import schema from "../../policies/schema.cedarschema" with { type: "text" };
import { loadPolicies } from "../../src/policy/load.ts";
import type { PolicyEngine, PolicyQuestion } from "../../src/policy.ts";
import { engineOf, invoke, load, NOON, PARTNER, receive, SETTINGS, STRANGER, send } from "./setup.ts";

const RECEIVE = 'action == Policy::Action::"receive_message"';

describe("a policy that fails while it is evaluated", () => {
  const overflow = `@id("overflow") forbid (principal, ${RECEIVE}, resource)\nwhen { resource.num_media * 9223372036854775807 > 3 };`;

  test("denies, even where another permits, and says which and why", () => {
    const engine = engineOf([overflow], {
      allowed: { sms: { agent: "assistant", allowedSenders: [], allowAllSenders: true } },
    });
    expect(engine.decide(receive({ numMedia: 1 })).decision).toBe("deny");
    expect(engine.decide(receive({ numMedia: 0 })).decision).toBe("allow");
    const failed = engine.decide(receive({ numMedia: 2, sender: { paired: true } }));
    expect(failed.decision).toBe("error");
    expect(failed.policies).toEqual(["overflow"]);
    expect(failed.errors).toHaveLength(1);
    expect(failed.errors[0]).toStartWith(
      'policy "overflow" (policies/own.cedar:1) could not be evaluated: integer overflow',
    );
    expect(engine.decide(receive({ action: "receive_signal", numMedia: 2 })).decision).toBe("allow");
  });

  test("does not hide a forbid that holds", () => {
    const both = `${overflow}\n@id("all") forbid (principal, ${RECEIVE}, resource);`;
    const failed = engineOf([both]).decide(receive({ numMedia: 2 }));
    expect(failed).toMatchObject({ decision: "error", policies: ["overflow", "all"] });
  });

  test("as does a permit that fails", () => {
    const permit = `@id("p") permit (principal, ${RECEIVE}, resource) when { 9223372036854775807 + resource.num_media > 0 };`;
    expect(engineOf([permit]).decide(receive({ numMedia: 1 }))).toMatchObject({
      decision: "error",
      policies: ["p"],
    });
  });
});

test("a question that cannot be asked is an error, never an exception", () => {
  const engine = engineOf([
    `@id("t") permit (principal, ${RECEIVE}, resource) when { context.now > datetime("2020-01-01") };`,
  ]);
  for (const question of [receive({ now: Number.NaN }), receive({ now: 1e18 }), receive({ numMedia: 0.5 })]) {
    const decision = engine.decide(question);
    expect(decision).toMatchObject({ decision: "error", policies: [] });
    expect(decision.errors[0]).toContain("could not be evaluated");
  }
});

test("time, mode of another channel and paired addresses can be read by policies", () => {
  const engine = engineOf([
    `@id("day") permit (principal, ${RECEIVE}, resource) when { context.now.toTime() >= duration("8h") && context.now.toTime() < duration("20h") };`,
    `@id("quiet") forbid (principal, ${RECEIVE}, resource) when { Policy::Channel::"codes".mode == "signal" && context.paired_addresses.contains("${STRANGER}") };`,
  ]);
  expect(engine.decide(receive()).policies).toEqual(["day"]);
  expect(engine.decide(receive({ now: NOON + 9 * 3_600_000 })).decision).toBe("deny");
  expect(engine.decide(receive()).policies).toEqual(["day"]);
  expect(engine.decide(receive({ pairedAddresses: [STRANGER] })).policies).toEqual(["quiet"]);
});

test("tools are matched by name and by server, in the sender's name", () => {
  const engine = engineOf([
    '@id("door") forbid (principal, action, resource == Policy::Tool::"home.unlock_door") when { context.sender.kind != "mobile" };',
    '@id("files") forbid (principal, action == Policy::Action::"invoke_tool", resource in Policy::Server::"files.local");',
    '@id("remind") permit (principal, action == Policy::Action::"invoke_tool", resource == Policy::Tool::"remind") when { context.channel == "sms" };',
  ]);
  const sender = { paired: true };
  expect(engine.decide(invoke({ sender })).policies).toEqual(["configured-tools"]);
  expect(engine.decide(invoke({ sender: { paired: true, kind: "whatsapp" } })).policies).toEqual(["door"]);
  expect(engine.decide(invoke({ sender, tool: "files.local.read", server: "files.local" })).policies).toEqual(
    ["files"],
  );
  const builtIn: PolicyQuestion = { ...BUILT_IN, tool: "remind" };
  expect(engine.decide(builtIn).policies).toEqual(["remind"]);
  expect(engine.decide({ ...builtIn, channel: "codes" }).decision).toBe("deny");
});

const { server: _server, ...BUILT_IN } = invoke();

describe("hits", () => {
  test("count every decision a policy took part in, dry runs aside", () => {
    const engine = engineOf([]);
    const hits = () => engine.list().map((policy) => policy.hits);
    const question = receive({ sender: { paired: true } });
    for (let i = 0; i < 3; i++) engine.decide(question);
    engine.decide(receive());
    engine.decide(send({ paired: true }));
    expect(engine.decide(question, { dryRun: true }).decision).toBe("allow");
    expect(hits()).toEqual([3, 0, 1, 0]);
  });

  test("go on over a reload, for policies that are still there", () => {
    const first = engineOf(['@id("all-signals") forbid (principal, action, resource) when { false };']);
    first.decide(receive({ sender: { paired: true } }));
    const next = loadPolicies({ files: [], settings: SETTINGS, previous: first });
    if (next.kind !== "ok") throw new Error("must load");
    next.engine.decide(receive({ sender: { paired: true } }));
    expect(next.engine.list().map(({ id, hits }) => [id, hits])).toEqual([
      ["paired-senders", 2],
      ["all-signals", 0],
      ["reply-and-paired", 0],
      ["configured-tools", 0],
    ]);
  });
});

describe("a reload", () => {
  const only = (kind: string) =>
    `@id("own") permit (principal, ${RECEIVE}, resource) when { resource.sender.kind == "${kind}" };`;
  const answers = (engine: PolicyEngine, numMedia: number) =>
    (["mobile", "shortcode", "whatsapp"] as const).map(
      (kind) => engine.decide(receive({ numMedia, sender: { kind } })).decision === "allow",
    );

  test("leaves every earlier engine deciding as before", () => {
    const mobile = engineOf([only("mobile")]);
    const shortcode = engineOf([only("shortcode")]);
    const whatsapp = engineOf([only("whatsapp")]);
    for (let round = 0; round < 4; round++) {
      expect(answers(mobile, round)).toEqual([true, false, false]);
      expect(answers(whatsapp, round)).toEqual([false, false, true]);
      expect(answers(shortcode, round)).toEqual([false, true, false]);
    }
  });

  test("that fails leaves the current engine as it was", () => {
    const engine = engineOf([only("mobile")]);
    for (let round = 0; round < 4; round++) {
      expect(load([`@id("own") forbid (principal,, action);`]).kind).toBe("invalid");
      expect(load([only("mobil")]).kind).toBe("invalid");
    }
    expect(answers(engine, 0)).toEqual([true, false, false]);
  });

  test("does not grow the engine's memory", () => {
    const { memory } = initSync({ module: new Uint8Array() }); // returns the running instance
    const many = (round: number) => [
      Array.from(
        { length: 50 },
        (_, i) =>
          `@id("p${i}") forbid (principal, ${RECEIVE}, resource) when { resource.num_media > ${round * 50 + i} };`,
      ).join("\n"),
    ];
    for (let round = 0; round < 4; round++) engineOf(many(round)).decide(receive());
    const before = memory.buffer.byteLength;
    for (let round = 4; round < 16; round++) engineOf(many(round)).decide(receive());
    expect(memory.buffer.byteLength).toBe(before);
  });
});

const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({
    unit: fc.constantFrom(
      '"',
      "\\",
      "\n",
      "\r",
      "\0",
      "'",
      "}",
      "]",
      ")",
      ";",
      "/",
      "ü",
      "😀",
      "\uD800",
      "\uDC00",
      "\u202E",
    ),
    maxLength: 20,
  }),
  fc.constantFrom(
    '{"__entity":{"type":"Policy::Agent","id":"api"}}',
    "__proto__",
    "",
    "*",
    `${PARTNER}\0`,
    `${PARTNER} `,
    ` ${PARTNER}`,
    `"] || true || ["`,
  ),
);

test("no sender, however it is written, breaks evaluation or is taken for another", () => {
  const read = [
    `@id("one") permit (principal, ${RECEIVE}, resource) when { resource.sender.address == "${PARTNER}" };`,
    `@id("like") forbid (principal, ${RECEIVE}, resource) when { resource.sender.address like "+49*" };`,
  ];
  const literal = engineOf(read.slice(0, 1));
  const pattern = engineOf(read);
  fc.assert(
    fc.property(hostile, hostile, (address, other) => {
      const question = receive({
        sender: { address, country: other },
        pairedAddresses: [other],
        agent: other,
      });
      const known = address === PARTNER;
      expect(literal.decide(question)).toEqual({
        decision: known ? "allow" : "deny",
        policies: known ? ["one"] : [],
        errors: [],
      });
      if (!address.startsWith("+49")) expect(pattern.decide(question)).toEqual(literal.decide(question));
      const signal = literal.decide({ ...question, action: "receive_signal" });
      expect(signal).toEqual({ decision: "allow", policies: ["all-signals"], errors: [] });
      const tool = literal.decide(
        invoke({ tool: address, server: other, channel: other, sender: { address: other } }),
      );
      expect(tool).toEqual({ decision: "deny", policies: [], errors: [] });
      const channel = { id: other, mode: "message", provider: "twilio" } as const;
      expect(literal.decide({ ...send({ address, inConversation: true }), channel }).decision).toBe("allow");
    }),
    { numRuns: 200 },
  );
});

/** Conditions that read all that can be read, in many ways. */
const CONDITIONS = [
  `resource.sender.address == "${PARTNER}"`,
  `"22000" != resource.sender.address`,
  `["${PARTNER}", "22000", "MYBANK"].contains(resource.sender.address)`,
  `resource.sender.address like "+4*"`,
  "context.paired_addresses.contains(resource.sender.address)",
  `context.paired_addresses.containsAny(["${PARTNER}", "+4915550100001"])`,
  "context.paired_addresses.isEmpty()",
  `[resource.sender.address].contains("22000")`,
  `resource.sender == {address: "${PARTNER}", kind: "mobile", country: "US", paired: true}`,
  `(if resource.sender.paired then resource.sender else {address: "22000", kind: "shortcode", country: "", paired: false}).address == "22000"`,
  `context == {paired_addresses: ["${PARTNER}"], now: datetime("2026-01-15T12:00:00Z")}`,
  `context.now < datetime("2026-01-15T13:00:00Z")`,
  `context.now.toTime() == duration("12h")`,
  "resource.num_media * 4611686018427387904 > 0",
  `resource.sender has address && resource.sender.address == "MYBANK"`,
  `resource.sender["address"] == "22000"`,
  `Policy::Channel::"codes".mode == "signal" && resource in Policy::Channel::"sms"`,
  `resource.sender.country == "DE" || resource.sender.kind == "shortcode"`,
  "resource.sender.paired",
  `principal == Policy::Agent::"api"`,
];

test("what is left out of a request, or remembered, never changes a decision", () => {
  const policies = fc.uniqueArray(
    fc.record({
      effect: fc.constantFrom("permit", "forbid"),
      clause: fc.constantFrom("when", "unless"),
      condition: fc.constantFrom(...CONDITIONS),
    }),
    { minLength: 1, maxLength: 4, selector: ({ condition }) => condition },
  );
  const address = fc.constantFrom(PARTNER, "22000", "MYBANK", STRANGER, "+4915550100001", "-", "");
  const question = fc.record({
    agent: fc.constantFrom("assistant", "api"),
    channel: fc.constantFrom(...SETTINGS.channels),
    sender: fc.record({
      address,
      kind: fc.constantFrom("mobile" as const, "shortcode" as const),
      country: fc.constantFrom("US", "DE", ""),
      paired: fc.boolean(),
    }),
    numMedia: fc.integer({ min: 0, max: 3 }),
    pairedAddresses: fc.uniqueArray(address, { maxLength: 3 }),
    now: fc.constantFrom(NOON, NOON + 3_600_000, NOON + 86_400_000),
  });
  fc.assert(
    fc.property(policies, fc.array(question, { minLength: 1, maxLength: 8 }), (rules, questions) => {
      const texts = rules.map(
        ({ effect, clause, condition }, i) =>
          `@id("p${i}") ${effect} (principal, ${RECEIVE}, resource) ${clause} { ${condition} };`,
      );
      const engine = engineOf([texts.join("\n")]);
      for (const asked of [...questions, ...questions]) {
        const found = engine.decide({ action: "receive_message", ...asked });
        expect({ decision: found.decision, policies: [...found.policies].sort() }).toEqual(
          whole(engine, asked),
        );
      }
    }),
    { numRuns: 100 },
  );
}, 20_000);

/** The decision by Cedar itself over everything the question holds. */
function whole(engine: PolicyEngine, asked: Omit<ReturnType<typeof receive>, "action">) {
  const uid = (type: string, id: string) => ({ type: `Policy::${type}`, id });
  const answer = isAuthorized({
    schema,
    policies: { staticPolicies: Object.fromEntries(engine.list().map(({ id, text }) => [id, text])) },
    principal: uid("Agent", asked.agent),
    action: uid("Action", "receive_message"),
    resource: uid("Message", "m"),
    context: {
      paired_addresses: [...asked.pairedAddresses],
      now: { __extn: { fn: "datetime", arg: new Date(asked.now).toISOString() } },
    },
    entities: [
      {
        uid: uid("Message", "m"),
        attrs: { sender: { ...asked.sender }, num_media: asked.numMedia },
        parents: [uid("Channel", asked.channel.id)],
      },
      ...SETTINGS.channels.map(({ id, mode, provider }) => ({
        uid: uid("Channel", id),
        attrs: { mode, provider },
        parents: [],
      })),
    ],
  });
  if (answer.type === "failure") throw new Error(answer.errors[0]?.message);
  const { decision, diagnostics } = answer.response;
  const failed = diagnostics.errors.map(({ policyId }) => policyId);
  if (failed.length === 0) return { decision, policies: [...diagnostics.reason].sort() };
  const policies = new Set([...failed, ...(decision === "deny" ? diagnostics.reason : [])]);
  return { decision: "error" as const, policies: [...policies].sort() };
}
