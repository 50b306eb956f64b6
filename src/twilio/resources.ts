import * as z from "zod";
import { isE164 } from "../address.ts";

/**
 * Shapes of Twilio's REST answers, as far as they are used: https://www.twilio.com/docs/messaging/api. What is
 * not needed to go on may be missing or odd and is then left out.
 */

/** Twilio's ids, loosely: test tools do not keep to the two letters and 32 hex digits. */
const sid = z.string().regex(/^[A-Za-z0-9]{1,64}$/);

/** Counts come as strings in one resource and as numbers in another. */
const count = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,9}$/)
      .transform(Number),
  ])
  .pipe(z.int().nonnegative())
  .optional()
  .catch(undefined);
const code = z
  .union([
    z.number(),
    z
      .string()
      .regex(/^\d{1,9}$/)
      .transform(Number),
  ])
  .pipe(z.int().positive())
  .optional()
  .catch(undefined);
const text = z.string().catch("");
const optionalSid = sid.optional().catch(undefined);
/** RFC 2822 (2010 API) or RFC 3339, as epoch milliseconds. */
const date = z
  .string()
  .transform((value) => Date.parse(value))
  .pipe(z.number().nonnegative())
  .optional()
  .catch(undefined);

export const refusalShape = z
  .object({ code, message: z.string().optional().catch(undefined) })
  .refine((body) => body.code !== undefined || body.message !== undefined);

/** The answer to a new message. Only the sid matters: with it the message is known to be accepted. */
export const acceptedShape = z.object({
  sid,
  status: z.string().min(1).max(40).catch("accepted"),
  num_segments: count,
});

export const messageShape = z.object({
  sid,
  account_sid: sid,
  from: z.string().nullish().catch(undefined),
  to: z.string().nullish().catch(undefined),
  body: text,
  direction: text,
  status: text,
  num_media: count,
  num_segments: count,
  error_code: code,
  messaging_service_sid: optionalSid,
  date_sent: date,
  date_created: date,
  date_updated: date,
});
export type MessageRow = z.infer<typeof messageShape>;

const nextUri = { next_page_uri: z.string().nullish() };

export const messagesPage = z.object({ messages: z.array(z.unknown()), ...nextUri });
export const mediaPage = z.object({ media_list: z.array(z.unknown()), ...nextUri });
export const mediaShape = z.object({
  sid,
  content_type: z
    .string()
    .regex(/^[^\p{Cc}]{1,200}$/u)
    .catch("application/octet-stream"),
});

export const numberShape = z.object({
  sid,
  phone_number: z.string().refine(isE164),
  /** Absent when the answer does not say; only a plain `false` means that the number cannot. */
  capabilities: z.object({ sms: z.boolean().optional().catch(undefined) }).catch({}),
  sms_url: text,
  sms_method: text,
  sms_fallback_url: text,
  sms_fallback_method: text,
  sms_application_sid: text,
});
export type NumberRow = z.infer<typeof numberShape>;

export const numbersPage = z.object({ incoming_phone_numbers: z.array(z.unknown()), ...nextUri });

export const serviceShape = z.object({
  sid,
  friendly_name: text,
  inbound_request_url: text,
  inbound_method: text,
  fallback_url: text,
  fallback_method: text,
  use_inbound_webhook_on_number: z.boolean().catch(false),
});
export type ServiceRow = z.infer<typeof serviceShape>;

const meta = { meta: z.object({ next_page_url: z.string().nullish() }).catch({}) };

export const servicesPage = z.object({ services: z.array(z.unknown()), ...meta });
export const memberPage = z.object({ phone_numbers: z.array(z.unknown()), ...meta });
export const memberShape = z.object({
  sid,
  phone_number: z.string().refine(isE164),
  /** `["SMS", "MMS"]`; absent means that the answer does not say. */
  capabilities: z.array(z.string()).optional().catch(undefined),
});
export const shortCodePage = z.object({ short_codes: z.array(z.unknown()), ...meta });
export const shortCodeShape = z.object({ short_code: z.string().regex(/^\d{3,8}$/) });
export const senderPage = z.object({ senders: z.array(z.unknown()), ...meta });
export const senderShape = z.object({ sender: z.string().regex(/^(whatsapp|rcs):[^\s]{1,100}$/) });
