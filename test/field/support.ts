import { closing } from "../support/cleanup.ts";
import { type Hook, openHook } from "../support/hook.ts";
import { type ModelAnswer, type ModelServer, startModelServer } from "../support/model-server.ts";
import { type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";

export const OTHER = "+15557650002";
export const THIRD = "+15557650003";

/** A channel anyone may text. */
export const OPEN = { ...SMS, allow_all_senders: true } as const;

/** The service with one open channel and the echo agent. */
export async function start(options: ServiceOptions = {}): Promise<Service> {
  const running = await startService({ config: { channels: { sms: OPEN } }, ...options });
  return closing(running);
}

interface Changes {
  readonly channel?: Readonly<Record<string, unknown>>;
  readonly agent?: Readonly<Record<string, unknown>>;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly options?: ServiceOptions;
}

/** The same with an agent whose requests the test sees and answers. */
export async function startWithHook(
  changes: Changes = {},
): Promise<{ readonly running: Service; readonly agent: Hook }> {
  const agent = closing(openHook());
  const running = await start({
    ...changes.options,
    config: {
      channels: { sms: { ...OPEN, agent: "hook", ...changes.channel } },
      agents: { hook: { type: "http", url: agent.url, ...changes.agent } },
      ...changes.config,
    },
  });
  return { running, agent };
}

/** The same with an llm agent and a scripted model. */
export async function startWithModel(
  answers: readonly ModelAnswer[],
  changes: Changes = {},
): Promise<{ readonly running: Service; readonly model: ModelServer }> {
  const model = closing(await startModelServer(...answers));
  const running = await start({
    ...changes.options,
    config: {
      channels: { sms: { ...OPEN, agent: "assistant", ...changes.channel } },
      agents: {
        assistant: {
          type: "llm",
          provider: "openai-compatible",
          base_url: model.baseUrl,
          model: "m",
          system: "Be brief.",
          ...changes.agent,
        },
      },
      ...changes.config,
    },
  });
  return { running, model };
}
