import { numberOf } from "../address.ts";
import { AppError, type ErrorCode, type Problem } from "../errors.ts";
import { faultJson, phoneJson, phoneMessageJson, type SimulatorControl } from "../simulated.ts";
import type { Inventory, PhoneNumber } from "./numbers.ts";
import { answer } from "./refusals.ts";
import { isWebUrl } from "./sending.ts";

/**
 * The phones' side over HTTP, for a simulator that runs by itself:
 *
 * - `POST /simulator/inbound {from, to, body, media_urls?, profile_name?}` → `201 {sid}`
 * - `GET /simulator/phones`, `GET /simulator/phones/{address}/messages` → `{items: […]}`
 * - `GET`, `POST`, `DELETE /simulator/faults`, `DELETE /simulator/faults?id={id}`
 * - `GET /simulator/numbers`, `PUT /simulator/numbers/{number} {sms_url?, sms_fallback_url?, whatsapp?,
 *   advanced_opt_out?, account_sid?}`: what a person sets in Twilio's console, as the webhook of a WhatsApp
 *   sender, which no API call of the simulator sets
 *
 * It asks for no credential, so web pages must be kept out: the `Host` must be an IP address or localhost
 * (no rebound DNS name), and a foreign `Origin` is refused.
 */
export async function serveControl(
  request: Request,
  control: SimulatorControl,
  inventory: Inventory,
): Promise<Response> {
  const url = new URL(request.url);
  const refused = refuseStrangers(request, url);
  if (refused) return refused;
  try {
    return await route(request, url, control, inventory);
  } catch (error) {
    if (error instanceof AppError) return problem(STATUS[error.code], error.message, error.problems);
    throw error;
  }
}

const STATUS: Readonly<Record<ErrorCode, number>> = {
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  unavailable: 503,
};

async function route(
  request: Request,
  url: URL,
  control: SimulatorControl,
  inventory: Inventory,
): Promise<Response> {
  const [, , section = "", id, leaf, ...rest] = url.pathname.split("/").map(decode);
  const method = request.method;
  if (rest.length > 0) return unknown(url);
  if (section === "inbound" && id === undefined) {
    if (method !== "POST") return notAllowed("POST");
    const text = inboundOf(await body(request));
    return answer(201, await control.inbound(text));
  }
  if (section === "phones" && id === undefined) {
    if (method !== "GET") return notAllowed("GET");
    return answer(200, { items: (await control.phones()).map(phoneJson) });
  }
  if (section === "phones" && id !== undefined && leaf === "messages") {
    if (method !== "GET") return notAllowed("GET");
    return answer(200, { items: (await control.messages(id)).map(phoneMessageJson) });
  }
  if (section === "numbers" && leaf === undefined) {
    if (id === undefined) {
      if (method !== "GET") return notAllowed("GET");
      return answer(200, { items: inventory.allNumbers().map(numberJson) });
    }
    if (method !== "PUT") return notAllowed("PUT");
    return answer(200, numberJson(putNumber(inventory, id, await body(request))));
  }
  if (section === "faults" && leaf === undefined) {
    if (method === "DELETE") {
      const one = id ?? url.searchParams.get("id") ?? undefined;
      if (one === undefined) await control.clearFaults();
      else if (!(await control.removeFault(one))) return problem(404, `There is no fault ${one}`);
      return new Response(null, { status: 204 });
    }
    if (id !== undefined) return notAllowed("DELETE");
    if (method === "GET") return answer(200, { items: (await control.faults()).map(faultJson) });
    if (method === "POST") return answer(201, faultJson(await control.addFault(await body(request))));
    return notAllowed("GET, POST, DELETE");
  }
  return unknown(url);
}

function inboundOf(input: unknown): Parameters<SimulatorControl["inbound"]>[0] {
  const fields = new JsonFields(input);
  const text = {
    from: fields.text("from") ?? fields.missing("from"),
    to: fields.text("to") ?? fields.missing("to"),
    body: fields.text("body") ?? fields.missing("body"),
  };
  const profileName = fields.text("profile_name");
  const mediaUrls = fields.texts("media_urls");
  fields.finish();
  return { ...text, mediaUrls, ...(profileName === undefined ? {} : { profileName }) };
}

