import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { AgentSettings } from "../../src/settings.ts";
import type { ModelRequest, ModelServer } from "../support/model-server.ts";
import { type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";

export const echoAgentSettings: AgentSettings = { id: "parrot", type: "echo" };

export const YES = { text: '{"match": true}' };
export const NO = { text: '{"match": false}' };
/** An answer the exchange with the provider does not repeat by itself. */
export const REFUSED = { status: 401, body: { error: { message: "no such key" } } };

/** A service whose channel `sms` has an llm agent on this server; strangers may not text it. */
export function startJudging(
  model: ModelServer,
  options: ServiceOptions = {},
  sms: object = {},
): Promise<Service> {
  return startService({
    ...options,
    config: {
      channels: { sms: { ...SMS, agent: "assistant", ...sms } },
      agents: {
        assistant: { type: "llm", base_url: model.baseUrl, model: "test-model", system: "You are a butler." },
      },
      ...options.config,
    },
  });
}

export const isJudgement = (request: ModelRequest): boolean =>
  String(request.body.messages[0]?.content).includes("What they wait for:");

/** Everything the service has written, as bytes, the write-ahead log included. */
export function onDisk({ folder }: Pick<Service, "folder">): string {
  return readdirSync(join(folder, "data"), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString("latin1"))
    .join("\n");
}
