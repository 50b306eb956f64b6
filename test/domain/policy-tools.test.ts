import { describe, expect, test } from "bun:test";
import { createToolNames } from "../../src/policy/tool-names.ts";
import { unofferedTools } from "../../src/policy-tools.ts";
import type { LlmAgent } from "../../src/settings.ts";

const AGENT: LlmAgent = {
  id: "assistant",
  type: "llm",
  provider: "openai-compatible",
  model: "m",
  system: "",
  timeout: 1_000,
  maxSteps: 1,
  history: 1,
  tools: [],
  confirm: [],
  mcpServers: {},
};
const agent = (id: string, ...servers: string[]): LlmAgent => ({
  ...AGENT,
  id,
  mcpServers: Object.fromEntries(
    servers.map((name) => [name, { kind: "http" as const, url: "http://127.0.0.1:1/", headers: {} }]),
  ),
});
const named = (...tools: string[]) => tools.map((tool) => ({ policy: "p", source: "house.cedar:1", tool }));
const offer = (of: string, server: string, ...tools: string[]) => ({
  agent: of,
  server,
  tools: tools.map((tool) => `${server}.${tool}`),
});
const misnamed = (...question: Parameters<typeof unofferedTools>) =>
  unofferedTools(...question).map(({ tool }) => tool);

describe("a tool that a policy names", () => {
  test("is misnamed when its server has told its tools and it is none of them", () => {
    const agents = [agent("a", "home", "files")];
    const names = named("home.lamp", "home.lmp", "files.read", "remind");
    expect(misnamed(names, agents, [])).toEqual([]);
    expect(misnamed(names, agents, [offer("a", "home", "lamp")])).toEqual(["home.lmp"]);
    expect(misnamed(names, agents, [offer("a", "home")])).toEqual(["home.lamp", "home.lmp"]);
  });

  test("may be of any of several servers with one name, all of which are waited for", () => {
    const agents = [agent("a", "home"), agent("b", "home")];
    const [first, second] = [offer("a", "home", "lamp"), offer("b", "home", "door")];
    expect(misnamed(named("home.door", "home.dor"), agents, [first])).toEqual([]);
    expect(misnamed(named("home.door", "home.dor"), agents, [first, second])).toEqual(["home.dor"]);
  });

  test("may be of a server whose name begins as another's does", () => {
    const agents = [agent("a", "files", "files.local")];
    const offers = [offer("a", "files", "read"), offer("a", "files.local", "read")];
    expect(misnamed(named("files.local.read", "files.local.rm"), agents, offers)).toEqual(["files.local.rm"]);
  });

  test("is no concern of a server that is not configured any more", () => {
    expect(misnamed(named("home.lmp"), [agent("a")], [offer("a", "home", "lamp")])).toEqual([]);
  });

  test("is found wherever it stands in the policy, escapes and all", () => {
    const policy = (id: string, text: string) =>
      ({ id, text, source: "x", effect: "forbid", hits: 0 }) as const;
    const policies = [
      policy("scope", 'forbid(principal, action, resource == Policy::Tool::"home.a");'),
      policy(
        "unless",
        'forbid(principal, action, resource) unless { resource == Policy :: Tool::"home.\\u{62}" };',
      ),
      policy(
        "set",
        'forbid(principal, action, resource) when { [Policy::Tool::"home.c"].contains(resource) };',
      ),
      policy("server", 'forbid(principal, action, resource in Policy::Server::"home");'),
      policy("comment", 'forbid(principal, action, resource); // Policy::Tool::"home.d"'),
    ];
    const read = createToolNames();
    for (const _ of [1, 2])
      expect(read(policies).map(({ policy: id, tool }) => [id, tool])).toEqual([
        ["scope", "home.a"],
        ["unless", "home.b"],
        ["set", "home.c"],
      ]);
  });
});
