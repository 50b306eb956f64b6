import type { SendFault } from "../simulated.ts";
import type { Faults } from "./faults.ts";
import { cutConnection, neverAnswer, pause, refuseOnOrder, unlessClosed } from "./faulty.ts";
import type { Ledger, StoredMessage } from "./ledger.ts";
import type { MediaFiles } from "./media.ts";
import type { Account } from "./numbers.ts";
import type { AcceptMessage } from "./outbound.ts";
import { listMessages, pageEnvelope, parsePage } from "./paging.ts";
import { answer, isRefusal, notFound, refusal, refuse } from "./refusals.ts";
import { mediaResource, messageResource } from "./resources.ts";
import type { SendingRules } from "./sending.ts";
import type { Work } from "./work.ts";

/** A request to one of an account's resources, authenticated. */
export interface RestRequest {
  readonly request: Request;
  readonly url: URL;
  readonly account: Account;
  /** The path below the account, without `.json`. */
  readonly path: readonly string[];
  /** The path ended in `.json`. */
  readonly json: boolean;
  /** Empty for GET and DELETE. */
  readonly form: URLSearchParams;
}

export type RestHandler = (request: RestRequest) => Response | Promise<Response>;

const ANSWER_FAULTS = [
  "error",
  "throttle",
  "server_error",
  "server_error_after",
  "timeout_before",
  "timeout_after",
  "cut_before",
  "cut_after",
  "slow",
] as const satisfies readonly SendFault["kind"][];

/** `Messages.json`, `Messages/{Sid}.json`, `Messages/{Sid}/Media…`. */
export function createMessageRoutes(options: {
  readonly ledger: Ledger;
  readonly media: MediaFiles;
  readonly rules: SendingRules;
  readonly accept: AcceptMessage;
  readonly faults: Faults;
  readonly work: Work;
}): RestHandler {
  const { ledger, media, rules, accept, faults, work } = options;

  async function create({ request, account, form }: RestRequest): Promise<Response> {
    const draft = rules.check(account, form);
    if (isRefusal(draft)) return refuse(draft);
    const fault = faults.takeSend(ANSWER_FAULTS, draft);
    switch (fault?.kind) {
      case "error":
      case "throttle":
      case "server_error":
        return refuseOnOrder(fault);
      case "timeout_before":
        return neverAnswer(request, work);
      case "cut_before":
        return cutConnection();
    }
    const { message, answerable } = accept(draft);
    const created = answer(201, messageResource(message));
    await unlessClosed(answerable, work);
    switch (fault?.kind) {
      case "server_error_after":
        return refuseOnOrder(fault);
      case "timeout_after":
        return neverAnswer(request, work);
      case "cut_after":
        return cutConnection();
      case "slow":
        await pause(fault.delay, work);
        return created;
      case undefined:
        return created;
    }
  }

  function update(message: StoredMessage, form: URLSearchParams): Response {
    const status = form.get("Status");
    if (status !== null && status !== "") {
      if (status !== "canceled")
        return refuse(refusal(20_001, `'Status' can only become canceled, not ${status}`));
      return refuse(refusal(30_409, `A message that is ${message.status} cannot be canceled`));
    }
    const body = form.get("Body");
    if (body === null) return answer(200, messageResource(message));
    if (body !== "")
      return refuse(refusal(20_001, "'Body' can only be emptied: the text of a message cannot be changed"));
    if (!isOver(message))
      return refuse(refusal(20_009, "A message that is still under way cannot be redacted"));
    ledger.change(message, { redacted: true });
    return answer(200, messageResource(message));
  }

  function one(rest: RestRequest, message: StoredMessage): Response {
    switch (rest.request.method) {
      case "GET":
        return answer(200, messageResource(message));
      case "POST":
        return update(message, rest.form);
      case "DELETE":
        if (!isOver(message))
          return refuse(refusal(20_009, "A message that is still under way cannot be deleted"));
        ledger.change(message, { deleted: true });
        return new Response(null, { status: 204 });
      default:
        return notAllowed(rest.request.method);
    }
  }

  function mediaOf(rest: RestRequest, message: StoredMessage, mediaSid: string | undefined): Response {
    const { url, request } = rest;
    if (mediaSid === undefined) {
      if (request.method !== "GET") return notAllowed(request.method);
      const page = parsePage(url.searchParams);
      if (isRefusal(page)) return refuse(page);
      const items = message.media.map((item) => mediaResource(message, item));
      return answer(200, { ...pageEnvelope(url, page, items.length, {}), media_list: items });
    }
    const item = message.media.find((candidate) => candidate.sid === mediaSid);
    if (!item) return refuse(notFound(url.pathname));
    switch (request.method) {
      case "GET":
      case "HEAD":
        if (rest.json) return answer(200, mediaResource(message, item));
        return new Response(null, {
          status: 307,
          headers: { Location: item.link ?? cdnUrl(url, item.sid), "Content-Type": item.contentType },
        });
      case "DELETE":
        media.drop(item.sid);
        ledger.change(message, { media: message.media.filter((other) => other !== item) });
        return new Response(null, { status: 204 });
      default:
        return notAllowed(request.method);
    }
  }

  return (rest) => {
    const [, sid, section, mediaSid, ...more] = rest.path;
    if (more.length > 0 || (section !== undefined && section !== "Media"))
      return refuse(notFound(rest.url.pathname));
    // Without `.json` Twilio answers in XML, which is not simulated; a medium itself has no ending.
    if (!rest.json && mediaSid === undefined) return refuse(notFound(rest.url.pathname));
    if (sid === undefined) {
      if (rest.request.method === "POST") return create(rest);
      if (rest.request.method !== "GET") return notAllowed(rest.request.method);
      const list = listMessages(ledger, rest.account.sid, rest.url, work.clock.now());
      if (isRefusal(list)) return refuse(list);
      return answer(200, { ...list.envelope, messages: list.messages.map(messageResource) });
    }
    const message = ledger.bySid(sid);
    const known =
      message !== undefined &&
      message.accountSid === rest.account.sid &&
      !message.deleted &&
      message.listedFrom !== Number.POSITIVE_INFINITY;
    if (!known) return refuse(notFound(rest.url.pathname));
    return section === "Media" ? mediaOf(rest, message, mediaSid) : one(rest, message);
  };
}

export function notAllowed(method: string): Response {
  return refuse(refusal(20_004, `The method ${method} is not allowed here`));
}

function isOver(message: StoredMessage): boolean {
  return ["received", "delivered", "undelivered", "failed", "read", "canceled"].includes(message.status);
}

/** The same server under its other loopback name, so that credentials must not follow the redirect. */
function cdnUrl(url: URL, sid: string): string {
  const cdn = new URL(`/cdn/${sid}`, url);
  if (cdn.hostname === "127.0.0.1") cdn.hostname = "localhost";
  else if (cdn.hostname === "localhost") cdn.hostname = "127.0.0.1";
  return cdn.href;
}
