import { describe, expect, test } from "bun:test";
import { newConfig, type Plan, withChannel } from "../../src/config/scaffold.ts";

const PORTS = { public: 8080, admin: 8081 };
const PLAN: Plan = {
  channel: {
    name: "work",
    provider: "simulator",
    number: "+15550100002",
    inbound: "webhook",
    agent: "parrot",
  },
};
const AGENT = { name: "parrot", type: "echo" } as const;

function add(text: string, plan: Plan = PLAN): string {
  const added = withChannel(text, plan);
  if (!added.ok) throw new Error("refused");
  return added.text;
}

describe("a channel that is added", () => {
  test("comes behind the last one, in the file's own indentation, with all else untouched", () => {
    const text = `# top
channels:
    sms: # mine
        agent: parrot   # spaces stay

# about agents
agents:
    parrot: { type: echo }
`;
    const next = add(text);
    expect(next).toContain(`    sms: # mine
        agent: parrot   # spaces stay
    work:
      provider: simulator
      from_number: "+15550100002"`);
    expect(next).toContain("\n# about agents\nagents:\n    parrot: { type: echo }\n");
    for (const line of text.split("\n")) expect(next).toContain(line);
  });

  test("makes the maps that are not there yet", () => {
    const next = add("server: { listen: 127.0.0.1:1 }\n", { ...PLAN, agent: AGENT });
    expect(next).toStartWith("server: { listen: 127.0.0.1:1 }\n\nchannels:\n  work:\n");
    expect(next).toContain("\nagents:\n  parrot:\n    type: echo");
  });

  test("works where the file ends without a line break, or in a comment", () => {
    for (const end of ["", "\n", "\n# end", "\n\n\n"]) {
      const next = add(`channels:\n  sms:\n    agent: parrot${end}`);
      expect(next).toContain("\n  sms:\n    agent: parrot\n  work:\n");
      if (end.includes("# end")) expect(next).toContain("# end");
    }
  });

  test.each([
    "channels: { sms: { agent: parrot } }\n",
    "channels:\n",
    "channels: &all\n  [a]\n",
    "a: b: c\n",
    "- x\n",
  ])("is shown to be written by hand where the file is %p", (text) => {
    const added = withChannel(text, { ...PLAN, agent: AGENT });
    expect(added.ok).toBe(false);
    expect(!added.ok && added.lines).toContain("channels:\n  work:\n    provider: simulator");
    expect(!added.ok && added.lines).toContain("agents:\n  parrot:");
  });
});

test("what a person typed cannot break out of its place in the file", () => {
  const model = `x"\nadmin: { token: "\${HOME}" } # `;
  const text = newConfig({ ...PLAN, agent: { name: "a", type: "llm", provider: "openai", model } }, PORTS);
  const read = Bun.YAML.parse(text) as { agents: { a: { model: string } }; admin: object };
  expect(read.agents.a.model).toBe(model.replace("${", "$${"));
  expect(read.admin).toEqual({ listen: "127.0.0.1:8081" });
});
