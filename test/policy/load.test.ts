import { describe, expect, test } from "bun:test";
import { type NamingSettings, policySettings } from "../../src/policy/settings.ts";
import { formatPolicyProblems } from "../../src/policy.ts";
import { engineOf, FILE, load, problemsOf, receive, SETTINGS } from "./setup.ts";

/** `line:column message` of each problem. */
const said = (texts: readonly string[], settings = {}) =>
  problemsOf(texts, settings).map(({ line, column, message }) => `${line}:${column} ${message}`);
const when = (condition: string) =>
  `@id("x") forbid (principal, action == Policy::Action::"receive_message", resource)\nwhen { ${condition} };`;

describe("a policy that does not parse", () => {
  test("is reported at its place, and does not hide the next", () => {
    const text = `// ü😀 first\n@id("a") permit(principal, action, resource);\n@id("b") forbid(principal,, action);\nfoo bar;`;
    expect(problemsOf([text])).toEqual([
      {
        file: FILE,
        line: 3,
        column: 27,
        policyId: "b",
        message: "unexpected token `,`, expected `)` or identifier",
        fix: expect.stringContaining("permit (principal, action, resource)"),
      },
      { file: FILE, line: 4, column: 5, message: expect.stringContaining("`bar`"), fix: expect.any(String) },
    ]);
  });

  test.each([
    ["a comment of another language", `"ü😀" /* ß */`, "1:7"],
    ["an emoji in a string before it", `@id("😀ü") permit(principal, action resource);`, "1:37"],
    ["a missing semicolon", `@id("a") permit(principal, action, resource)`, "1:45"],
    ["a string that is never closed", `@id("a") permit(principal, action, resource) when { "x };`, "1:53"],
    ["single quotes", `@id('a') permit(principal, action, resource);`, "1:5"],
    ["a second annotation of one name", `@id("a") @id("b") permit(principal, action, resource);`, "1:10"],
    ["an unknown method", when('resource.sender.address.startsWith("+49")'), "2:8"],
    ["an integer too large", when("resource.num_media < 9223372036854775808"), "2:29"],
    ["a stray semicolon", `@id("a") permit(principal, action, resource);;`, "1:46"],
  ])("%s", (_, text, place) => {
    expect(said([text])[0]).toStartWith(`${place} `);
  });

  test("Windows line ends and a byte order mark move nothing", () => {
    expect(said([`\uFEFF// one\r\n@id("a") permit(principal,, action);\r\n`])[0]).toStartWith("2:27 ");
    expect(load([`\uFEFF@id("a") permit(principal, action, resource);`]).kind).toBe("ok");
  });

  test("a template is refused with the reason", () => {
    const [problem] = problemsOf([`@id("t") permit(principal == ?principal, action, resource);`]);
    expect(problem).toMatchObject({ line: 1, column: 30, policyId: "t" });
    expect(problem?.message).toContain("templates");
  });

  test("nesting that would break the engine is refused before it gets there", () => {
    const deep = [
      `${"(".repeat(5_000)}true${")".repeat(5_000)}`,
      `${"[".repeat(100)}1${"]".repeat(100)} == [1]`,
      Array(5_000).fill("resource.sender.paired").join(" || "),
      `${"if resource.sender.paired then true else ".repeat(400)}false`,
      `resource${".sender".repeat(2_000)}`,
      `context.now${'.offset(duration("1h"))'.repeat(500)} > context.now`,
    ];
    for (const condition of deep) expect(said([when(condition)])[0]).toContain("nested too deeply");
    expect(
      said([`@id("x") permit(principal, action, resource)${" when { true }".repeat(1_000)};`])[0],
    ).toContain("chained too long");
    expect(said(["x".repeat(600_000)])[0]).toContain("more than");
    expect(engineOf([]).decide(receive({ sender: { paired: true } })).decision).toBe("allow");
  });
});