function putNumber(inventory: Inventory, address: string, input: unknown): PhoneNumber {
  const fields = new JsonFields(input);
  const accountSid = fields.text("account_sid");
  const smsUrl = fields.text("sms_url");
  const smsFallbackUrl = fields.text("sms_fallback_url");
  const whatsapp = fields.flag("whatsapp") ?? (address.startsWith("whatsapp:") ? true : undefined);
  const advancedOptOut = fields.flag("advanced_opt_out");
  for (const [path, url] of [["sms_url", smsUrl] as const, ["sms_fallback_url", smsFallbackUrl] as const]) {
    if (url && !isWebUrl(url)) fields.problems.push({ path, message: "must be an http(s) URL, or empty" });
  }
  const known = inventory.number(address);
  const owner = accountSid ?? known?.accountSid ?? inventory.accounts()[0]?.sid;
  const account = owner === undefined ? undefined : inventory.account(owner);
  if (!account)
    fields.problems.push({ path: "account_sid", message: "names no account the simulator knows" });
  else if (known && known.accountSid !== account.sid) {
    fields.problems.push({
      path: "account_sid",
      message: `is wrong: the number belongs to ${known.accountSid}`,
    });
  }
  if (!known && numberOf(address) === undefined && !/^\d{3,8}$/.test(address)) {
    fields.problems.push({
      path: "number",
      message: `must be a number such as +15551234567, not ${address}`,
    });
  }
  fields.finish();
  const number = known ?? inventory.addNumber(account?.sid ?? "", { number: address });
  return inventory.updateNumber(number, {
    ...(smsUrl === undefined ? {} : { smsUrl }),
    ...(smsFallbackUrl === undefined ? {} : { smsFallbackUrl }),
    ...(whatsapp === undefined ? {} : { whatsapp }),
    ...(advancedOptOut === undefined ? {} : { advancedOptOut }),
  });
}

function numberJson(number: PhoneNumber): Record<string, unknown> {
  return {
    number: number.number,
    sid: number.sid,
    account_sid: number.accountSid,
    ...(number.serviceSid === undefined ? {} : { messaging_service_sid: number.serviceSid }),
    whatsapp: number.whatsapp,
    advanced_opt_out: number.advancedOptOut,
    sms_url: number.smsUrl,
    sms_fallback_url: number.smsFallbackUrl,
  };
}

/** Reads the fields of a JSON body, collecting problems; `finish` throws them, with fields nobody asked for. */
class JsonFields {
  readonly problems: Problem[] = [];
  private readonly fields: ReadonlyMap<string, unknown>;
  private readonly known: string[] = [];

  constructor(input: unknown) {
    if (typeof input !== "object" || input === null || Array.isArray(input)) {
      throw invalid([{ path: "", message: "must be a JSON object" }]);
    }
    this.fields = new Map(Object.entries(input));
  }
  private value(name: string): unknown {
    this.known.push(name);
    return this.fields.get(name);
  }
  text(name: string): string | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === "string") return value;
    this.problems.push({ path: name, message: "must be a text" });
    return "";
  }
  missing(name: string): string {
    this.problems.push({ path: name, message: "is missing" });
    return "";
  }
  flag(name: string): boolean | undefined {
    const value = this.value(name);
    if (value === undefined || typeof value === "boolean") return value;
    this.problems.push({ path: name, message: "must be true or false" });
    return undefined;
  }
  texts(name: string): readonly string[] {
    const value = this.value(name) ?? [];
    const items: readonly unknown[] = Array.isArray(value) ? value : [undefined];
    const found = items.filter((item) => typeof item === "string");
    if (found.length < items.length) this.problems.push({ path: name, message: "must be a list of texts" });
    return found;
  }
  finish(): void {
    for (const path of this.fields.keys()) {
      if (!this.known.includes(path)) {
        this.problems.push({ path, message: `is not one of ${this.known.join(", ")}` });
      }
    }
    if (this.problems.length > 0) throw invalid(this.problems);
  }
}

function invalid(problems: readonly Problem[]): AppError {
  const first = problems[0];
  return new AppError("invalid", `\`${first?.path}\` ${first?.message}`, { problems });
}

/** Ten media of 5 MiB as base64. */
const MAX_BODY_BYTES = 80 * 1024 * 1024;

async function body(request: Request): Promise<unknown> {
  const type = request.headers.get("Content-Type")?.split(";")[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new AppError("invalid", "The body must be JSON: send `Content-Type: application/json`");
  }
  if (Number(request.headers.get("Content-Length") ?? 0) > MAX_BODY_BYTES) {
    throw new AppError("too_large", "The body is larger than 80 MiB");
  }
  try {
    return await request.json();
  } catch (error) {
    throw new AppError("invalid", "The body is not valid JSON", { cause: error });
  }
}

function refuseStrangers(request: Request, url: URL): Response | undefined {
  const host = url.hostname;
  const local = host === "localhost" || /^\d+\.\d+\.\d+\.\d+$/.test(host) || host.startsWith("[");
  if (!local) return problem(403, `The Host ${host} is neither an IP address nor localhost`);
  const origin = request.headers.get("Origin");
  if (origin !== null && origin !== url.origin) return problem(403, `Requests from ${origin} are refused`);
  return undefined;
}

function problem(status: number, detail: string, errors: readonly Problem[] = []): Response {
  const json = { title: "Request refused", status, detail, ...(errors.length > 0 ? { errors } : {}) };
  return answer(status, json, { "Content-Type": "application/problem+json" });
}

function notAllowed(methods: string): Response {
  return answer(
    405,
    { title: "Method not allowed", status: 405, detail: `Use ${methods}` },
    {
      "Content-Type": "application/problem+json",
      Allow: methods,
    },
  );
}

function unknown(url: URL): Response {
  return problem(404, `There is nothing at ${url.pathname}`);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
