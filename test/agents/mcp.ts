import { fileURLToPath } from "node:url";
import { createMcpServers, type McpServers } from "../../src/agents/mcp/servers.ts";
import type { AgentSeams } from "../../src/agents/seams.ts";
import type { McpServerSettings } from "../../src/settings.ts";
import type { Tool, ToolContext } from "../../src/tool.ts";
import { systemClock } from "../support/clock.ts";
import { never, seams } from "./support.ts";

const open: McpServers[] = [];

/** For `afterEach`: ends what `mcpServers` started. */
export async function closeAll(): Promise<void> {
  await Promise.all(open.splice(0).map((servers) => servers.close()));
}

export function mcpServers(
  servers: Readonly<Record<string, McpServerSettings>>,
  own: AgentSeams = seams(),
): McpServers {
  const made = createMcpServers({ id: "assistant", mcpServers: servers }, own);
  open.push(made);
  return made;
}

/** Real time, but waits of up to a second are jumped over. */
export function eager(): ReturnType<typeof seams> {
  let jumped = 0;
  return seams({
    clock: {
      now: () => systemClock.now() + jumped,
      after(delay, run) {
        if (delay > 1_000) return systemClock.after(delay, run);
        return systemClock.after(0, () => {
          jumped += delay;
          run();
        });
      },
    },
  });
}

/** The settings of `mcp-program.ts`. */
export function program(
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): McpServerSettings {
  const script = fileURLToPath(import.meta.resolve("./mcp-program.ts"));
  return { command: [process.execPath, script, ...args], env, cwd: import.meta.dir };
}

export const context: ToolContext = {
  turnId: "turn_1",
  callId: "1.0",
  channel: "sms",
  agent: "assistant",
  conversationId: "conv_1",
  from: "+15551234567",
};

/** The tool of that name, as the servers list it now. */
export async function toolNamed(servers: McpServers, name: string): Promise<Tool> {
  const { tools } = await servers.tools(15_000, never);
  const tool = tools.find((each) => each.name === name);
  if (tool === undefined) throw new Error(`no ${name} among ${tools.map((each) => each.name).join(", ")}`);
  return tool;
}

/** What a call gives, or the words it fails with. */
export async function callTool(
  servers: McpServers,
  name: string,
  input: Readonly<Record<string, unknown>> = {},
  signal: AbortSignal = never,
): Promise<string> {
  return said(await toolNamed(servers, name), input, signal);
}

export async function said(
  tool: Tool,
  input: Readonly<Record<string, unknown>> = {},
  signal: AbortSignal = never,
): Promise<string> {
  try {
    const result = await tool.call(input, context, signal);
    return result.kind === "done" ? result.text : "parked";
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}
