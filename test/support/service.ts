import { createHmac } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type App, openApp } from "../../src/app.ts";
import { type Seams, systemSeams } from "../../src/app-seams.ts";
import { openConfigFile } from "../../src/config/file.ts";
import type { Log } from "../../src/log.ts";
import type { Settings } from "../../src/settings.ts";
import type { PhoneMessage, SimulatorControl } from "../../src/simulated.ts";
import { type ManualClock, syncAtOnce } from "./clock.ts";

/** The longest a test waits for something to happen, ms of the wall clock. */
export const PATIENCE = 15_000;

/** How long a stopping service waits for what a test left running, ms. */
const GRACE = 1_000;

export const NUMBER = "+15550100001";
export const PHONE = "+15557654321";
export const STRANGER = "+15550003333";

/** One log line as a test sees it. */
export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** The real service, in this process, on ports of its own, with the simulator as carrier. */
export interface Service {
  readonly app: App;
  readonly settings: Settings;
  readonly publicUrl: string;
  readonly adminUrl: string;
  readonly token: string;
  readonly folder: string;
  readonly logs: readonly LogLine[];
  readonly simulator: SimulatorControl;
  /** Calls the admin API; answers status and parsed body. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<ApiAnswer>;
  /** Calls the inbound webhook over HTTP as the carrier would, signed unless told otherwise. */
  webhook(parameters: FormParameters, options?: WebhookOptions): Promise<Response>;
  /** Texts from a simulated phone. Resolves with the sid when the carrier has it. */
  text(from: string, body: string, to?: string): Promise<string>;
  /** Texts from a simulated phone, and waits until the service has taken it in. */
  admitted(from: string, body: string, to?: string): Promise<string>;
  /** Resolves with the texts a phone has got, once there are `count` of them. Lets time pass. */
  received(phone: string, count: number): Promise<readonly PhoneMessage[]>;
  /** The texts that have reached a phone so far. */
  inbox(phone: string): Promise<readonly PhoneMessage[]>;
  /** Resolves once `check` holds; it is tried again whenever something happens. Time stands still. */
  until(check: () => boolean | Promise<boolean>, what: string): Promise<void>;
  /** As `until`, but a manual clock moves on while it waits. */
  eventually(check: () => boolean | Promise<boolean>, what: string): Promise<void>;
  /** Resolves once `count` log lines of this event have these fields. */
  logged(
    event: string,
    fields?: Readonly<Record<string, unknown>>,
    count?: number,
  ): Promise<readonly LogLine[]>;
  /** Texts the pending pairing code from `phone` and waits for the confirmation. */
  pair(phone?: string, channel?: string): Promise<void>;
  /** The stored message of a carrier's sid, as the API shows it with its events. */
  message(sid: string): Promise<ApiMessage>;
  /** Stops the service and starts it again on the same data. */
  restart(changes?: Partial<ServiceOptions>): Promise<Service>;
  /** Stops the service and keeps its data. */
  stop(): Promise<void>;
  /** Stops the service, and what it was restarted as, and removes the data. */
  close(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: the API's answers are asserted field by field
type Json = any;
export type ApiAnswer = { readonly status: number; readonly body: Json; readonly headers: Headers };
export type ApiMessage = Json;

export type FormParameters = Readonly<Record<string, string | readonly string[]>>;

export interface WebhookOptions {
  readonly channel?: string;
  readonly status?: boolean;
  readonly query?: string;
  /** Signed instead of the true URL. */
  readonly signedUrl?: string;
  /** Null: none at all. */
  readonly signature?: string | null;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ServiceOptions {
  /** Merged over a config with one simulated channel `sms` and the echo agent. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The text of sms.yaml itself, instead of `config`. */
  readonly yaml?: string;
  /** Files beside sms.yaml, by relative path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly seams?: Partial<Seams>;
  /** Put into the seams; `received`, `pair` and `eventually` then let its time pass. */
  readonly clock?: ManualClock;
  /** A carrier of its own, for channels with `provider: twilio`. It outlives the service. */
  readonly carrier?: { readonly control: SimulatorControl };
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
  readonly simulatorSeed?: string;
  /** Told where the public listener is, before the channels connect. */
  readonly onListening?: (publicUrl: string) => void;
  /** False: do not wait until every channel has left `connecting`. */
  readonly awaitChannels?: boolean;
}

/** The simulated channel of a test: texts answered at once. */
export const SMS = { provider: "simulator", from_number: NUMBER, agent: "parrot", debounce: "0s" } as const;

/** The config of a test: one simulated channel. */
export function testConfig(overrides: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    server: { listen: "127.0.0.1:0" },
    admin: { listen: "127.0.0.1:0" },
    data_dir: "./data",
    channels: { sms: SMS },
    agents: { parrot: { type: "echo" } },
    ...overrides,
  };
}

export async function startService(options: ServiceOptions = {}): Promise<Service> {
  if (options.folder !== undefined) return startIn(options.folder, options);
  const folder = mkdtempSync(join(tmpdir(), "sms-agent-test-"));
  try {
    return await startIn(folder, options);
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(folder: string, options: ServiceOptions): Promise<Service> {
  for (const [name, text] of Object.entries(options.files ?? {})) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  const path = join(folder, "sms.yaml");
  writeFileSync(path, options.yaml ?? JSON.stringify(testConfig(options.config)));
  const simulatorSeed = options.simulatorSeed ?? "seed of the tests";
  const configFile = openConfigFile({ path, env: options.env ?? {}, simulatorSeed });
  const read = configFile.read();
  if (read.kind === "invalid") throw new Error(read.problems.join("\n"));
  const { settings } = read;

  const logs: LogLine[] = [];
  const watchers = new Set<() => void>();
  const look = () => {
    for (const watcher of watchers) watcher();
  };
  const take =
    (level: string) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      logs.push({ level, event, fields });
      if (event === "listening" && typeof fields.public === "string") options.onListening?.(fields.public);
      look();
    };
  const log: Log = { debug: take("debug"), info: take("info"), warn: take("warn"), error: take("error") };
  const real = systemSeams({ level: "error", format: "json" }, { PATH: "/usr/bin:/bin" }, "0.0.0-test");
  const { clock } = options;
  const app = await openApp(settings, {
    ...real,
    log,
    configFile,
    ...(clock === undefined ? {} : { clock, syncFile: syncAtOnce }),
    ...options.seams,
  });
  const { publicUrl, adminUrl } = await app.listen();
  const phones = options.carrier?.control ?? app.simulator();

  /** Lets the manual clock move on, a few times faster than the wall clock, until `work` is over. */
  async function passing<T>(work: Promise<T>): Promise<T> {
    if (clock === undefined) return work;
    let over = false;
    const end = () => {
      over = true;
    };
    work.then(end, end);
    for (let step = 0; !over; step++) {
      await clock.advance(step < 200 ? 5 : 50);
      await new Promise((resolve) => setTimeout(resolve, 1));
      look();
    }
    return work;
  }

  let stopped: Promise<void> | undefined;
  let restarted: Service | undefined;
  const service: Service = {
    app,
    settings,
    publicUrl,
    adminUrl,
    token: app.adminToken,
    folder,
    logs,
    get simulator() {
      if (phones === undefined) throw new Error("no channel of this test is simulated");
      return phones;
    },
    async api(method, route, body, headers = {}) {
      const response = await fetch(`${adminUrl}/api/v1${route}`, {
        method,
        headers: {
          authorization: `Bearer ${app.adminToken}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(PATIENCE),
      });
      const text = await response.text();
      return {
        status: response.status,
        body: text === "" ? undefined : JSON.parse(text),
        headers: response.headers,
      };
    },
    webhook(parameters, request = {}) {
      const { channel = "sms", query = "", headers = {} } = request;
      const account = settings.channels[channel]?.account ?? settings.channels.sms?.account;
      const path = `/webhooks/twilio/${channel}${request.status ? "/status" : ""}${query === "" ? "" : `?${query}`}`;
      const url = request.signedUrl ?? `${publicUrl}${path}`;
      const signature =
        request.signature === undefined
          ? signatureOf(request.token ?? account?.authToken ?? "", url, parameters)
          : request.signature;
      return fetch(`${publicUrl}${path}`, {
        method: "POST",
        headers: {
          "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
          ...(signature === null ? {} : { "x-twilio-signature": signature }),
          ...headers,
        },
        body: formOf(parameters),
        signal: AbortSignal.timeout(PATIENCE),
      });
    },
    async text(from, body, to = NUMBER) {
      return (await service.simulator.inbound({ from, to, body })).sid;
    },
    async admitted(from, body, to) {
      const sid = await service.text(from, body, to);
      await service.logged("inbound.admitted", { sid });
      return sid;
    },
    async received(phone, count) {
      let got: readonly PhoneMessage[] = [];
      await service.eventually(async () => {
        got = await service.inbox(phone);
        return got.length >= count;
      }, `${phone} to get ${count} texts`);
      return got;
    },
    async inbox(phone) {
      return (await service.simulator.messages(phone)).filter(
        (message) => message.direction === "outbound" && message.arrivedAt !== undefined,
      );
    },
    until(check, what) {
      return new Promise((resolve, reject) => {
        let done = false;
        let looking = false;
        let again = false;
        const end = (error?: unknown) => {
          if (done) return;
          done = true;
          clearTimeout(timer);
          clearInterval(ticker);
          watchers.delete(watch);
          unsubscribe();
          if (error === undefined) resolve();
          else reject(error);
        };
        const watch = () => {
          if (done) return;
          if (looking) {
            again = true;
            return;
          }
          looking = true;
          Promise.resolve()
            .then(check)
            .then((holds) => {
              looking = false;
              if (holds) end();
              else if (again) {
                again = false;
                watch();
              }
            }, end);
        };
        const timer = setTimeout(
          () =>
            end(
              new Error(`waited ${PATIENCE} ms in vain for ${what}; log: ${JSON.stringify(logs.slice(-15))}`),
            ),
          PATIENCE,
        );
        // What changes without a word is seen a little later.
        const ticker = setInterval(watch, 50);
        watchers.add(watch);
        const unsubscribe = phones?.subscribe(watch) ?? (() => {});
        watch();
      });
    },
    eventually: (check, what) => passing(service.until(check, what)),
    async logged(event, fields = {}, count = 1) {
      const found = () =>
        logs.filter(
          (line) =>
            line.event === event &&
            Object.entries(fields).every(([name, value]) => line.fields[name] === value),
        );
      await service.until(
        () => found().length >= count,
        `${count} log lines ${event} with ${JSON.stringify(fields)}`,
      );
      return found();
    },
    async pair(phone = PHONE, channel = "sms") {
      const shown = await service.api("GET", `/channels/${channel}`);
      const code =
        shown.body.pairing?.code ?? (await service.api("POST", `/channels/${channel}/pairing`)).body.code;
      const before = (await service.inbox(phone)).length;
      await service.text(phone, code, shown.body.number);
      await service.received(phone, before + 1);
    },
    async message(sid) {
      const { body } = await service.api("GET", "/messages?limit=200");
      const found = body.items.find((item: Json) => item.provider_sid === sid);
      if (found === undefined) throw new Error(`no message ${sid} is kept`);
      return (await service.api("GET", `/messages/${found.id}`)).body;
    },
    async restart(changes = {}) {
      await service.stop();
      restarted = await startService({ ...options, ...changes, folder });
      return restarted;
    },
    stop() {
      stopped ??= passing(app.close(GRACE));
      return stopped;
    },
    async close() {
      await service.stop();
      await restarted?.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const connecting = async () =>
    (await app.operator.channels()).some((channel) => channel.state.status === "connecting");
  if (options.awaitChannels !== false) await service.until(async () => !(await connecting()), "the channels");
  return service;
}

/** `X-Twilio-Signature` after Twilio's documentation, written down anew so that it can differ from the product's. */
export function signatureOf(token: string, url: string, parameters: FormParameters): string {
  let text = url;
  for (const name of Object.keys(parameters).sort()) {
    const value = parameters[name] ?? "";
    const values = typeof value === "string" ? [value] : [...new Set(value)].sort();
    for (const one of values) text += name + one;
  }
  return createHmac("sha1", token).update(text, "utf8").digest("base64");
}

/** As Twilio encodes a form: a space is `+`, a plus `%2B`. */
export function formOf(parameters: FormParameters): string {
  const form = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    for (const one of typeof value === "string" ? [value] : value) form.append(name, one);
  return form.toString();
}

let sids = 0;

/** A message sid nobody has used yet. */
export function newSid(): string {
  sids += 1;
  return `SM${sids.toString(16).padStart(32, "0")}`;
}

/** The parameters of an inbound text as Twilio sends them. */
export function inboundParameters(
  service: Service,
  changes: Readonly<Record<string, string>> = {},
  channel = "sms",
): Readonly<Record<string, string>> {
  const settings = service.settings.channels[channel];
  if (settings === undefined) throw new Error(`no channel ${channel}`);
  const sid = changes.MessageSid ?? newSid();
  return {
    ToCountry: "US",
    ToState: "",
    SmsMessageSid: sid,
    NumMedia: "0",
    ToCity: "",
    FromZip: "",
    SmsSid: sid,
    FromState: "CA",
    SmsStatus: "received",
    FromCity: "SAN FRANCISCO",
    Body: "Hello",
    FromCountry: "US",
    To: settings.sender.kind === "number" ? settings.sender.number : NUMBER,
    ToZip: "",
    NumSegments: "1",
    MessageSid: sid,
    AccountSid: settings.account.accountSid,
    From: PHONE,
    ApiVersion: "2010-04-01",
    ...changes,
  };
}
