import type { Agent } from "../agent.ts";
import type { AgentSettings } from "../settings.ts";
import { createCommandAgent } from "./command.ts";
import { createEchoAgent } from "./echo.ts";
import { createHttpAgent } from "./http.ts";
import { createLlmAgent } from "./llm.ts";
import type { AgentSeams } from "./seams.ts";

/**
 * The agent that `settings` describes. Throws AppError `invalid`, naming the key of sms.yaml, where the
 * settings cannot work whatever the world answers; reaches nothing before its first turn.
 */
export function createAgent(settings: AgentSettings, seams: AgentSeams): Agent {
  switch (settings.type) {
    case "echo":
      return createEchoAgent();
    case "http":
      return createHttpAgent(settings, seams);
    case "command":
      return createCommandAgent(settings, seams);
    case "llm":
      return createLlmAgent(settings, seams);
  }
}
