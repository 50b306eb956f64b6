import type { Ended, Sandbox, Started } from "../support/binary.ts";
import { until } from "../support/binary.ts";
import { freePort } from "../support/free-port.ts";

export const NUMBER = "+15550100001";
export const PHONE = "+15557654321";
export const STRANGER = "+15550003333";
export const ACCOUNT = "AC00000000000000000000000000000001";
export const AUTH_TOKEN = "0123456789abcdef0123456789abcdef";

/** A text as a simulated phone shows it. */
export interface PhoneText {
  readonly sid: string;
  readonly direction: "inbound" | "outbound";
  readonly text: string;
  readonly state: string;
  readonly arrived_at?: string;
}

/** `sms-agent simulate` in a process of its own. */
export interface CarrierProcess {
  readonly url: string;
  readonly process: Started;
  text(from: string, body: string): Promise<string>;
  texts(phone: string): Promise<readonly PhoneText[]>;
  /** What has reached the phone, once there are `count` texts. */
  received(phone: string, count: number, patience?: number): Promise<readonly PhoneText[]>;
  /** What is registered for the number. */
  webhookOf(number: string): Promise<string | undefined>;
  fault(fault: unknown): Promise<void>;
  /** How often ordered faults are still to happen. */
  faultsLeft(): Promise<number>;
}

export async function startCarrier(sandbox: Sandbox): Promise<CarrierProcess> {
  const process = sandbox.start(["simulate", "--listen", "127.0.0.1:0", "--log-level", "warn"]);
  const url = (await process.shown(/listens on (http:\S+)/))[1] ?? "";
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const response = await fetch(`${url}/simulator${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const get = async (path: string) => {
    const response = await fetch(`${url}/simulator${path}`, { signal: AbortSignal.timeout(10_000) });
    return list(await response.json());
  };
  const texts = async (phone: string) =>
    (await get(`/phones/${encodeURIComponent(phone)}/messages`)).map(phoneText);
  return {
    url,
    process,
    text: async (from, body) => field(await post("/inbound", { from, to: NUMBER, body }), "sid"),
    texts,
    received: (phone, count, patience) =>
      until(
        `${phone} to get ${count} texts`,
        async () => {
          const got = (await texts(phone)).filter((text) => text.arrived_at !== undefined);
          return got.length >= count ? got : undefined;
        },
        patience,
      ),
    async webhookOf(number) {
      const found = (await get("/numbers")).find((item) => field(item, "number") === number);
      const url = found === undefined ? "" : field(found, "sms_url");
      return url === "" ? undefined : url;
    },
    async fault(fault) {
      await post("/faults", fault);
    },
    faultsLeft: async () => (await get("/faults")).length,
  };
}

/** A service of its own, started from the compiled binary. */
export interface ServiceProcess {
  readonly process: Started;
  readonly adminUrl: string;
  readonly publicUrl: string;
  /** Calls the admin API; rejects unless it answers 2xx. */
  api(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Resolves once the channel's status is one of these. */
  status(...wanted: readonly string[]): Promise<string>;
  /** Ends it as an init system does. */
  stop(): Promise<Ended>;
}

/** Where a service of a test listens. */
export interface Ports {
  readonly publicPort: number;
  readonly adminPort: number;
}

export function freePorts(): Ports {
  return { publicPort: freePort(), adminPort: freePort() };
}

export const ADMIN_TOKEN = "the-admin-token-of-the-tests";

/** A `provider: twilio` config that reaches the simulator by its URL alone. `channel`: more keys of it. */
export function twilioConfig(
  carrier: Pick<CarrierProcess, "url">,
  ports: Ports,
  more: { readonly channel?: string; readonly top?: string; readonly agent?: string } = {},
): string {
  return `server:
  listen: 127.0.0.1:${ports.publicPort}
  public_url: http://127.0.0.1:${ports.publicPort}
admin:
  listen: 127.0.0.1:${ports.adminPort}
  token: ${ADMIN_TOKEN}
data_dir: ./data
twilio:
  account_sid: ${ACCOUNT}
  auth_token: ${AUTH_TOKEN}
  api_url: ${carrier.url}
  messaging_url: ${carrier.url}
channels:
  sms:
    provider: twilio
    from_number: "${NUMBER}"
    agent: parrot
    debounce: 0s
${(more.channel ?? "").replace(/^/gm, "    ")}
agents:
  parrot: ${more.agent ?? "{ type: echo }"}
${more.top ?? ""}
`;
}

export async function startService(
  sandbox: Sandbox,
  ports: Ports,
  options: { readonly config?: string; readonly token?: string; readonly env?: Record<string, string> } = {},
): Promise<ServiceProcess> {
  const process = sandbox.start(["serve", "--config", options.config ?? "sms.yaml"], {
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  await process.shown(/"event":"listening"/, "stderr");
  const adminUrl = `http://127.0.0.1:${ports.adminPort}`;
  const api = async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${adminUrl}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${options.token ?? ADMIN_TOKEN}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  return {
    process,
    adminUrl,
    publicUrl: `http://127.0.0.1:${ports.publicPort}`,
    api,
    status: (...wanted) =>
      until(`the channel to be ${wanted.join(" or ")}`, async () => {
        const status = field(await api("GET", "/channels/sms"), "status");
        return wanted.includes(status) ? status : undefined;
      }),
    async stop() {
      process.kill("SIGTERM");
      return process.ended;
    },
  };
}

/** The `items` of a list answer. */
export function list(answer: unknown): readonly unknown[] {
  if (typeof answer === "object" && answer !== null && "items" in answer && Array.isArray(answer.items))
    return answer.items;
  throw new Error(`no list: ${JSON.stringify(answer)}`);
}

/** A field of a JSON answer, as text; "" where it is absent. */
export function field(answer: unknown, name: string): string {
  if (typeof answer !== "object" || answer === null) throw new Error(`no object: ${JSON.stringify(answer)}`);
  const value: unknown = Object.entries(answer).find(([key]) => key === name)?.[1];
  return value === undefined ? "" : String(value);
}

function phoneText(answer: unknown): PhoneText {
  const arrived = field(answer, "arrived_at");
  return {
    sid: field(answer, "sid"),
    direction: field(answer, "direction") === "inbound" ? "inbound" : "outbound",
    text: field(answer, "text"),
    state: field(answer, "state"),
    ...(arrived === "" ? {} : { arrived_at: arrived }),
  };
}
