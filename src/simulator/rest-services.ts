import type { Account, Inventory, MessagingService } from "./numbers.ts";
import { parsePage } from "./paging.ts";
import { answer, isRefusal, notFound, type Refusal, refusal, refuse } from "./refusals.ts";
import { serviceNumberResource, serviceResource } from "./resources.ts";
import { notAllowed, type RestRequest } from "./rest-messages.ts";
import { parseMethod } from "./rest-numbers.ts";
import { isWebUrl, provisionService } from "./sending.ts";

/** The Messaging API: `/v1/Services`, `/v1/Services/{Sid}`, `…/PhoneNumbers[/{Sid}]`. */
export function createServiceRoutes(inventory: Inventory): (rest: RestRequest) => Response {
  function services({ request, url, account, form }: RestRequest): Response {
    if (request.method === "GET") {
      return page(
        url,
        "services",
        inventory.services(account.sid).map((service) => serviceResource(service, url.origin)),
      );
    }
    if (request.method !== "POST") return notAllowed(request.method);
    if (!form.get("FriendlyName")) return refuse(refusal(20_001, "'FriendlyName' is required"));
    const change = parseChange(form);
    if (isRefusal(change)) return refuse(change);
    return answer(201, serviceResource(inventory.addService(account.sid, change), url.origin));
  }

  function one({ request, url, form }: RestRequest, service: MessagingService): Response {
    switch (request.method) {
      case "GET":
        return answer(200, serviceResource(service, url.origin));
      case "POST": {
        const change = parseChange(form);
        if (isRefusal(change)) return refuse(change);
        return answer(200, serviceResource(inventory.updateService(service, change), url.origin));
      }
      case "DELETE":
        inventory.removeService(service);
        return new Response(null, { status: 204 });
      default:
        return notAllowed(request.method);
    }
  }

  function senders({ request, url, account, form }: RestRequest, service: MessagingService): Response {
    if (request.method === "GET") {
      const rows = inventory
        .senders(service.sid)
        .map((number) => serviceNumberResource(number, service.sid, url.origin));
      return page(url, "phone_numbers", rows);
    }
    if (request.method !== "POST") return notAllowed(request.method);
    const number = inventory.numberBySid(form.get("PhoneNumberSid") ?? "");
    if (number?.accountSid !== account.sid)
      return refuse(refusal(20_404, "'PhoneNumberSid' names no phone number of this account", 404));
    if (number.serviceSid === service.sid) {
      return refuse(refusal(21_710, `${number.number} is in this Messaging Service already`));
    }
    if (number.serviceSid !== undefined) {
      return refuse(refusal(21_712, `${number.number} is in the Messaging Service ${number.serviceSid}`));
    }
    const joined = inventory.updateNumber(number, { serviceSid: service.sid });
    return answer(201, serviceNumberResource(joined, service.sid, url.origin));
  }

  function sender({ request, url }: RestRequest, service: MessagingService, sid: string): Response {
    const number = inventory.numberBySid(sid);
    if (number?.serviceSid !== service.sid) return refuse(notFound(url.pathname));
    if (request.method === "GET") return answer(200, serviceNumberResource(number, service.sid, url.origin));
    if (request.method !== "DELETE") return notAllowed(request.method);
    inventory.detachNumber(number);
    return new Response(null, { status: 204 });
  }

  return (rest) => {
    const [, sid, section, numberSid, ...more] = rest.path;
    if (more.length > 0 || (section !== undefined && section !== "PhoneNumbers"))
      return refuse(notFound(rest.url.pathname));
    if (sid === undefined) return services(rest);
    const service = find(inventory, rest.account, sid);
    if (!service) return refuse(notFound(rest.url.pathname));
    if (section === undefined) return one(rest, service);
    return numberSid === undefined ? senders(rest, service) : sender(rest, service, numberSid);
  };
}

function find(inventory: Inventory, account: Account, sid: string): MessagingService | undefined {
  const service = inventory.service(sid) ?? provisionService(inventory, account, sid);
  return service?.accountSid === account.sid ? service : undefined;
}

/** A page as the newer APIs have it, with absolute URLs in `meta`. */
function page(url: URL, key: string, rows: readonly unknown[]): Response {
  const request = parsePage(url.searchParams);
  if (isRefusal(request)) return refuse(request);
  const { page: index, size } = request;
  const link = (to: number) => {
    const query = new URLSearchParams(url.searchParams);
    query.set("PageSize", String(size));
    query.set("Page", String(to));
    if (to > 0) query.set("PageToken", `PA${to.toString(16)}`);
    else query.delete("PageToken");
    return `${url.origin}${url.pathname}?${query}`;
  };
  return answer(200, {
    meta: {
      page: index,
      page_size: size,
      first_page_url: link(0),
      previous_page_url: index === 0 ? null : link(index - 1),
      url: url.href,
      next_page_url: rows.length > (index + 1) * size ? link(index + 1) : null,
      key,
    },
    [key]: rows.slice(index * size, (index + 1) * size),
  });
}

function parseChange(form: URLSearchParams): Partial<MessagingService> | Refusal {
  const urls: {
    inboundRequestUrl?: string | null;
    fallbackUrl?: string | null;
    statusCallback?: string | null;
  } = {};
  for (const [name, key] of [
    ["InboundRequestUrl", "inboundRequestUrl"],
    ["FallbackUrl", "fallbackUrl"],
    ["StatusCallback", "statusCallback"],
  ] as const) {
    const value = form.get(name);
    if (value === null) continue;
    if (value !== "" && !isWebUrl(value)) return refusal(20_001, `The '${name}' ${value} is not a valid URL`);
    urls[key] = value === "" ? null : value;
  }
  const inboundMethod = parseMethod(form, "InboundMethod");
  if (typeof inboundMethod === "object") return inboundMethod;
  const fallbackMethod = parseMethod(form, "FallbackMethod");
  if (typeof fallbackMethod === "object") return fallbackMethod;
  const validity = form.get("ValidityPeriod");
  if (
    validity !== null &&
    (!/^\d{1,5}$/.test(validity) || Number(validity) < 1 || Number(validity) > 36_000)
  ) {
    return refusal(20_001, `The 'ValidityPeriod' ${validity} is not a whole number from 1 to 36000`);
  }
  const flag = (name: string) => form.get(name)?.toLowerCase() === "true";
  return {
    ...urls,
    ...(inboundMethod === undefined ? {} : { inboundMethod }),
    ...(fallbackMethod === undefined ? {} : { fallbackMethod }),
    ...(validity === null ? {} : { validityPeriod: Number(validity) }),
    ...(form.has("FriendlyName") ? { friendlyName: form.get("FriendlyName") ?? "" } : {}),
    ...(form.has("UseInboundWebhookOnNumber")
      ? { useInboundWebhookOnNumber: flag("UseInboundWebhookOnNumber") }
      : {}),
    ...(form.has("SmartEncoding") ? { smartEncoding: flag("SmartEncoding") } : {}),
    ...(form.has("StickySender") ? { stickySender: flag("StickySender") } : {}),
  };
}
