import { z } from "@hono/zod-openapi";
import type { ChannelView, PairingView } from "../channel-view.ts";
import { rfc3339 } from "../clock.ts";
import { messageJson } from "../message-json.ts";
import type { ConfigurationView, MessageView } from "../operator.ts";
import type { PairedAddress } from "../pairing.ts";
import type { PolicyDecision, PolicyInfo } from "../policy.ts";
import { turnRecordJson } from "../turn-record.ts";

/*
 * The shapes of the API, each beside the function that makes it. The OpenAPI document is generated
 * from the same schemas that validate.
 */

const time = z.iso.datetime().openapi({ example: "2026-01-31T09:30:00.000Z" });

/** A duration as `parseDuration` takes it, for the document alone: the domain reads it. */
export const durationForms = [
  { type: "string" as const, pattern: "^[0-9]{1,15}(ms|s|m|h|d)$", example: "30s" },
  { type: "number" as const, minimum: 0, description: "Seconds" },
];

export const pairingSchema = z
  .object({
    code: z.string().openapi({ example: "ABCD-2345" }),
    expires_at: time,
    number: z.string(),
    sms_uri: z.string(),
  })
  .openapi("Pairing");

export const channelSchema = z
  .object({
    id: z.string(),
    provider: z.enum(["twilio", "simulator"]),
    number: z.string(),
    mode: z.enum(["message", "signal"]),
    agent: z.string().optional(),
    enabled: z.boolean(),
    status: z.enum(["disabled", "connecting", "pairing", "connected", "reconnecting", "failed"]),
    reason: z.string().optional(),
    fix: z.string().optional(),
    warnings: z.array(z.object({ detail: z.string(), fix: z.string() })).optional(),
    paired_addresses: z.int(),
    pairing: pairingSchema.optional(),
  })
  .openapi("Channel");

export const channelChangeSchema = z
  .strictObject({ mode: z.enum(["message", "signal"]).optional(), enabled: z.boolean().optional() })
  .refine(({ mode, enabled }) => mode !== undefined || enabled !== undefined, "Write mode, enabled, or both.")
  .openapi("ChannelChange", { minProperties: 1 });

export const configurationSchema = z
  .object({
    file: z.string().optional(),
    error: z.object({ message: z.string(), fix: z.string(), at: time }).optional(),
  })
  .openapi("Configuration");

export const addressSchema = z
  .object({ address: z.string(), label: z.string().optional(), paired_at: time })
  .openapi("Address");

const errorSchema = z.object({ code: z.int().optional(), meaning: z.string(), fix: z.string() });

export const messageSchema = z
  .object({
    id: z.string(),
    channel: z.string(),
    direction: z.enum(["inbound", "outbound"]),
    from: z.string(),
    to: z.string(),
    text: z.string().optional(),
    media: z.array(z.object({ url: z.string(), content_type: z.string() })),
    state: z.string(),
    route: z.enum(["pairing", "command", "message", "signal", "dropped"]).optional(),
    conversation_id: z.string().optional(),
    turn_id: z.string().optional(),
    provider_sid: z.string().optional(),
    segments: z.int().optional(),
    policies: z.array(z.string()).optional(),
    error: errorSchema.optional(),
    late: z.boolean().optional(),
    created_at: time,
  })
  .openapi("Message");

export const turnSchema = z
  .object({
    id: z.string(),
    agent: z.string(),
    state: z.enum(["queued", "running", "parked", "done", "failed", "cancelled", "shown"]),
    attempt: z.int(),
    task: z
      .object({ kind: z.enum(["reminder", "schedule"]), name: z.string(), content: z.string() })
      .optional(),
    created_at: time,
    ended_at: time.optional(),
    error: errorSchema.optional(),
    usage: z.object({ input_tokens: z.int(), output_tokens: z.int() }).optional(),
    calls: z
      .array(
        z.object({
          id: z.string(),
          tool: z.string(),
          outcome: z.enum(["confirmation", "waiting", "running", "done", "failed", "refused", "unknown"]),
          policies: z.array(z.string()).optional(),
          reason: z.string().optional(),
        }),
      )
      .openapi({ description: "Calls of tools, with the policies that allowed or refused each" }),
  })
  .openapi("Turn");

export const messageWithEventsSchema = messageSchema
  .extend({
    events: z.array(z.object({ state: z.string(), at: time, detail: z.string().optional() })),
    turn: turnSchema.optional(),
  })
  .openapi("MessageWithEvents");

export const conversationSchema = z
  .object({
    id: z.string(),
    channel: z.string(),
    address: z.string(),
    agent: z.string(),
    started_at: time,
    last_at: time,
    ended_at: time.optional(),
    messages: z.int(),
  })
  .openapi("Conversation");

export const conversationWithTurnsSchema = conversationSchema
  .extend({ turns: z.array(turnSchema).openapi({ description: "The newest ones, newest first" }) })
  .openapi("ConversationWithTurns");

export const policySchema = z
  .object({
    id: z.string(),
    effect: z.enum(["permit", "forbid"]),
    source: z.string(),
    text: z.string(),
    hits: z.int(),
  })
  .openapi("Policy");

export const decisionSchema = z
  .object({
    decision: z.enum(["allow", "deny", "error"]),
    policies: z.array(z.string()),
    errors: z.array(z.string()),
  })
  .openapi("Decision");

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    fix: z.string().optional(),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .openapi("Problem");

export const pageQuery = z.object({
  limit: z.coerce
    .number({ error: "Write a whole number from 1 to 200." })
    .int("Write a whole number from 1 to 200.")
    .min(1, "At least 1.")
    .max(200, "At most 200.")
    .default(50),
  cursor: z.string().max(200).optional(),
});

export function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next_cursor: z.string().optional() });
}

/** Leaves out what is not there: in this API absent means not applicable. */
function present<T extends Record<string, unknown>>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const kept = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  return kept as { [K in keyof T]: Exclude<T[K], undefined> };
}

export function pairingJson(pairing: PairingView) {
  return {
    code: pairing.code,
    expires_at: rfc3339(pairing.expiresAt),
    number: pairing.number,
    sms_uri: pairing.smsUri,
  };
}

export function channelJson(view: ChannelView) {
  return present({
    id: view.id,
    provider: view.provider,
    number: view.number,
    mode: view.mode,
    agent: view.agent,
    enabled: view.enabled,
    status: view.state.status,
    reason: view.state.reason,
    fix: view.state.fix,
    warnings: view.state.warnings.length === 0 ? undefined : [...view.state.warnings],
    paired_addresses: view.pairedAddresses,
    pairing: view.pairing === undefined ? undefined : pairingJson(view.pairing),
  });
}

export function configurationJson({ file, error }: ConfigurationView) {
  return present({
    file,
    error: error === undefined ? undefined : { ...error, at: rfc3339(error.at) },
  });
}

export function addressJson(paired: PairedAddress) {
  return present({ address: paired.address, label: paired.label, paired_at: rfc3339(paired.pairedAt) });
}

export function messageWithEventsJson(message: MessageView) {
  return {
    ...messageJson(message),
    events: message.events.map(({ state, at, detail }) => present({ state, at: rfc3339(at), detail })),
    ...(message.turn === undefined ? {} : { turn: turnRecordJson(message.turn) }),
  };
}

export function policyJson(policy: PolicyInfo) {
  return {
    id: policy.id,
    effect: policy.effect,
    source: policy.source,
    text: policy.text,
    hits: policy.hits,
  };
}

export function decisionJson(decision: PolicyDecision) {
  return { decision: decision.decision, policies: [...decision.policies], errors: [...decision.errors] };
}
