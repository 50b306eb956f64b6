import type { Carrier } from "./carrier.ts";
import type { ChannelSettings } from "./settings.ts";

/** What a channel's link to its carrier is made of. */
export interface Link {
  /** With the account's URLs filled in. */
  readonly settings: ChannelSettings;
  readonly publicUrl?: string;
  readonly webhookUrl?: string;
}

/** The carriers of all channels. */
export interface Carriers {
  get(channel: string): Carrier | undefined;
  /**
   * Makes carriers where the link is new or has changed, and forgets those that are not named. Answers the
   * channels whose carrier is new. What is under way on an exchanged one ends on it.
   */
  renew(links: readonly Link[]): ReadonlySet<string>;
}

export function createCarriers(create: (link: Link) => Carrier): Carriers {
  let current: ReadonlyMap<string, { readonly carrier: Carrier; readonly key: string }> = new Map();
  return {
    get: (channel) => current.get(channel)?.carrier,
    renew(links) {
      const old = current;
      current = new Map(
        links.map((link) => {
          const { id } = link.settings;
          const key = keyOf(link);
          const known = old.get(id);
          return [id, known?.key === key ? known : { carrier: create(link), key }];
        }),
      );
      return new Set([...current].filter(([id, entry]) => old.get(id) !== entry).map(([id]) => id));
    },
  };
}

/** Two links are the same when all that the carrier and its list are asked with is. Mode and agent are not in it. */
function keyOf({ settings, publicUrl, webhookUrl }: Link): string {
  const { provider, sender, account, inbound, pollInterval, catchUp, registerWebhook } = settings;
  return JSON.stringify([
    provider,
    sender,
    account,
    inbound,
    pollInterval,
    catchUp,
    registerWebhook,
    publicUrl ?? null,
    webhookUrl ?? null,
  ]);
}
