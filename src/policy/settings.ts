import { API_AGENT, BUILT_IN_TOOLS, type PolicyChannel } from "../policy.ts";
import type { ChannelSettings } from "../settings.ts";

/** What of the configuration policies can name, and what becomes a policy by itself. */
export interface PolicySettings {
  readonly agents: readonly string[];
  readonly channels: readonly PolicyChannel[];
  /** MCP servers of all agents. Their tools are not known here: `server.anything` is accepted. */
  readonly servers: readonly string[];
  /** Built-in tools, named without a server. */
  readonly tools: readonly string[];
  /** By channel id. */
  readonly allowed: Readonly<Record<string, AllowedSenders>>;
}

interface AllowedSenders {
  /** The channel's agent, or `API_AGENT`. */
  readonly agent: string;
  readonly allowedSenders: readonly string[];
  readonly allowAllSenders: boolean;
}

/** The part of the settings that matters here. */
export interface NamingSettings {
  readonly agents: Readonly<
    Record<
      string,
      | { readonly type: "llm"; readonly mcpServers: Readonly<Record<string, unknown>> }
      | { readonly type: "echo" | "http" | "command" }
    >
  >;
  readonly channels: Readonly<
    Record<
      string,
      Pick<ChannelSettings, "id" | "mode" | "provider" | "agent" | "allowedSenders" | "allowAllSenders">
    >
  >;
}

export function policySettings(settings: NamingSettings): PolicySettings {
  const channels = Object.values(settings.channels);
  const servers = Object.values(settings.agents).flatMap((agent) =>
    agent.type === "llm" ? Object.keys(agent.mcpServers) : [],
  );
  return {
    agents: Object.keys(settings.agents),
    channels: channels.map(({ id, mode, provider }) => ({ id, mode, provider })),
    servers: [...new Set(servers)],
    tools: BUILT_IN_TOOLS,
    allowed: Object.fromEntries(
      channels.map(({ id, agent, allowedSenders, allowAllSenders }) => [
        id,
        {
          agent: agent ?? API_AGENT,
          allowedSenders: allowedSenders.map(({ address }) => address),
          allowAllSenders,
        },
      ]),
    ),
  };
}
