import { z } from "zod";

/** The answers of the admin API, as far as the verbs read them. Unknown fields pass through to `--json`. */
export const pairing = z.looseObject({
  code: z.string(),
  expires_at: z.string(),
  number: z.string(),
  sms_uri: z.string(),
});

export const channel = z.looseObject({
  id: z.string(),
  provider: z.string(),
  number: z.string(),
  mode: z.string(),
  agent: z.string().optional(),
  status: z.string(),
  reason: z.string().optional(),
  fix: z.string().optional(),
  warnings: z.array(z.looseObject({ detail: z.string(), fix: z.string() })).optional(),
  paired_addresses: z.number(),
  pairing: pairing.optional(),
});

/** `error`: why what the file says now is not in force. */
export const configuration = z.looseObject({
  file: z.string().optional(),
  error: z.object({ message: z.string(), fix: z.string(), at: z.string() }).optional(),
});

export const address = z.looseObject({
  address: z.string(),
  label: z.string().optional(),
  paired_at: z.string(),
});

export const message = z.looseObject({
  id: z.string(),
  channel: z.string(),
  direction: z.string(),
  from: z.string(),
  to: z.string(),
  text: z.string().optional(),
  media: z.array(z.object({ url: z.string(), content_type: z.string() })).optional(),
  state: z.string(),
  route: z.string().optional(),
  segments: z.number().optional(),
  policies: z.array(z.string()).optional(),
  error: z.object({ code: z.number().optional(), meaning: z.string(), fix: z.string() }).optional(),
  created_at: z.string(),
  events: z.array(z.object({ state: z.string(), at: z.string(), detail: z.string().optional() })).optional(),
  turn: z
    .looseObject({
      id: z.string(),
      agent: z.string(),
      state: z.string(),
      attempt: z.number(),
      usage: z.object({ input_tokens: z.number(), output_tokens: z.number() }).optional(),
      calls: z.array(
        z.looseObject({
          tool: z.string(),
          outcome: z.string(),
          policies: z.array(z.string()).optional(),
          reason: z.string().optional(),
        }),
      ),
    })
    .optional(),
});

export const policy = z.looseObject({
  id: z.string(),
  effect: z.string(),
  source: z.string(),
  text: z.string(),
  hits: z.number(),
});

export const decision = z.looseObject({
  decision: z.string(),
  policies: z.array(z.string()),
  errors: z.array(z.string()),
});

export const sent = z.looseObject({ id: z.string(), state: z.string() });

/** `path` is on the admin listener. */
export const signInLink = z.looseObject({ path: z.string(), expires_at: z.string() });

export function list<T extends z.ZodType>(item: T) {
  return z.looseObject({ items: z.array(item), next_cursor: z.string().optional() });
}

export type Channel = z.infer<typeof channel>;
export type Configuration = z.infer<typeof configuration>;
export type Address = z.infer<typeof address>;
export type Message = z.infer<typeof message>;