describe("ids", () => {
  test("are not empty, and unique across files", () => {
    const plain = "permit(principal, action, resource);";
    expect(said([`@id("") ${plain}\n@id ${plain}\n@id("  ") ${plain}\n@id("a\\n") ${plain}`])).toEqual([
      "1:1 the policy has no name",
      "2:1 the policy has no name",
      "3:1 the policy has no name",
      "4:1 the @id begins or ends with a space or holds a control character",
    ]);
    const [problem, ...more] = problemsOf([`\n@id("a") ${plain}`, `@id("b") ${plain}\n  @id("a") ${plain}`]);
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ file: "policies/1.cedar", line: 2, column: 3, policyId: "a" });
    expect(problem?.message).toContain(`${FILE}:2`);
  });

  test("are the file and the position where a policy has none", () => {
    const plain = "permit(principal, action, resource);";
    const engine = engineOf([`${plain} ${plain}\n@mark("x") ${plain}`, plain]);
    expect(engine.list().flatMap(({ id }) => (id.includes(".cedar") ? [id] : []))).toEqual([
      "own.cedar:1:1",
      "own.cedar:1:38",
      "own.cedar:2:1",
      "1.cedar:1:1",
    ]);
  });

  test("of built-in policies replace them, but only once", () => {
    const off = '@id("all-signals") forbid(principal, action, resource) when { false };';
    expect(load([off]).kind).toBe("ok");
    expect(said([off, off])).toEqual([`1:1 the @id is taken by the policy at ${FILE}:1`]);
  });

  test("of generated policies cannot be taken, whichever channels there are", () => {
    for (const id of ["allowed-senders:sms", "allow-all:codes", "allow-all:other", "\\u{61}llow-all:sms"])
      expect(said([`@id("${id}") permit(principal, action, resource);`])[0]).toContain(
        "belongs to a policy that is made",
      );
  });
});

describe("a policy that could never match is refused:", () => {
  test.each([
    [
      "the sender compared with a string",
      when('resource.sender == "+15551234567"'),
      "2:8",
      "the sender is a record",
    ],
    [
      "the same in all actions",
      '@id("x") forbid(principal, action, resource) when { resource.sender == "22000" };',
      "1:53",
      "the sender is a record",
    ],
    ["an unknown attribute", when('resource.sender.adress == "22000"'), "2:8", "adress"],
    ["an attribute of another action", when("context.sender.paired"), "2:8", "`sender` in context"],
    ["a set of another type", when("[1, 2].contains(resource.sender.address)"), "2:8", "not compatible"],
    [
      "an unknown action",
      '@id("x") forbid(principal, action == Policy::Action::"recieve_message", resource);',
      "1:38",
      "unrecognized action",
    ],
    [
      "an unknown type",
      '@id("x") forbid(principal == Policy::Agnt::"assistant", action, resource);',
      "1:30",
      "unrecognized entity type",
    ],
    ["a condition that is never true", when("1 == 2"), "1:1", "can never match"],
    ["`when { false }` on a policy of one's own", when("false"), "1:1", "can never match"],
    [
      "another contradiction on a built-in's id",
      '@id("all-signals") forbid(principal, action, resource) when { 1 == 2 };',
      "1:1",
      "can never match",
    ],
    [
      "an action that its resource excludes",
      '@id("x") forbid(principal, action == Policy::Action::"invoke_tool", resource is Policy::Message);',
      "1:1",
      "can never match",
    ],
    ["no action at all", '@id("x") forbid(principal, action in [], resource);', "1:1", "empty set"],
    [
      "letters that only look alike",
      when('resource.sender.address == "p\u0430ypal"'),
      "2:35",
      "mixed scripts",
    ],
    ["invisible direction marks", when('resource.sender.address == "a\u202Eb"'), "2:35", "BIDI"],
    ["a date that is none", when('context.now < datetime("2026-13-01")'), "2:22", "datetime"],
  ])("%s", (_, text, place, message) => {
    const problems = said([text]);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toStartWith(`${place} `);
    expect(problems[0]).toContain(message);
  });

  test("and a disjunct that can never match does not hide behind one that can", () => {
    const either = (condition: string) => when(`resource.sender.paired || ${condition}`);
    expect(said([either('principal == Policy::Channel::"sms"')])[0]).toStartWith(
      "2:47 `principal` can never be",
    );
    expect(said([either('resource in Policy::Agent::"hook"')])[0]).toContain("`resource` can never be in");
    expect(said([either('resource in [Policy::Channel::"sms", Policy::Agent::"hook"]')])[0]).toContain(
      "Agent",
    );
    expect(said([either("principal is Policy::Tool")])[0]).toContain("can never be a Policy::Tool");
    expect(said([either('resource has sendr && resource.sendr.kind == "mobile"')])[0]).toContain("`sendr`");
  });
});

