import type { Agent } from "../../src/agent.ts";
import { createAgent } from "../../src/agents/create.ts";
import type { AgentSeams } from "../../src/agents/seams.ts";
import type { LlmAgent } from "../../src/settings.ts";
import { systemClock } from "../support/clock.ts";
import {
  type ModelAnswer,
  type ModelRequest,
  type ModelServer,
  startModelServer,
} from "../support/model-server.ts";
import { seams } from "./support.ts";

const servers: ModelServer[] = [];
const agents: Agent[] = [];

/** For `afterEach`: ends what `serve` and `llmAgent` made. */
export async function endAll(): Promise<void> {
  await Promise.all(agents.splice(0).map((agent) => agent.close?.()));
  await Promise.all(servers.splice(0).map((server) => server.stop()));
}

/** A model server that ends with `endAll`. */
export async function serve(...answers: readonly ModelAnswer[]): Promise<ModelServer> {
  const server = await startModelServer(...answers);
  servers.push(server);
  return server;
}

/** An llm agent on that server; closed with `endAll`. */
export function llmAgent(
  server: Pick<ModelServer, "baseUrl">,
  over: Partial<LlmAgent> = {},
  own: AgentSeams = seams(),
): Agent {
  const agent = createAgent(
    {
      id: "assistant",
      type: "llm",
      provider: "openai-compatible",
      baseUrl: server.baseUrl,
      model: "test-model",
      system: "You are a butler.",
      timeout: 60_000,
      maxSteps: 12,
      history: 40,
      tools: ["await_signal", "send_message", "remind"],
      confirm: [],
      mcpServers: {},
      ...over,
    },
    own,
  );
  agents.push(agent);
  return agent;
}

/** Real time, but waiting for a repetition takes none. */
export function hasty(delays: number[] = []): ReturnType<typeof seams> {
  return seams({
    clock: {
      now: systemClock.now,
      after(delay, run) {
        if (delay < 60_000) delays.push(delay);
        return systemClock.after(delay < 60_000 ? 0 : delay, run);
      },
    },
  });
}

export const subject = (server: ModelServer) => `test-model at ${new URL(server.baseUrl).host}`;

/** The results of tool calls that a chat completions request tells the model, fences and all, in order. */
export function toldResults(request: ModelRequest | undefined): readonly string[] {
  return (request?.body.messages ?? [])
    .filter((message) => message.role === "tool")
    .map((message) => String(message.content));
}

export function systemOf(request: ModelRequest | undefined): string {
  return String(request?.body.messages[0]?.content);
}
