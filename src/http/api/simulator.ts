import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { AppError } from "../../errors.ts";
import { faultJson, phoneJson, phoneMessageJson, type SimulatorControl } from "../../simulated.ts";
import { demandEverywhere } from "../../token.ts";
import { callerOf } from "../guard.ts";
import { durationForms, listOf } from "../schemas.ts";
import { ok, problems } from "./responses.ts";
import { shortListQuery, shortPage } from "./short-lists.ts";

export interface SimulatorRoutes {
  /** Undefined when no channel is simulated. */
  readonly control: () => SimulatorControl | undefined;
  /** The number of a simulated channel; rejects for channels that are none. */
  readonly numberOf: (channel: string) => string;
}

const inboundBody = z
  .strictObject({
    from: z.string(),
    channel: z.string(),
    body: z.string().default(""),
    media_urls: z.array(z.string()).max(10).optional(),
  })
  .openapi("SimulatedText");

const phone = z.looseObject({ address: z.string(), messages: z.int(), last_at: z.string() }).openapi("Phone");
const phoneMessage = z
  .looseObject({
    sid: z.string(),
    direction: z.string(),
    from: z.string(),
    to: z.string(),
    text: z.string(),
    state: z.string(),
  })
  .openapi("PhoneMessage");
const said = (type: "string" | "integer", description: string) =>
  z.unknown().optional().openapi({ type, description });
const matched = Object.fromEntries(
  ["from", "to", "body", "path", "method"].map((name) => [name, { type: "string" as const }]),
);
/** The domain reads these, and refuses those that the kind of fault does not have; here each may be anything. */
const faultBody = z
  .looseObject({
    on: z
      .unknown()
      .optional()
      .openapi({ type: "string", enum: ["request", "send", "callback", "inbound"] }),
    kind: said("string", "As `timeout_after`; each `on` has its own kinds"),
    code: said("integer", "Twilio's error code"),
    status: said("integer", "Of the HTTP answer"),
    message: said("string", "Of the error"),
    delay: z.unknown().optional().openapi({ oneOf: durationForms }),
    retry_after: z.unknown().optional().openapi({ oneOf: durationForms }),
    count: said("integer", "How often it is called"),
    state: said("string", "The last state that is called back before the answer"),
    states: z
      .unknown()
      .optional()
      .openapi({ type: "array", items: { type: "string" } }),
    times: said("integer", "How often it happens; until it is taken back unless given"),
    match: z
      .unknown()
      .optional()
      .openapi({ type: "object", properties: matched, additionalProperties: false }),
  })
  .openapi("NewFault", { required: ["on", "kind"], additionalProperties: false });
const fault = z.looseObject({ id: z.string(), on: z.string(), kind: z.string() }).openapi("Fault");

/** Simulated phones: text from them, read what they received, order faults. */
export function simulatorRoutes(api: OpenAPIHono, simulator: SimulatorRoutes): void {
  /** Simulated phones read every text, codes included. */
  const control = (c: Context): SimulatorControl => {
    demandEverywhere(callerOf(c), "admin");
    const found = simulator.control();
    if (found === undefined) throw new AppError("not_found", "No channel is simulated.");
    return found;
  };
  api.openapi(
    createRoute({
      method: "post",
      path: "/simulator/inbound",
      summary: "Text a simulated channel from any address",
      request: { body: { required: true, content: { "application/json": { schema: inboundBody } } } },
      responses: { 201: ok("Sent", z.object({ sid: z.string() })), ...problems },
    }),
    async (c) => {
      const phones = control(c);
      const { from, channel, body, media_urls } = c.req.valid("json");
      const sent = await phones.inbound({
        from,
        to: simulator.numberOf(channel),
        body,
        ...(media_urls === undefined ? {} : { mediaUrls: media_urls }),
      });
      return c.json({ sid: sent.sid }, 201);
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/simulator/phones",
      summary: "Simulated phones, the latest text first",
      request: { query: shortListQuery },
      responses: { 200: ok("The phones", listOf(phone)), ...problems },
    }),
    async (c) => {
      const phones = (await control(c).phones()).map((item) => phone.parse(phoneJson(item)));
      return c.json(
        shortPage(phones, c.req.valid("query"), ({ address }) => address),
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/simulator/phones/{address}/messages",
      summary: "What a simulated phone sent and received, oldest first",
      request: { params: z.object({ address: z.string().min(1) }), query: shortListQuery },
      responses: { 200: ok("The texts", listOf(phoneMessage)), ...problems },
    }),
    async (c) => {
      const messages = await control(c).messages(c.req.valid("param").address);
      const texts = messages.map((item) => phoneMessage.parse(phoneMessageJson(item)));
      return c.json(
        shortPage(texts, c.req.valid("query"), ({ sid }) => sid),
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "get",
      path: "/simulator/faults",
      summary: "Faults on order",
      request: { query: shortListQuery },
      responses: { 200: ok("The faults", listOf(fault)), ...problems },
    }),
    async (c) => {
      const faults = (await control(c).faults()).map((item) => fault.parse(faultJson(item)));
      return c.json(
        shortPage(faults, c.req.valid("query"), ({ id }) => id),
        200,
      );
    },
  );
  api.openapi(
    createRoute({
      method: "post",
      path: "/simulator/faults",
      summary: "Order a fault",
      request: {
        body: {
          required: true,
          content: { "application/json": { schema: faultBody } },
        },
      },
      responses: { 201: ok("The fault", fault), ...problems },
    }),
    async (c) => c.json(fault.parse(faultJson(await control(c).addFault(c.req.valid("json")))), 201),
  );
  api.openapi(
    createRoute({
      method: "delete",
      path: "/simulator/faults",
      summary: "Take back one fault (`?id=`), or all",
      request: { query: z.object({ id: z.string().optional() }) },
      responses: { 204: { description: "Taken back" }, ...problems },
    }),
    async (c) => {
      const { id } = c.req.valid("query");
      if (id === undefined) await control(c).clearFaults();
      else if (!(await control(c).removeFault(id)))
        throw new AppError("not_found", `There is no fault ${id}.`);
      return c.body(null, 204);
    },
  );
}
