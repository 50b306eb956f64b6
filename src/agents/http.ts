import { Webhook } from "standardwebhooks";
import { z } from "zod";
import { type Agent, AgentFailure, type AgentReply, type TurnRequest } from "../agent.ts";
import { AppError } from "../errors.ts";
import type { HttpAgent } from "../settings.ts";
import { BAD_SECRET, signingKeys } from "../signing-key.ts";
import { startDeadline } from "./deadline.ts";
import { excerpt, explanationIn } from "./excerpt.ts";
import { type Answer, OversizedAnswer, post, triesNote, Unreachable } from "./exchange.ts";
import type { AgentSeams } from "./seams.ts";
import { turnJson } from "./turn-json.ts";

const MAX_ANSWER = 1024 * 1024;
/** Twilio's own limit per message. */
const MAX_MEDIA = 10;

/** Refused as it is, or broken by it; other statuses are about the endpoint. */
const BLAME: readonly number[] = [400, 413, 415, 422, 500];

const EXPECTED = 'Answer 200 with {"reply": "…", "media_urls": []}, or 204 to say nothing.';

/**
 * POSTs each turn to an endpoint, signed as Standard Webhooks are (https://www.standardwebhooks.com):
 * `webhook-id` is the turn's id, the same on every repetition, so that the endpoint can tell one. What key the
 * secret is says `signingKeys`. Without a secret the id and the timestamp are sent all the same.
 */
export function createHttpAgent(settings: HttpAgent, seams: AgentSeams): Agent {
  const { clock, log } = seams;
  const endpoint = shownUrl(settings);
  const sign = signer(settings);
  const fixed = fixedHeaders(settings);
  const secrets = [settings.secret ?? "", ...Object.values(settings.headers)];

  return {
    async run(request, signal) {
      const deadline = startDeadline(clock, settings.timeout, signal, endpoint);
      const body = turnJson(request);
      try {
        const answer = await post(settings.url, () => signedHeaders(request.turnId, body), body, {
          fetch: seams.fetch,
          clock,
          deadline,
          maxAnswer: MAX_ANSWER,
          onRetry: (reason, delay) =>
            log.warn("agent.retry", { agent: settings.id, turn: request.turnId, reason, delay }),
        });
        return replyIn(answer, request);
      } catch (error) {
        throw failureOf(error);
      } finally {
        deadline.end();
      }
    },
  };

  function signedHeaders(turnId: string, body: string): Headers {
    const headers = new Headers(fixed);
    const at = new Date(clock.now());
    headers.set("webhook-id", turnId);
    headers.set("webhook-timestamp", String(Math.floor(at.getTime() / 1_000)));
    if (sign !== undefined) headers.set("webhook-signature", sign(turnId, at, body));
    return headers;
  }

  function replyIn(answer: Answer, request: TurnRequest): AgentReply {
    const { status } = answer;
    if (status === 204) return {};
    if (status >= 200 && status < 300) return parseReply(answer, `${endpoint} answered ${status}`);
    if (status >= 300 && status < 400)
      throw new AgentFailure(
        "provider",
        `${endpoint} answered ${status}, a redirect, which is not followed`,
        {
          fix: `Write the final address in agents.${settings.id}.url.`,
        },
      );
    const said = excerpt(explanationIn(textOf(answer.body) ?? ""), request, { secrets });
    throw new AgentFailure(
      "provider",
      `${endpoint} answered ${status}${triesNote(answer.tries)}${said === "" ? "" : `: ${said}`}`,
      { blamesText: BLAME.includes(status) },
    );
  }

  function failureOf(error: unknown): unknown {
    if (error instanceof Unreachable)
      return new AgentFailure("provider", `${endpoint} could not be reached: ${error.message}`, {
        fix: `Start the endpoint, or correct agents.${settings.id}.url.`,
      });
    if (error instanceof OversizedAnswer)
      return new AgentFailure("output", `${endpoint}: ${error.message}`, { fix: EXPECTED });
    return error;
  }
}

const ReplyBody = z.looseObject({
  reply: z.string().nullish(),
  media_urls: z
    .array(z.string().refine(isWebUrl, "is not an http or https URL"))
    .max(MAX_MEDIA, `has more than ${MAX_MEDIA} entries`)
    .nullish(),
});

/**
 * The reply in a 2xx answer; an empty body, `null` and blank texts are silence. Throws AgentFailure `output`
 * that tells the shape of what came, never its words: they may be private.
 */
function parseReply(answer: Answer, subject: string): AgentReply {
  const wrong = (what: string) => new AgentFailure("output", `${subject} with ${what}`, { fix: EXPECTED });
  const text = textOf(answer.body);
  if (text === undefined) throw wrong("a body that is not UTF-8");
  if (text.trim() === "") return {};
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    const type = answer.headers.get("content-type")?.split(";")[0] ?? "no content type";
    throw wrong(`${answer.body.byteLength} bytes (${type}) that are not JSON`);
  }
  const parsed = ReplyBody.safeParse(body);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const place = issue === undefined || issue.path.length === 0 ? "its JSON" : issue.path.join(".");
    throw wrong(`JSON that is not a reply: ${place}: ${issue?.message ?? "invalid"}`);
  }
  const { reply, media_urls } = parsed.data;
  if (reply === undefined && media_urls === undefined)
    throw wrong(`a JSON object that has neither "reply" nor "media_urls"`);
  return {
    ...(reply === null || reply === undefined || reply.trim() === "" ? {} : { text: reply }),
    ...(media_urls === null || media_urls === undefined || media_urls.length === 0
      ? {}
      : { mediaUrls: media_urls }),
  };
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function isWebUrl(url: string): boolean {
  return /^https?:\/\/[^\s]+$/i.test(url) && URL.canParse(url);
}

/** The URL for messages: without user, password and query, which may hold secrets. */
function shownUrl({ id, url }: HttpAgent): string {
  if (!isWebUrl(url))
    throw new AppError("invalid", `The url of agent ${id} is not an http or https URL.`, {
      problems: [{ path: `agents.${id}.url`, message: "Write it like http://127.0.0.1:9000/sms." }],
    });
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

/** Makes the value of `webhook-signature`: one signature for each key the secret may stand for. */
function signer({ id, secret }: HttpAgent): Webhook["sign"] | undefined {
  if (secret === undefined) return undefined;
  const webhooks = signingKeys(secret).map((key) => new Webhook(key, { format: "raw" }));
  if (webhooks.length === 0)
    throw new AppError("invalid", `The secret of agent ${id} cannot be used.`, {
      problems: [{ path: `agents.${id}.secret`, message: `${BAD_SECRET.message} — ${BAD_SECRET.fix}` }],
    });
  return (turnId, at, body) => webhooks.map((webhook) => webhook.sign(turnId, at, body)).join(" ");
}

function fixedHeaders({ id, headers: own }: HttpAgent): Headers {
  const headers = new Headers({ "user-agent": "sms-agent" });
  for (const [name, value] of Object.entries(own)) {
    try {
      headers.set(name, value);
    } catch {
      throw new AppError("invalid", `A header of agent ${id} cannot be sent.`, {
        problems: [
          {
            path: `agents.${id}.headers.${name}`,
            message: "A header name is letters, digits and hyphens; its value is one line of Latin text.",
          },
        ],
      });
    }
  }
  headers.set("content-type", "application/json");
  headers.set("accept", "application/json");
  return headers;
}
