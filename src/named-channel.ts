import { type ChannelState, channelNumber } from "./channel.ts";
import { AppError, type Problem } from "./errors.ts";
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
    problems: [problem(instead)],
  });
}

/**
 * The number by which simulated phones text a channel: a Messaging Service's first one. Throws AppError `not_found` for
 * a channel that is not simulated, `conflict` while the numbers of its service are not known.
 */
export function simulatedNumber(
  { channels }: Pick<Settings, "channels">,
  name: string,
  stateOf: (channel: string) => ChannelState,
): string {
  const channel = namedChannel({ channels }, name);
  if (channel.provider !== "simulator") {
    const simulated = Object.values(channels).filter(({ provider }) => provider === "simulator");
    const instead = proposal(
      name,
      simulated.map(({ id }) => id),
      NONE_SIMULATED,
    );
    throw new AppError("not_found", `${name} is no simulated channel.`, { problems: [problem(instead)] });
  }
  const state = stateOf(name);
  const number = channelNumber(channel, state);
  if (number !== undefined) return number;
  throw new AppError(
    "conflict",
    `The numbers of the Messaging Service of ${name} are not known yet: it is ${state.status}.`,
    { fix: state.fix ?? "Wait a moment." },
  );
}

/** `instead` begins as `write sms`. */
function problem(instead: string): Problem {
  return { path: "channel", message: `${instead.charAt(0).toUpperCase()}${instead.slice(1)}.` };
}

const NONE_SIMULATED = "none is simulated";
const NONE = "none is configured";
