/**
 * Tools that policies name and no MCP server offers. A policy is loaded before any server has told its tools, so a
 * misspelt one is noticed only later; until then a forbid of it forbids nothing.
 */
import type { Alerts } from "./alerts.ts";
import type { Finding } from "./finding.ts";
import { nearest } from "./nearest.ts";
import type { AgentSettings, Settings } from "./settings.ts";

/** A tool as a policy names it: `server.tool`, or a built-in one by its bare name. */
export interface NamedTool {
  /** The policy's id. */
  readonly policy: string;
  /** `file:line`, or what else it comes from. */
  readonly source: string;
  readonly tool: string;
}

/** All tools of one agent's MCP server, each as `server.tool`. */
export interface OfferedTools {
  readonly agent: string;
  readonly server: string;
  readonly tools: readonly string[];
}

interface UnofferedTool extends NamedTool {
  readonly message: string;
  readonly fix: string;
}

/**
 * The named tools that none of the servers they can be of offers. Servers of several agents may have one name: nothing
 * is said before all of them have told their tools.
 */
export function unofferedTools(
  named: readonly NamedTool[],
  agents: readonly AgentSettings[],
  offers: readonly OfferedTools[],
): readonly UnofferedTool[] {
  const servers = agents.flatMap((agent) =>
    agent.type === "llm" ? Object.keys(agent.mcpServers).map((server) => ({ agent: agent.id, server })) : [],
  );
  return named.flatMap((name) => {
    const possible = servers.filter(({ server }) => name.tool.startsWith(`${server}.`));
    const known = possible.flatMap(({ agent, server }) =>
      offers.filter((offer) => offer.agent === agent && offer.server === server),
    );
    const [first] = known;
    const offered = known.flatMap(({ tools }) => tools);
    if (first === undefined || known.length < possible.length || offered.includes(name.tool)) return [];
    const meant = nearest(name.tool, offered);
    return {
      ...name,
      message: `The policy "${name.policy}" (${name.source}) names the tool ${name.tool}, which the MCP server ${first.server} does not offer. What it says of this tool has no effect.`,
      fix:
        meant === undefined
          ? `Write the tool's name as ${first.server} lists it, or take it out of the policy.`
          : `Did you mean Policy::Tool::${JSON.stringify(meant)}?`,
    };
  });
}

/** Agents that a channel or a schedule names. */
export function usedAgents({
  channels,
  schedules,
}: Pick<Settings, "channels" | "schedules">): ReadonlySet<string | undefined> {
  return new Set([...Object.values(channels), ...schedules].map(({ agent }) => agent));
}

export interface PolicyToolsSeams {
  readonly settings: () => Pick<Settings, "agents" | "channels" | "schedules">;
  /** What the policies in force name. */
  readonly named: () => readonly NamedTool[];
  readonly raise: Alerts["raise"];
}

/** Takes what a server offers, in each turn that asks for it, and tells the operator of what policies misname. */
export function createPolicyTools({ settings, named, raise }: PolicyToolsSeams) {
  const offers = new Map<string, OfferedTools>();
  return (offer: OfferedTools): void => {
    offers.set(JSON.stringify([offer.agent, offer.server]), offer);
    // An agent that nothing uses never has a turn, and what it would offer cannot be waited for.
    const used = usedAgents(settings());
    const asked = Object.values(settings().agents).filter(({ id }) => used.has(id));
    for (const { policy, tool, message, fix } of unofferedTools(named(), asked, [...offers.values()]))
      raise({ cause: `policy.unknown_tool/${policy}/${tool}`, message, fix });
  };
}

/** For `doctor`: one warning for each. */
export function unofferedFindings(...question: Parameters<typeof unofferedTools>): readonly Finding[] {
  return unofferedTools(...question).map(({ message, fix }) => ({
    name: "policies",
    status: "warn",
    detail: message,
    fix,
  }));
}
