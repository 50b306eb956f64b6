import { addressKind } from "./address.ts";
import { policyChannel } from "./channel.ts";
import type { Clock } from "./clock.ts";
import { API_AGENT, allows, type PolicyEngine } from "./policy.ts";
import type { Settings } from "./settings.ts";
import type { Signal } from "./signal.ts";
import { type Pattern, passesFilters, type Watch, watchPrincipal } from "./watch.ts";

export interface EligibilitySeams {
  readonly settings: () => Settings;
  readonly policy: () => PolicyEngine;
  readonly countryOf: (address: string) => string;
  /** The paired addresses of a channel. */
  readonly pairedAddresses: (channel: string) => readonly string[];
  readonly clock: Clock;
}

/** A watch with its pattern, compiled when a text first comes as far. */
export interface Candidate {
  readonly watch: Watch;
  readonly pattern: () => Pattern | undefined;
}

/** What was found out for one signal: who may have it, by principal, and what is in it, by pattern. */
export interface Known {
  readonly permitted: Map<string, boolean>;
  readonly found: Map<string, boolean>;
}

export function newKnown(): Known {
  return { permitted: new Map(), found: new Map() };
}

/** The watch's pattern, which looks into a text only where no other watch with the same one has. */
function onceFor({ watch, pattern }: Candidate, { found }: Known): Pattern | undefined {
  const { match } = watch.filters;
  if (match === undefined) return undefined;
  return {
    test(text) {
      const known = found.get(match) ?? pattern()?.test(text) ?? false;
      found.set(match, known);
      return known;
    },
  };
}

/** Which signals a watch may get. */
export interface Eligibility {
  /** True for one that its hard filters pass and that whoever waits may have. */
  passes(candidate: Candidate, signal: Signal, known?: Known): boolean;
  /** `receive_signal` is asked again for whoever waits. */
  permits(watch: Watch, signal: Signal): boolean;
}

export function createEligibility(seams: EligibilitySeams): Eligibility {
  /** `known`: of a thousand who wait for this signal most are the same one, or look for the same. */
  function eligible(candidate: Candidate, signal: Signal, known = newKnown()): boolean {
    const { watch } = candidate;
    if (signal.receivedAt < watch.createdAt - watch.backfill) return false;
    if (!passesFilters(watch.filters, onceFor(candidate, known), signal)) return false;
    if (!canUse(watch, signal)) return false;
    const principal = watchPrincipal(watch.owner, API_AGENT);
    const allowed = known.permitted.get(principal) ?? permitted(watch, signal);
    known.permitted.set(principal, allowed);
    return allowed;
  }

  /** An agent does not wait for the words of the person it answers, and only while it could go on with them. */
  function canUse({ owner }: Watch, signal: Signal): boolean {
    if (owner.kind !== "agent") return true;
    if (signal.from === owner.address && signal.channel === owner.channel) return false;
    const { agents, channels } = seams.settings();
    const channel = channels[owner.channel];
    return agents[owner.agent] !== undefined && channel?.mode === "message" && channel.enabled;
  }

  /** `receive_signal` is asked again for whoever waits. */
  function permitted(watch: Watch, signal: Signal): boolean {
    const channel = seams.settings().channels[signal.channel];
    if (channel === undefined) return false;
    const kind = addressKind(signal.from) ?? "alphanumeric";
    const pairedAddresses = seams.pairedAddresses(signal.channel);
    const paired = pairedAddresses.includes(signal.from);
    return allows(
      seams.policy().decide({
        action: "receive_signal",
        agent: watchPrincipal(watch.owner, API_AGENT),
        channel: policyChannel(channel),
        sender: { address: signal.from, kind, country: seams.countryOf(signal.from), paired },
        numMedia: signal.numMedia,
        pairedAddresses,
        now: seams.clock.now(),
      }),
    );
  }

  return { passes: eligible, permits: permitted };
}
