import { type AgentRegistry, createAgentRegistry } from "./agent-registry.ts";
import { createAgent } from "./agents/create.ts";
import { toolAlerts } from "./alerts.ts";
import type { Core } from "./app-core.ts";
import type { Seams } from "./app-seams.ts";
import { createToolNames } from "./policy/tool-names.ts";
import type { PolicyEngine } from "./policy.ts";
import { createPolicyTools } from "./policy-tools.ts";

/** The agents of the settings. `policies`: those whose tools are compared with what MCP servers offer. */
export function openAgents(core: Core, policies: () => PolicyEngine, seams: Seams): AgentRegistry {
  const { settings, alerts, log } = core;
  const toolNames = createToolNames();
  const onTools = createPolicyTools({
    settings,
    named: () => toolNames(policies().list()),
    raise: alerts.raise,
  });
  const agents = createAgentRegistry({
    create: (agent) => createAgent(agent, { ...seams, ...toolAlerts(alerts.raise), onTools }),
    log,
  });
  agents.prepare(settings().agents).commit();
  return agents;
}
