import { type Carriers, createCarriers, type Link } from "./app-carriers.ts";
import type { Core } from "./app-core.ts";
import type { Seams } from "./app-seams.ts";
import { openSimulator, type RunningSimulator, type SimulatorSeeds, seedsOf } from "./app-simulator.ts";
import type { Carrier, ConnectOutcome } from "./carrier.ts";
import type { Log } from "./log.ts";
import { meteredCarrier } from "./metered.ts";
import type { ChannelSettings, Settings } from "./settings.ts";
import type { SimulatorControl } from "./simulated.ts";
import { createTwilioCarrier } from "./twilio/carrier.ts";

interface LinksSeams {
  readonly settings: () => Settings;
  /** Where the public listener is reached from this machine; undefined until it listens. */
  readonly listener: () => string | undefined;
  readonly createCarrier: (link: Link) => Carrier;
  readonly openSimulator: (seeds: SimulatorSeeds) => RunningSimulator;
  readonly log: Log;
}

/** What lies between the channels and their carriers, the built-in one included. */
export interface Links {
  readonly carrier: Carriers["get"];
  /** What the carrier calls: the configured URL; for the simulator and without one, the listener itself. */
  publicUrl(channel: string): string | undefined;
  /** Undefined with `inbound: poll | none`, and until we listen. */
  webhookUrl(channel: string): string | undefined;
  /** Looks whether all at the carrier is as it should be, and changes nothing there. */
  probe(channel: string): Promise<ConnectOutcome | undefined>;
  /** The simulated phones, where a channel is simulated. */
  simulator(): SimulatorControl | undefined;
  /** Opens what these settings need and is not there yet. Throws AppError, and then has opened nothing. */
  prepare(settings: Settings): { readonly commit: () => void; readonly discard: () => void };
  /** Makes the carriers as the settings want them now; answers the channels whose carrier is new. */
  renew(): ReadonlySet<string>;
  close(): Promise<void>;
}

/** `listener`: where the public listener is reached from this machine; undefined until it listens. */
export function openLinks(core: Core, listener: () => string | undefined, seams: Seams): Links {
  const { settings, metrics, clock, log } = core;
  return createLinks({
    settings,
    listener,
    createCarrier: ({ settings: channel, publicUrl }) =>
      meteredCarrier(
        createTwilioCarrier({
          settings: channel,
          ...(publicUrl === undefined ? {} : { publicUrl }),
          fetch: seams.fetch,
          clock,
          log,
        }),
        channel.id,
        metrics,
        clock,
      ),
    openSimulator: (seeds) => openSimulator({ host: "127.0.0.1", port: 0 }, seeds, seams),
    log,
  });
}

function createLinks(seams: LinksSeams): Links {
  const { listener, log } = seams;
  const carriers = createCarriers(seams.createCarrier);
  let simulator: RunningSimulator | undefined;

  const publicUrlIn = ({ server }: Settings, channel: ChannelSettings) =>
    channel.provider === "simulator" ? listener() : (server.publicUrl ?? listener());

  function webhookUrlIn(settings: Settings, channel: ChannelSettings): string | undefined {
    const base = publicUrlIn(settings, channel);
    const wanted = channel.inbound === "webhook" && base !== undefined;
    return wanted ? `${base}/webhooks/twilio/${channel.id}` : undefined;
  }

  const simulatedIn = ({ channels }: Settings) =>
    Object.values(channels).filter((channel) => channel.provider === "simulator");

  const seedsIn = (settings: Settings) =>
    seedsOf(simulatedIn(settings), (channel) => webhookUrlIn(settings, channel), listener());

  function linkOf(settings: Settings, channel: ChannelSettings): Link {
    const apiUrl = channel.provider === "simulator" ? simulator?.url : undefined;
    const account =
      apiUrl === undefined ? channel.account : { ...channel.account, apiUrl, messagingUrl: apiUrl };
    const publicUrl = publicUrlIn(settings, channel);
    const webhookUrl = webhookUrlIn(settings, channel);
    return {
      settings: { ...channel, account },
      ...(publicUrl === undefined ? {} : { publicUrl }),
      ...(webhookUrl === undefined ? {} : { webhookUrl }),
    };
  }

  function within<T>(id: string, of: (settings: Settings, channel: ChannelSettings) => T): T | undefined {
    const settings = seams.settings();
    const channel = settings.channels[id];
    return channel === undefined ? undefined : of(settings, channel);
  }

  return {
    carrier: carriers.get,
    publicUrl: (channel) => within(channel, publicUrlIn),
    webhookUrl: (channel) => within(channel, webhookUrlIn),
    async probe(channel) {
      const webhookUrl = within(channel, webhookUrlIn);
      return carriers
        .get(channel)
        ?.connect(
          { register: false, ...(webhookUrl === undefined ? {} : { webhookUrl }) },
          new AbortController().signal,
        );
    },
    simulator: () => (simulatedIn(seams.settings()).length > 0 ? simulator?.control : undefined),
    prepare(settings) {
      const wanted = listener() !== undefined && simulatedIn(settings).length > 0;
      const opened = wanted && simulator === undefined ? seams.openSimulator(seedsIn(settings)) : undefined;
      return {
        commit() {
          simulator ??= opened;
          if (wanted) simulator?.add(seedsIn(settings));
        },
        discard() {
          opened?.close().catch((error: unknown) => log.error("simulator.close", { error: String(error) }));
        },
      };
    },
    renew() {
      const settings = seams.settings();
      return carriers.renew(Object.values(settings.channels).map((channel) => linkOf(settings, channel)));
    },
    async close() {
      await simulator?.close();
    },
  };
}
