import { accessSync, constants, statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import type { Finding } from "../finding.ts";
import type { AgentSettings, CommandAgent, HttpAgent, LlmAgent, McpServerSettings } from "../settings.ts";
import { errorCode } from "./exchange.ts";
import { createMcpServer } from "./mcp/server.ts";
import { ANTHROPIC_URL, OPENAI_URL } from "./model.ts";
import type { AgentSeams } from "./seams.ts";

const PROBE_TIME = 10_000;
const MCP_TIME = 20_000;

/** Looks whether an agent could answer, without asking it anything that costs or acts. */
export async function probeAgent(
  settings: AgentSettings,
  seams: AgentSeams,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const name = `agent ${settings.id}`;
  switch (settings.type) {
    case "echo":
      return [{ name, status: "ok", detail: "answers with the text it got" }];
    case "http":
      return [await probeHttp(name, settings, seams, signal)];
    case "command":
      return [probeCommand(name, settings.command, settings, seams)];
    case "llm":
      return [
        await probeModel(name, settings, seams, signal),
        ...(await Promise.all(
          Object.entries(settings.mcpServers).map(([server, reached]) =>
            probeServer(settings.id, server, reached, seams, signal),
          ),
        )),
      ];
  }
}

/** Any answer will do: what a turn is answered only a turn would tell. */
async function probeHttp(
  name: string,
  { url, id }: HttpAgent,
  seams: AgentSeams,
  signal: AbortSignal,
): Promise<Finding> {
  const { host } = new URL(url);
  const answer = await ask(url, { method: "HEAD" }, seams, signal);
  if (answer.kind === "answered") {
    await answer.response.body?.cancel();
    return { name, status: "ok", detail: `${host} answers` };
  }
  return {
    name,
    status: "fail",
    detail: `${host} cannot be reached: ${answer.reason}`,
    fix: `Start it, or correct agents.${id}.url.`,
  };
}

function probeCommand(
  name: string,
  [program = ""]: readonly string[],
  { cwd, id }: Pick<CommandAgent, "cwd" | "id">,
  { env }: AgentSeams,
): Finding {
  const places = program.includes("/")
    ? [isAbsolute(program) ? program : resolve(cwd, program)]
    : (env.PATH ?? "").split(delimiter).map((folder) => join(folder, program));
  const found = places.find(isProgram);
  if (found !== undefined) return { name, status: "ok", detail: `${found} can be run` };
  return {
    name,
    status: "fail",
    detail: `${program} is no program that can be run here`,
    fix: `Correct agents.${id}.command, or make the file executable (chmod +x).`,
  };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

const models = z.object({ data: z.array(z.object({ id: z.string() })) });

/** The list of models costs nothing, and tells whether the key is right and the model is there. */
async function probeModel(
  name: string,
  { id, provider, baseUrl, apiKey, model }: LlmAgent,
  seams: AgentSeams,
  signal: AbortSignal,
): Promise<Finding> {
  const base = baseUrl ?? (provider === "anthropic" ? ANTHROPIC_URL : OPENAI_URL);
  const { host } = new URL(base);
  const key: Record<string, string> =
    provider === "anthropic"
      ? { "anthropic-version": "2023-06-01", ...(apiKey === undefined ? {} : { "x-api-key": apiKey }) }
      : { ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }) };
  const answer = await ask(`${base.replace(/\/+$/, "")}/models`, { headers: key }, seams, signal);
  if (answer.kind === "silent")
    return {
      name,
      status: "fail",
      detail: `${host} cannot be reached: ${answer.reason}`,
      fix: `Start it, or correct agents.${id}.base_url.`,
    };
  const { status } = answer.response;
  if (status === 401 || status === 403)
    return {
      name,
      status: "fail",
      detail: `${host} does not accept the key (${status})`,
      fix: `Correct agents.${id}.api_key.`,
    };
  const list =
    status === 200 ? models.safeParse(await answer.response.json().catch(() => undefined)) : undefined;
  if (list?.success !== true)
    return {
      name,
      status: "warn",
      detail: `${host} answers, and does not list its models (${status}), so whether it has ${model} is not known`,
      fix: `Text the agent, or see that agents.${id}.base_url ends as the provider says (often /v1).`,
    };
  const names = list.data.data.map((entry) => entry.id);
  if (names.includes(model) || names.includes(`${model}:latest`))
    return { name, status: "ok", detail: `${host} has ${model}` };
  const some = names.slice(0, 8).join(", ");
  return {
    name,
    status: "warn",
    detail: `${host} does not list ${model}${some === "" ? "" : `; it lists ${some}`}`,
    fix: `Correct agents.${id}.model, or fetch the model there.`,
  };
}

async function probeServer(
  id: string,
  server: string,
  settings: McpServerSettings,
  seams: AgentSeams,
  signal: AbortSignal,
): Promise<Finding> {
  const name = `agent ${id}: MCP server ${server}`;
  const mcp = createMcpServer(id, server, settings, seams);
  try {
    const tools = await mcp.tools(MCP_TIME, signal);
    const { status, reason } = mcp.status();
    if (tools !== undefined && status === "ready") {
      seams.onTools?.({ agent: id, server, tools: tools.map((tool) => tool.name) });
      return { name, status: "ok", detail: `${tools.length} ${tools.length === 1 ? "tool" : "tools"}` };
    }
    return {
      name,
      status: "fail",
      detail: reason ?? `it did not answer within ${MCP_TIME / 1000} s`,
      fix: `Start it, or correct agents.${id}.mcp_servers.${server}.`,
    };
  } finally {
    await mcp.close();
  }
}

type Asked =
  | { readonly kind: "answered"; readonly response: Response }
  | { readonly kind: "silent"; readonly reason: string };

async function ask(
  url: string,
  init: BunFetchRequestInit,
  { fetch, clock }: AgentSeams,
  signal: AbortSignal,
): Promise<Asked> {
  const abort = new AbortController();
  const cancel = clock.after(PROBE_TIME, () => abort.abort());
  try {
    const response = await fetch(url, {
      ...init,
      redirect: "manual",
      signal: AbortSignal.any([signal, abort.signal]),
    });
    return { kind: "answered", response };
  } catch (error) {
    const reason = abort.signal.aborted ? `no answer within ${PROBE_TIME / 1000} s` : errorCode(error);
    return { kind: "silent", reason };
  } finally {
    cancel();
  }
}
