import { nearest } from "../nearest.ts";
import { BUILT_IN_TOOLS } from "../policy.ts";
import { type Checked, checkId, RESERVED_AGENT } from "./checked.ts";
import type { Path } from "./problems.ts";
import type { Report } from "./report.ts";
import type { AgentConfig } from "./schema.ts";
import { keysAt, type Source } from "./tree.ts";

type LlmConfig = AgentConfig & { type: "llm" };

/** What is wrong with agents beyond the single values. */
export function checkAgents({ config, root, report }: Checked): void {
  for (const [id, agent] of Object.entries(config.agents)) {
    const path = ["agents", id];
    switch (agent.type) {
      case "llm":
        checkLlm(path, agent, root, report);
        break;
      case "http":
        checkHeaders([...path, "headers"], agent.headers, report);
        break;
      case "command":
        checkEnv([...path, "env"], agent.env, report);
        break;
      case "echo":
        break;
    }
  }
  for (const id of keysAt(root, ["agents"])) {
    checkId(["agents", id], "agent", report);
    if (id === RESERVED_AGENT) {
      report.problem(["agents", id], {
        key: true,
        message: "is reserved for API, MCP and CLI",
        fix: "write another name",
      });
    }
  }
}

function checkLlm(path: Path, agent: LlmConfig, root: Source, report: Report): void {
  const provider = [...path, "provider"];
  if (!report.spoiled(provider) && !report.spoiled([...path, "base_url"]) && agent.base_url === undefined) {
    if (agent.provider === "openai-compatible") {
      report.problem([...path, "base_url"], {
        message: "is missing; an openai-compatible endpoint has no address of its own",
        fix: "write base_url: http://127.0.0.1:11434/v1 (or where yours is)",
      });
    } else if (!agent.api_key && !agent.api_key_file && !report.spoiled([...path, "api_key"])) {
      report.problem([...path, "api_key"], {
        message: `is missing; ${agent.provider} answers nobody without one`,
        fix: `write api_key: \${${agent.provider.toUpperCase()}_API_KEY} and set that variable`,
      });
    }
  }
  const servers = keysAt(root, [...path, "mcp_servers"]);
  for (const name of servers) {
    if (/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) continue;
    report.problem([...path, "mcp_servers", name], {
      key: true,
      message: "is no name for an MCP server: names are 1 to 64 of a-z, A-Z, 0-9, _ and -",
      fix: "write another name",
    });
  }
  for (const [name, server] of Object.entries(agent.mcp_servers)) {
    checkMcpServer([...path, "mcp_servers", name], server, report);
  }
  for (const [i, tool] of agent.confirm.entries())
    checkConfirm([...path, "confirm", i], tool, agent, servers, report);
}

function checkMcpServer(path: Path, server: LlmConfig["mcp_servers"][string], report: Report): void {
  if (report.spoiled([...path, "url"]) || report.spoiled([...path, "command"])) return;
  if ((server.url === undefined) === (server.command === undefined)) {
    report.problem(path, {
      key: true,
      message: server.url === undefined ? "has neither url nor command" : "has both url and command",
      fix: "write url: for a server reached over HTTP, or command: for a program that is started",
    });
    return;
  }
  const [stray, belongs] =
    server.url === undefined ? (["headers", "url"] as const) : (["env", "command"] as const);
  if (server[stray] !== undefined) {
    report.problem([...path, stray], {
      key: true,
      message: `belongs to a server with ${belongs}`,
      fix: "take it out",
    });
  }
  checkHeaders([...path, "headers"], server.headers ?? {}, report);
  checkEnv([...path, "env"], server.env ?? {}, report);
}

function checkConfirm(
  path: Path,
  tool: string,
  agent: LlmConfig,
  servers: readonly string[],
  report: Report,
): void {
  if (report.spoiled(path)) return;
  const dot = tool.indexOf(".");
  const builtIn = BUILT_IN_TOOLS.find((name) => name === tool);
  if (dot < 0) {
    if (builtIn !== undefined && agent.tools.includes(builtIn)) return;
    const near = nearest(tool, agent.tools);
    report.problem(path, {
      message:
        builtIn === undefined
          ? "names no tool of this agent"
          : "names a tool this agent is not given in tools",
      fix: near === undefined ? "write server.tool, or a built-in tool of tools" : `write ${near}`,
    });
    return;
  }
  const server = tool.slice(0, dot);
  const rest = tool.slice(dot + 1);
  if (rest === "") {
    report.problem(path, { message: "names a server, but no tool of it", fix: `write ${server}.<tool>` });
  } else if (!servers.includes(server)) {
    const near = nearest(server, servers);
    report.problem(path, {
      message: "names a tool of a server that is not in mcp_servers of this agent",
      fix:
        near !== undefined
          ? `write ${near}.${rest}`
          : servers.length > 0
            ? `write one of ${servers.map((name) => `${name}.${rest}`).join(", ")}`
            : `define ${server} under mcp_servers:`,
    });
  }
}

function checkHeaders(path: Path, headers: Readonly<Record<string, string>>, report: Report): void {
  for (const [name, value] of Object.entries(headers)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
      report.problem([...path, name], {
        key: true,
        message: "is no header name",
        fix: "write letters, digits and -",
      });
    } else if (!/^[\t\x20-\x7E\x80-\xFF]*$/.test(value)) {
      report.problem([...path, name], {
        message: "has a value that no header can carry",
        fix: "write it in one line, in Latin letters",
      });
    }
  }
}

function checkEnv(path: Path, env: Readonly<Record<string, string>>, report: Report): void {
  for (const [name, value] of Object.entries(env)) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      report.problem([...path, name], {
        key: true,
        message: "is no name of an environment variable",
        fix: "write letters, digits and _, not beginning with a digit",
      });
    } else if (value.includes("\0")) {
      report.problem([...path, name], { message: "has a NUL in its value", fix: "write a text" });
    }
  }
}
