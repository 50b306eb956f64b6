import type { Mcp, McpSeams } from "./mcp/server.ts";

/** The MCP server, loaded with its library at the first request: many a house has nobody who asks. */
export function createLazyMcp(seams: McpSeams): Mcp {
  let made: Promise<Mcp> | undefined;
  return {
    async fetch(request, caller) {
      made ??= import("./mcp/server.ts").then(({ createMcp }) => createMcp(seams));
      return (await made).fetch(request, caller);
    },
    async close() {
      await (await made)?.close();
    },
  };
}
