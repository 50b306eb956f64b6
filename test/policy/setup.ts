import { expect } from "bun:test";
import { loadPolicies } from "../../src/policy/load.ts";
import type { PolicySettings } from "../../src/policy/settings.ts";
import {
  formatPolicyProblems,
  type PolicyEngine,
  type PolicyProblem,
  type PolicyQuestion,
} from "../../src/policy.ts";

export const SETTINGS: PolicySettings = {
  agents: ["assistant", "hook"],
  channels: [
    { id: "sms", mode: "message", provider: "twilio" },
    { id: "codes", mode: "signal", provider: "simulator" },
  ],
  servers: ["home", "files.local"],
  tools: ["await_signal", "send_message", "remind"],
  allowed: {},
};

export const FILE = "policies/own.cedar";
export const PARTNER = "+15550100001";
export const STRANGER = "+15550109999";

/** Loads policy texts, each as a file; the first is `FILE`. */
export function load(texts: readonly string[], settings: Partial<PolicySettings> = {}) {
  const files = texts.map((text, index) => ({ path: index === 0 ? FILE : `policies/${index}.cedar`, text }));
  return loadPolicies({ files, settings: { ...SETTINGS, ...settings } });
}

/** The engine of policies that must be valid. */
export function engineOf(texts: readonly string[], settings: Partial<PolicySettings> = {}): PolicyEngine {
  const result = load(texts, settings);
  if (result.kind === "invalid") throw new Error(formatPolicyProblems(result.problems));
  return result.engine;
}

/** What is wrong with policies that must not be valid. */
export function problemsOf(
  texts: readonly string[],
  settings: Partial<PolicySettings> = {},
): readonly PolicyProblem[] {
  const result = load(texts, settings);
  expect(result.kind).toBe("invalid");
  return result.kind === "invalid" ? result.problems : [];
}

type Receive = Extract<PolicyQuestion, { readonly numMedia: number }>;
type Send = Extract<PolicyQuestion, { readonly action: "send_message" }>;
type Invoke = Extract<PolicyQuestion, { readonly action: "invoke_tool" }>;

const SENDER = { address: STRANGER, kind: "mobile", country: "US", paired: false } as const;
const SMS = { id: "sms", mode: "message", provider: "twilio" } as const;
export const NOON = Date.UTC(2026, 0, 15, 12);

export function receive(
  change: Partial<Omit<Receive, "sender">> & { readonly sender?: Partial<Receive["sender"]> } = {},
): Receive {
  return {
    action: "receive_message",
    agent: "assistant",
    channel: SMS,
    numMedia: 0,
    pairedAddresses: [],
    now: NOON,
    ...change,
    sender: { ...SENDER, ...change.sender },
  };
}

export function send(recipient: Partial<Send["recipient"]> = {}): Send {
  return {
    action: "send_message",
    agent: "assistant",
    channel: SMS,
    recipient: { ...SENDER, inConversation: false, ...recipient },
    pairedAddresses: [],
    now: NOON,
  };
}

export function invoke(
  change: Partial<Omit<Invoke, "sender">> & { readonly sender?: Partial<Invoke["sender"]> } = {},
): Invoke {
  return {
    action: "invoke_tool",
    agent: "assistant",
    tool: "home.unlock_door",
    server: "home",
    channel: "sms",
    now: NOON,
    ...change,
    sender: { ...SENDER, ...change.sender },
  };
}
