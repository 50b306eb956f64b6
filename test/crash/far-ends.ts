import { z } from "zod";
import { numbersIn, textOf } from "./accounts.ts";
import type { Dice } from "./dice.ts";
import { createModel, type Model } from "./model.ts";

/** One call of the http agent. */
export interface Run {
  readonly turnId: string;
  /** The turn that its text was in before, over which the service died too often. */
  readonly splitFrom?: string;
  readonly webhookId: string;
  readonly from: string;
  readonly numbers: readonly number[];
  readonly replied: boolean;
}

/** One event that the webhook consumer was told of, however often. */
export interface ToldEvent {
  readonly id: string;
  readonly type: string;
  /** The message it is about; "" for other events. */
  readonly message: string;
}

/** What lies behind the service: an http agent, a language model, a consumer of webhooks, and what they have seen. */
export interface FarEnds {
  /** For `base_url`. */
  readonly modelUrl: string;
  readonly reminders: Model["reminders"];
  readonly agentUrl: string;
  readonly consumerUrl: string;
  readonly runs: readonly Run[];
  readonly events: ReadonlyMap<string, ToldEvent>;
  /** Posts of events, repeated ones included. */
  readonly posts: () => number;
  close(): Promise<void>;
}

const TurnBody = z.object({
  turn_id: z.string(),
  split_from: z.string().optional(),
  from: z.string(),
  text: z.string(),
});
const EventBody = z.object({
  id: z.string(),
  type: z.string(),
  data: z.object({ id: z.string().optional() }),
});

/** `moody`: the share of calls that are answered late, with an error first, or by the agent with silence. */
export function openFarEnds(dice: Dice, moody: number): FarEnds {
  const runs: Run[] = [];
  const events = new Map<string, ToldEvent>();
  /** How each turn is answered, the same when it is asked again. */
  const moods = new Map<string, "reply" | "slow" | "silence" | "error_first">();
  const failed = new Set<string>();
  const model = createModel(dice);
  let posts = 0;

  async function agent(request: Request): Promise<Response> {
    const { turn_id: turnId, split_from: splitFrom, from, text } = TurnBody.parse(await request.json());
    const mood =
      moods.get(turnId) ??
      (dice.chance(moody) ? dice.pick(["slow", "slow", "silence", "error_first"] as const) : "reply");
    moods.set(turnId, mood);
    const numbers = numbersIn(text);
    const webhookId = request.headers.get("webhook-id") ?? "";
    const split = splitFrom === undefined ? {} : { splitFrom };
    const note = (replied: boolean) => runs.push({ turnId, webhookId, from, numbers, replied, ...split });
    if (mood === "error_first" && !failed.has(turnId)) {
      failed.add(turnId);
      note(false);
      return new Response("try again", { status: 500 });
    }
    note(mood !== "silence");
    if (mood === "slow") await Bun.sleep(dice.between(50, 800));
    if (mood === "silence") return new Response(null, { status: 204 });
    return Response.json({ reply: numbers.map(textOf).join(" ") });
  }

  async function consumer(request: Request): Promise<Response> {
    const event = EventBody.parse(await request.json());
    posts += 1;
    // Refused before it is noted: only what was taken counts as told.
    // Seldom, for each one holds up all that follow for a second.
    if (dice.chance(moody / 60)) return new Response("busy", { status: 503 });
    if (event.id !== request.headers.get("webhook-id")) return new Response("two ids", { status: 400 });
    events.set(event.id, { id: event.id, type: event.type, message: event.data.id ?? "" });
    return new Response(null, { status: 204 });
  }

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 60,
    fetch(request) {
      switch (new URL(request.url).pathname) {
        case "/agent":
          return agent(request);
        case "/events":
          return consumer(request);
        default:
          return model.complete(request);
      }
    },
  });
  const url = `http://127.0.0.1:${server.port}`;
  return {
    agentUrl: `${url}/agent`,
    consumerUrl: `${url}/events`,
    modelUrl: `${url}/v1`,
    reminders: model.reminders,
    runs,
    events,
    posts: () => posts,
    close: () => server.stop(true),
  };
}
