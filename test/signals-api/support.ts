import { PATIENCE, type Service, type ServiceOptions, SMS, startService } from "../support/service.ts";

export const CODES = "+15550100002";
/** A sender of verification codes: a short code nobody has paired. */
export const BANK = "22000";

/** A service with a channel `codes` in signal mode beside the one with an agent. */
export function startWaitingService(options: ServiceOptions = {}): Promise<Service> {
  return startService({
    ...options,
    config: {
      channels: { sms: SMS, codes: { provider: "simulator", from_number: CODES, mode: "signal" } },
      ...options.config,
    },
  });
}

/** Texts the `codes` channel and waits until the service has it. */
export function code(service: Service, text: string, from = BANK): Promise<string> {
  return service.admitted(from, text, CODES);
}

/** Resolves once exactly `count` watches wait. */
export async function waiting(service: Service, count: number): Promise<void> {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const { body } = await service.api("GET", "/watches?state=pending&limit=200");
    if (body.items.length === count) return;
    if (Date.now() > end) throw new Error(`${body.items.length} watches wait, not ${count}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