describe("names that name nothing", () => {
  test.each([
    [
      "an agent in the scope",
      '@id("x") forbid(principal == Policy::Agent::"asistant", action, resource);',
      "1:30",
      "assistant",
    ],
    [
      "an agent in `in`",
      '@id("x") forbid(principal in Policy::Agent::"hok", action, resource);',
      "1:30",
      "hook",
    ],
    [
      "a channel in the scope",
      '@id("x") forbid(principal, action, resource in Policy::Channel::"smss");',
      "1:48",
      "sms",
    ],
    [
      "a channel in `is in`",
      '@id("x") forbid(principal, action, resource is Policy::Message in Policy::Channel::"code");',
      "1:67",
      "codes",
    ],
    [
      "an agent in a condition",
      when('"ü😀" == "ü😀" && principal == Policy::Agent::"assistent"'),
      "2:39",
      "assistant",
    ],
    [
      "an agent in a set",
      when('principal in [Policy::Agent::"hook", Policy::Agent::"Assistant"]'),
      "2:45",
      "assistant",
    ],
    ["an agent in contains", when('[Policy::Agent::"hokk"].contains(principal)'), "2:9", "hook"],
    [
      "an agent in unless",
      '@id("x") permit(principal, action, resource) unless { principal == Policy::Agent::"hoook" };',
      "1:68",
      "hook",
    ],
    [
      "a channel in an if",
      when('if resource.sender.paired then resource in Policy::Channel::"smms" else true'),
      "2:51",
      "sms",
    ],
    ["a channel whose attribute is read", when('Policy::Channel::"cods".mode == "signal"'), "2:8", "codes"],
    ["a channel in a record", when('{a: Policy::Channel::"smz"}.a == Policy::Channel::"sms"'), "2:12", "sms"],
    [
      "a name written with an escape",
      '@id("x") forbid(principal == Policy::Agent::"h\\u{6f}k", action, resource);',
      "1:30",
      "hook",
    ],
    [
      "a name written apart",
      '@id("x") forbid(principal == Policy :: // note\n Agent::"hok", action, resource);',
      "1:30",
      "hook",
    ],
    [
      "an MCP server",
      '@id("x") forbid(principal, action, resource in Policy::Server::"hom");',
      "1:48",
      "home",
    ],
    [
      "a tool of an unknown server",
      '@id("x") forbid(principal, action, resource == Policy::Tool::"homes.unlock");',
      "1:48",
      "home.unlock",
    ],
    [
      "a built-in tool",
      '@id("x") forbid(principal, action, resource == Policy::Tool::"send_mesage");',
      "1:48",
      "send_message",
    ],
    [
      "a tool without its server",
      '@id("x") forbid(principal, action, resource == Policy::Tool::"unlock_door");',
      "1:48",
      "server.tool",
    ],
    [
      "a server without a tool",
      '@id("x") forbid(principal, action, resource == Policy::Tool::"home.");',
      "1:48",
      "server.tool",
    ],
    ["a kind of address", when('resource.sender.kind == "shotcode"'), "2:32", "shortcode"],
    ["a kind in a set", when('["mobile", "whatsap"].contains(resource.sender.kind)'), "2:19", "whatsapp"],
    ["a mode", when('Policy::Channel::"sms".mode == "signals"'), "2:39", "signal"],
    ["a country", when('resource.sender.country == "UK"'), "2:35", "GB"],
    ["a country in small letters", when('resource.sender.country != "de"'), "2:35", "DE"],
    [
      "a channel's name as a string",
      '@id("x") forbid(principal, action == Policy::Action::"invoke_tool", resource) when { context.channel == "smss" };',
      "1:105",
      "sms",
    ],
    ["a number with spaces", when('resource.sender.address == "+1 555 010 0001"'), "2:35", "+15550100001"],
    [
      "a number without +",
      when('["22000", "15550100001"].contains(resource.sender.address)'),
      "2:18",
      "+15550100001",
    ],
    [
      "a number among the paired ones",
      when('context.paired_addresses.contains("0015550100001")'),
      "2:42",
      "+15550100001",
    ],
  ])("%s is refused with the nearest one", (_, text, place, meant) => {
    const problems = problemsOf([text]);
    expect(problems).toHaveLength(1);
    expect(`${problems[0]?.line}:${problems[0]?.column}`).toBe(place);
    expect(problems[0]?.policyId).toBe("x");
    expect(problems[0]?.fix).toContain(meant);
  });

  test("a single message or recipient cannot be named", () => {
    const own = (type: string) => `@id("x") forbid(principal, action, resource == Policy::${type}::"m");`;
    expect(said([own("Message")])).toEqual([
      '1:48 Policy::Message::"m" names a single message, which no policy can',
    ]);
    expect(said([own("Recipient")])[0]).toContain("recipient");
  });

  test("what is configured is accepted, the reserved agent and tools of known servers included", () => {
    const text = [
      '@id("a") permit(principal == Policy::Agent::"api", action == Policy::Action::"receive_signal", resource in Policy::Channel::"codes");',
      '@id("b") permit(principal, action, resource == Policy::Tool::"home.unlock_door");',
      '@id("c") permit(principal, action, resource == Policy::Tool::"files.local.read");',
      '@id("d") permit(principal, action, resource == Policy::Tool::"await_signal");',
      '@id("e") permit(principal, action, resource in Policy::Server::"files.local");',
      when(
        'resource.sender.country == "" || resource.sender.address like "+49*" || resource.sender.address == "MY BANK" || ["rcs:acme", "whatsapp:+15550100001"].contains(resource.sender.address)',
      ),
      '@id("f") forbid(principal, action, resource) when { context has sender && context.channel == "sms" && context.sender.kind == "rcs" };',
    ].join("\n");
    expect(load([text]).kind).toBe("ok");
    const japanese = "アシスタントbot";
    expect(load([when(`principal == Policy::Agent::"${japanese}"`)], { agents: [japanese] }).kind).toBe("ok");
  });

  test("without any configured thing of its kind the fix says so", () => {
    const [problem] = problemsOf(
      ['@id("x") forbid(principal, action, resource in Policy::Server::"home");'],
      { servers: [] },
    );
    expect(problem?.fix).toContain("no MCP server in sms.yaml");
  });
});

