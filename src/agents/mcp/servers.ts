import type { ToolServerStatus } from "../../agent.ts";
import type { LlmAgent } from "../../settings.ts";
import type { Tool } from "../../tool.ts";
import type { AgentSeams } from "../seams.ts";
import { createMcpServer } from "./server.ts";

/** The MCP servers of one agent, shared by its turns. */
export interface McpServers {
  /**
   * All tools there are, named `server.tool`, and the servers whose tools are not known. Those that have yet to
   * start are waited for `patience` ms. Never rejects.
   */
  tools(
    patience: number,
    signal: AbortSignal,
  ): Promise<{ readonly tools: readonly Tool[]; readonly missing: readonly string[] }>;
  status(): readonly ToolServerStatus[];
  close(): Promise<void>;
}

/** Starts and reaches nothing before the first turn asks for tools. */
export function createMcpServers(
  { id, mcpServers }: Pick<LlmAgent, "id" | "mcpServers">,
  seams: AgentSeams,
): McpServers {
  const servers = Object.entries(mcpServers).map(([name, settings]) =>
    createMcpServer(id, name, settings, seams),
  );
  return {
    async tools(patience, signal) {
      const lists = await Promise.all(
        servers.map(async (server) => ({ name: server.name, tools: await server.tools(patience, signal) })),
      );
      for (const { name, tools } of lists)
        if (tools !== undefined)
          seams.onTools?.({ agent: id, server: name, tools: tools.map((tool) => tool.name) });
      return {
        tools: lists.flatMap((list) => list.tools ?? []),
        missing: lists.filter((list) => list.tools === undefined).map((list) => list.name),
      };
    },
    status: () => servers.map((server) => server.status()),
    async close() {
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}
