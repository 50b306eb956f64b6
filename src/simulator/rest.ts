import { authenticate } from "./auth.ts";
import type { Faults } from "./faults.ts";
import { cutConnection, neverAnswer, pause, refuseOnOrder } from "./faulty.ts";
import type { MediaFiles } from "./media.ts";
import type { Inventory } from "./numbers.ts";
import { pageEnvelope, parsePage } from "./paging.ts";
import { answer, isRefusal, notFound, refusal, refuse } from "./refusals.ts";
import { accountResource } from "./resources.ts";
import { notAllowed, type RestHandler, type RestRequest } from "./rest-messages.ts";
import type { Work } from "./work.ts";

/** Larger than any form Twilio accepts. */
const MAX_FORM_BYTES = 256 * 1024;

/** The REST API: authentication, faults on order, and which resource a path means. */
export function createRest(options: {
  readonly inventory: Inventory;
  readonly faults: Faults;
  readonly media: MediaFiles;
  readonly work: Work;
  readonly messages: RestHandler;
  readonly numbers: RestHandler;
  readonly services: RestHandler;
  /** Told under which origin an account's client reaches us. */
  readonly reachedAt: (accountSid: string, origin: string) => void;
}): (request: Request, url: URL) => Promise<Response> {
  const { inventory, faults, media, work } = options;

  function accounts(rest: RestRequest, sid: string | undefined): Response {
    if (!rest.json) return refuse(notFound(rest.url.pathname));
    if (rest.request.method !== "GET") return notAllowed(rest.request.method);
    if (sid !== undefined) return answer(200, accountResource(rest.account));
    const page = parsePage(rest.url.searchParams);
    if (isRefusal(page)) return refuse(page);
    const own = inventory
      .accounts()
      .filter((one) => one.sid === rest.account.sid || one.parent === rest.account.sid);
    return answer(200, {
      ...pageEnvelope(rest.url, page, own.length, {}),
      accounts: own.map(accountResource),
    });
  }

  /** The file itself, on what plays the part of Twilio's CDN. */
  function cdn(request: Request, sid: string): Response {
    // A signed CDN address and an Authorization header exclude each other; real ones refuse it as well.
    if (request.headers.has("Authorization")) {
      return new Response("Credentials for the API must not be sent to the CDN.\n", { status: 400 });
    }
    const file = media.file(sid);
    if (!file) return new Response("No such file.\n", { status: 404 });
    return new Response(new Blob([new Uint8Array(file.bytes)]), {
      headers: { "Content-Type": file.contentType },
    });
  }

  return async (request, url) => {
    const parts = url.pathname.split("/").slice(1);
    if (parts[0] === "cdn" && parts.length === 2) return cdn(request, parts[1] ?? "");

    const last = parts.at(-1) ?? "";
    const json = last.endsWith(".json");
    const bare = json ? [...parts.slice(0, -1), last.slice(0, -5)] : parts;
    const handler = route(bare);
    if (!handler) return refuse(notFound(url.pathname));

    const account = authenticate(inventory, request, handler.accountSid);
    if (isRefusal(account)) return refuse(account);
    options.reachedAt(account.sid, url.origin);

    const form = request.method === "POST" ? await readForm(request) : new URLSearchParams();
    if (!form) return refuse(refusal(20_001, "The request is larger than any message", 413));
    const rest: RestRequest = { request, url, account, path: handler.path, json, form };
    const sending = request.method === "POST" && handler.path.length === 1 && handler.path[0] === "Messages";
    if (sending) return handler.run(rest);

    const fault = faults.takeRequest({
      path: url.pathname,
      method: request.method,
      from: url.searchParams.get("From") ?? undefined,
      to: url.searchParams.get("To") ?? undefined,
    });
    switch (fault?.kind) {
      case "error":
      case "throttle":
      case "server_error":
        return refuseOnOrder(fault);
      case "timeout":
        return neverAnswer(request, work);
      case "cut":
        return cutConnection();
      case "slow": {
        const response = await handler.run(rest);
        await pause(fault.delay, work);
        return response;
      }
      case undefined:
        return handler.run(rest);
    }
  };

  function route(
    parts: readonly string[],
  ):
    | { readonly run: RestHandler; readonly accountSid?: string; readonly path: readonly string[] }
    | undefined {
    const [version, kind, accountSid, ...path] = parts;
    if (version === "v1" && kind === "Services") return { run: options.services, path: parts.slice(1) };
    if (version !== "2010-04-01" || kind !== "Accounts") return undefined;
    if (accountSid === undefined) return { run: (rest) => accounts(rest, undefined), path: [] };
    switch (path[0]) {
      case undefined:
        return { run: (rest) => accounts(rest, accountSid), accountSid, path };
      case "Messages":
        return { run: options.messages, accountSid, path };
      case "IncomingPhoneNumbers":
        return { run: options.numbers, accountSid, path };
      default:
        return undefined;
    }
  }
}

async function readForm(request: Request): Promise<URLSearchParams | undefined> {
  if (Number(request.headers.get("Content-Length") ?? 0) > MAX_FORM_BYTES) return undefined;
  const body = await request.text();
  return body.length > MAX_FORM_BYTES ? undefined : new URLSearchParams(body);
}
