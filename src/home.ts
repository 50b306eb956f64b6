import { AppError } from "./errors.ts";
import type { Settings } from "./settings.ts";
import type { PairingStore } from "./store.ts";

type Home = NonNullable<Settings["home"]>;

/**
 * Where what nobody asked for is delivered. Rejects with AppError `conflict` when there is no such place, or its
 * phone has opted out.
 */
export async function openHome(
  settings: Pick<Settings, "home">,
  store: Pick<PairingStore, "optedOut">,
): Promise<Home> {
  const { home } = settings;
  if (home === undefined)
    throw new AppError("conflict", "No home is configured, so there is nobody to notify.", {
      fix: 'Write home: { channel: sms, address: "+15559876543" } in sms.yaml.',
    });
  if (await store.optedOut(home.channel, home.address))
    throw new AppError("conflict", "The home phone has opted out with STOP, so nothing is sent to it.", {
      fix: `Only that phone can lift this, by texting START to the number of ${home.channel}.`,
    });
  return home;
}
