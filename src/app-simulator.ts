import type { Clock } from "./clock.ts";
import { type Listener, listen } from "./http/listen.ts";
import type { RandomBytes } from "./ids.ts";
import type { Log } from "./log.ts";
import type { ChannelSettings, ListenAddress } from "./settings.ts";
import type { SimulatorControl } from "./simulated.ts";
import { createSimulator, type SimulatorOptions } from "./simulator/simulator.ts";

export type SimulatorSeeds = Pick<
  SimulatorOptions,
  "accounts" | "numbers" | "services" | "maxMessages" | "fetchMedia" | "controlOverHttp"
>;

/** The simulated carrier, reached over real HTTP as a real one is. */
export interface RunningSimulator {
  readonly url: string;
  readonly control: SimulatorControl;
  /** Accounts, numbers and services for channels that have come later; what is there already stays. */
  add(seeds: SimulatorSeeds): void;
  close(): Promise<void>;
}

/** Media uploads are the largest thing the simulator takes, bytes. */
const SIMULATOR_BODY = 64 * 1024 * 1024;

/** The simulated carrier by itself. Without accounts every account is made on first use. */
export function openSimulator(
  address: ListenAddress,
  seeds: SimulatorSeeds,
  seams: {
    readonly fetch: typeof fetch;
    readonly clock: Clock;
    readonly random: RandomBytes;
    readonly log: Log;
    readonly compileHotCode?: () => void;
  },
): RunningSimulator {
  const simulator = createSimulator({ ...seams, ...seeds, origin: () => listener.url });
  const listener: Listener = listen({
    address,
    fetch: simulator.fetch,
    maxBody: SIMULATOR_BODY,
    // Beyond every client's time-out, since faults leave requests unanswered.
    idleTimeout: 60,
  });
  seams.compileHotCode?.();
  return {
    url: listener.url,
    control: simulator.control,
    add: simulator.add,
    async close() {
      simulator.close();
      await listener.close(0);
    },
  };
}

/** What the built-in carrier must know of our simulated channels. */
export function seedsOf(
  channels: readonly ChannelSettings[],
  webhookUrl: (channel: ChannelSettings) => string | undefined,
  publicUrl: string | undefined,
): SimulatorSeeds {
  const seeds = channels.map((channel) => {
    const { account, sender } = channel;
    const own = { sid: account.accountSid, authToken: account.authToken };
    if (sender.kind === "service")
      return {
        account: own,
        service: { sid: sender.sid, account: own.sid, useInboundWebhookOnNumber: false },
      };
    // A WhatsApp sender's webhook cannot be set by the API, with Twilio as here.
    const smsUrl = sender.number.startsWith("whatsapp:") ? webhookUrl(channel) : undefined;
    return {
      account: own,
      number: { number: sender.number, account: own.sid, ...(smsUrl === undefined ? {} : { smsUrl }) },
    };
  });
  return {
    accounts: seeds.map((seed) => seed.account),
    numbers: seeds.flatMap((seed) => seed.number ?? []),
    services: seeds.flatMap((seed) => seed.service ?? []),
    maxMessages: 10_000,
    // Inside the service the phones are held through the admin API, which asks for a token.
    controlOverHttp: false,
    fetchMedia: (url) => publicUrl !== undefined && url.startsWith(`${publicUrl}/`),
  };
}
