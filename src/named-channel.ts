import { AppError } from "./errors.ts";
import { proposal } from "./nearest.ts";
import type { ChannelSettings, Settings } from "./settings.ts";

/** What is wrong with a name that is none of the channels `known`, which must be ones the caller may know of. */
export function unknownChannel(name: string, known: readonly string[]): string {
  return `There is no channel ${name}; ${proposal(name, known, NONE)}.`;
}

/** The channel of that name. Throws AppError `not_found`, which says what to write instead. */
export function namedChannel({ channels }: Pick<Settings, "channels">, name: string): ChannelSettings {
  const found = channels[name];
  if (found !== undefined) return found;
  const instead = proposal(name, Object.keys(channels), NONE);
  throw new AppError("not_found", `There is no channel ${name}.`, {
    problems: [{ path: "channel", message: `${instead.charAt(0).toUpperCase()}${instead.slice(1)}.` }],
  });
}

const NONE = "none is configured";
