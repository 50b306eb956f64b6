import type { Tool } from "../tool.ts";

/** Which calls need a code, and the names under `confirm` that no tool has. */
export interface Confirmed {
  needsCode(tool: Pick<Tool, "name" | "server">): boolean;
  /** `server.tool`, of servers whose tools are known. */
  readonly unknown: readonly string[];
}

/**
 * Reads `confirm` against the tools there are. A name that its server does not know is misspelt, or the server has
 * renamed its tool: then nobody can say which tool was meant, so all of that server's tools need a code.
 */
export function confirmedOf(confirm: readonly string[], tools: readonly Tool[]): Confirmed {
  const names = new Set(tools.map(({ name }) => name));
  const known = new Set(tools.flatMap(({ server }) => server ?? []));
  const serverOf = (name: string) => name.slice(0, Math.max(0, name.indexOf(".")));
  const unknown = confirm.filter((name) => known.has(serverOf(name)) && !names.has(name));
  const doubtful = new Set(unknown.map(serverOf));
  return {
    needsCode: ({ name, server }) => confirm.includes(name) || (server !== undefined && doubtful.has(server)),
    unknown,
  };
}