test("all problems of all files are reported at once, in order, and can be printed", () => {
  const problems = problemsOf([
    `@id("a") forbid(principal == Policy::Agent::"asistant", action, resource);\npermit(principal,, action);`,
    `@id("") permit(principal, action, resource);`,
  ]);
  expect(formatPolicyProblems(problems)).toBe(
    [
      `${FILE}:1:30: policy "a": Policy::Agent::"asistant" names no agent of the configuration`,
      '  Did you mean Policy::Agent::"assistant"?',
      `${FILE}:2:18: unexpected token \`,\`, expected \`)\` or identifier`,
      '  A policy reads: @id("name") permit (principal, action, resource) when { … };',
      "policies/1.cedar:1:1: the policy has no name",
      '  Begin it with an annotation of your choice, for example @id("block-22000").',
    ].join("\n"),
  );
});

test("a policy of a file is listed with its place and its text as written", () => {
  const text = `// comment with ; and "\n\n@id("own")\n// why; "so"\npermit (principal, action, resource)\nwhen { "a;//b" == "a;//b" }; // end\n`;
  const own = engineOf([text])
    .list()
    .find(({ id }) => id === "own");
  expect(own).toEqual({
    id: "own",
    effect: "permit",
    source: `${FILE}:3`,
    text: '@id("own")\n// why; "so"\npermit (principal, action, resource)\nwhen { "a;//b" == "a;//b" };',
    hits: 0,
  });
});

test("what policies can name comes from the configuration", () => {
  const settings: NamingSettings = {
    agents: {
      assistant: { type: "llm", mcpServers: { home: {} } },
      parrot: { type: "echo" },
    },
    channels: {
      sms: {
        id: "sms",
        mode: "message",
        provider: "twilio",
        agent: "assistant",
        allowedSenders: [{ address: "+15550100001", label: "Partner" }],
        allowAllSenders: false,
      },
      codes: {
        id: "codes",
        mode: "signal",
        provider: "simulator",
        allowedSenders: [],
        allowAllSenders: true,
      },
    },
  };
  expect(policySettings(settings)).toEqual({
    agents: ["assistant", "parrot"],
    channels: SETTINGS.channels,
    servers: ["home"],
    tools: ["await_signal", "send_message", "remind"],
    allowed: {
      sms: { agent: "assistant", allowedSenders: ["+15550100001"], allowAllSenders: false },
      codes: { agent: "api", allowedSenders: [], allowAllSenders: true },
    },
  });
});
