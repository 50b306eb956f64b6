import type { McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { restrict } from "../access.ts";
import { rfc3339 } from "../clock.ts";
import { AppError } from "../errors.ts";
import type { Message } from "../message.ts";
import { type Caller, demand, maskMessage, reaches } from "../token.ts";
import { done, guarded } from "./result.ts";
import type { McpCall } from "./server.ts";

const messageShape = z.looseObject({
  id: z.string(),
  channel: z.string(),
  direction: z.enum(["inbound", "outbound"]),
  from: z.string(),
  to: z.string(),
  text: z.string().optional(),
  state: z.string(),
  route: z.string().optional(),
  created_at: z.string(),
});

const channelShape = z.looseObject({
  id: z.string(),
  number: z.string(),
  mode: z.string(),
  agent: z.string().optional(),
  status: z.string(),
  reason: z.string().optional(),
  fix: z.string().optional(),
});

/** The tools that send and look: `send_message`, `list_messages`, `list_channels`. */
export function registerMessageTools(server: McpServer, call: McpCall): void {
  const { caller, log } = call;
  const reached = restrict(call.operator, caller);
  server.registerTool(
    "send_message",
    {
      title: "Send a text message",
      description: "Sends a text message to a phone. It costs money; send it once.",
      inputSchema: z.strictObject({
        to: z.string().describe('"+15551234567" or "whatsapp:+15551234567".'),
        body: z.string().optional().describe("The text, at most 1,600 characters."),
        channel: z
          .string()
          .optional()
          .describe("Whom it is sent by; needed when there are several channels."),
        media_urls: z.array(z.string()).optional().describe("http(s) URLs of pictures, at most 10."),
        idempotency_key: z
          .string()
          .min(1)
          .max(255)
          .optional()
          .describe("The same key sends once, however often it is tried."),
      }),
      outputSchema: z.object({ id: z.string(), state: z.string() }),
      annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
    },
    ({ to, body, channel, media_urls, idempotency_key }) =>
      guarded("send_message", log, async () => {
        demand(caller, "messages:send");
        const from = channel ?? (await onlyChannel(call));
        demand(caller, "messages:send", from);
        const sent = await reached.send({
          channel: from,
          to,
          ...(body === undefined ? {} : { body }),
          ...(media_urls === undefined ? {} : { mediaUrls: media_urls }),
          ...(idempotency_key === undefined ? {} : { idempotencyKey: idempotency_key }),
        });
        return done(
          { id: sent.id, state: sent.state },
          `Taken into the outbox as ${sent.id} (${sent.state}).`,
        );
      }),
  );
  server.registerTool(
    "list_messages",
    {
      title: "List text messages",
      description: "Lists text messages in and out, newest first.",
      inputSchema: z.strictObject({
        channel: z.string().optional().describe("Only of this channel."),
        direction: z.enum(["inbound", "outbound"]).optional(),
        address: z.string().optional().describe("Only from or to this address."),
        route: z.enum(["pairing", "command", "message", "signal", "dropped"]).optional(),
        limit: z.int().min(1).max(50).optional().describe("How many; 20 unless given."),
        cursor: z.string().max(200).optional().describe("next_cursor of the answer before."),
      }),
      outputSchema: z.object({ items: z.array(messageShape), next_cursor: z.string().optional() }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    ({ channel, direction, address, route, limit = 20, cursor }) =>
      guarded("list_messages", log, async () => {
        const page = await reached.messages({
          limit,
          ...(channel === undefined ? {} : { channel }),
          ...(direction === undefined ? {} : { direction }),
          ...(address === undefined ? {} : { address }),
          ...(route === undefined ? {} : { route }),
          ...(cursor === undefined ? {} : { cursor }),
        });
        return done({
          items: page.items.map((message) => messageJson(message, caller)),
          ...(page.nextCursor === undefined ? {} : { next_cursor: page.nextCursor }),
        });
      }),
  );
  server.registerTool(
    "list_channels",
    {
      title: "List channels",
      description: "Lists the numbers texts can be sent by and waited for on, with their state.",
      inputSchema: z.strictObject({}),
      outputSchema: z.object({ items: z.array(channelShape) }),
      annotations: { readOnlyHint: true, openWorldHint: false },
    },
    () =>
      guarded("list_channels", log, async () => {
        demand(caller, "read");
        const channels = await reached.channels();
        return done({
          items: channels.map(({ id, number, mode, agent, state }) => ({
            id,
            number,
            mode,
            ...(agent === undefined ? {} : { agent }),
            status: state.status,
            ...(state.reason === undefined ? {} : { reason: state.reason }),
            ...(state.fix === undefined ? {} : { fix: state.fix }),
          })),
        });
      }),
  );
}

/** The one channel the caller reaches. Rejects with AppError `invalid` where there are several. */
async function onlyChannel({ operator, caller }: McpCall): Promise<string> {
  const reached = (await operator.channels()).filter(({ id }) => reaches(caller, id));
  const [only, ...others] = reached;
  if (only !== undefined && others.length === 0) return only.id;
  throw new AppError("invalid", "Say which channel.", {
    problems: [
      {
        path: "channel",
        message:
          only === undefined
            ? "This token reaches no channel."
            : `Write one of ${reached.map(({ id }) => id).join(", ")}.`,
      },
    ],
  });
}

function messageJson(message: Message, caller: Caller) {
  const { id, channel, direction, from, to, text, state, route, createdAt } = maskMessage(caller, message);
  return {
    id,
    channel,
    direction,
    from,
    to,
    ...(text === undefined ? {} : { text }),
    state,
    ...(route === undefined ? {} : { route }),
    created_at: rfc3339(createdAt),
  };
}
