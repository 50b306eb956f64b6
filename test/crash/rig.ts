import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../support/free-port.ts";
import { type Carrier, startCarrier } from "./carrier.ts";
import type { Dice } from "./dice.ts";
import { type FarEnds, openFarEnds } from "./far-ends.ts";
import { type DoorAnswer, type FrontDoor, openFrontDoor } from "./front-door.ts";
import { type Logged, startLogged } from "./processes.ts";

/** A channel of the service under test. */
export interface RigChannel {
  readonly name: string;
  readonly number: string;
  readonly mode: "message" | "signal";
  readonly inbound: "webhook" | "poll";
  readonly agent: "echo" | "hook" | "assistant";
  readonly debounce: string;
}

/** The service as the compiled binary, and everything around it: carrier, agent, consumer, and what they saw. */
export interface Rig {
  readonly folder: string;
  readonly dataDir: string;
  readonly database: string;
  readonly program: string;
  readonly channels: readonly RigChannel[];
  readonly carrier: Carrier;
  readonly farEnds: FarEnds;
  /** Whether the service tells a webhook consumer of its texts. */
  readonly consumed: boolean;
  readonly frontDoor: FrontDoor;
  /** First 200 for the webhook of a text, by sid. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** How often the service answered a text's webhook with each status; 0 for none. */
  readonly answers: ReadonlyMap<number, number>;
  start(): Logged;
  /** Resolves once the service answers; rejects when it ends before or takes longer than `patience` ms. */
  ready(service: Logged, patience?: number): Promise<void>;
  /** Ends it as an init system does; answers the exit code. */
  stop(service: Logged): Promise<number | string>;
  /** Calls the admin API; rejects unless it answers 2xx. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<unknown>;
  /** Runs a verb of the binary against the service; answers the exit code. */
  cli(...args: readonly string[]): Logged;
  /** Writes sms.yaml as an editor would, with another `idle_timeout`. */
  edit(minutes: number): void;
  close(): Promise<void>;
}

const ACCOUNT = "AC00000000000000000000000000000001";
const TOKEN = "the-admin-token-of-the-crash-tests";

export interface RigOptions {
  readonly program: string;
  /** An empty folder for everything. */
  readonly folder: string;
  readonly channels: readonly RigChannel[];
  readonly dice: Dice;
  /** The share of calls of agent and consumer that are answered late, wrongly or not at all. */
  readonly moody: number;
  /** The share of acknowledgements that the carrier never sees. */
  readonly lose: () => number;
  /** A folder for the data; in `folder` when absent. */
  readonly dataDir?: string;
  readonly logLevel?: "info" | "warn";
  /** Whether a consumer of webhooks is told of the texts. Default: true. */
  readonly consumer?: boolean;
  readonly answered?: (answer: DoorAnswer) => void;
  /** What runs the service instead of the binary's `serve`; given the path of sms.yaml. */
  readonly serve?: readonly string[];
}

export async function openRig(options: RigOptions): Promise<Rig> {
  const { program, folder, channels, dice } = options;
  const dataDir = options.dataDir ?? join(folder, "data");
  mkdirSync(folder, { recursive: true });
  const [publicPort, adminPort] = [freePort(), freePort()];
  const carrier = await startCarrier(program, folder);
  const farEnds = openFarEnds(dice, options.moody);
  const acknowledged = new Map<string, number>();
  const answers = new Map<number, number>();
  const frontDoor = openFrontDoor({
    service: `http://127.0.0.1:${publicPort}`,
    dice,
    lose: options.lose,
    answered(answer) {
      answers.set(answer.status, (answers.get(answer.status) ?? 0) + 1);
      if (answer.status === 200 && !acknowledged.has(answer.sid)) acknowledged.set(answer.sid, Date.now());
      options.answered?.(answer);
    },
  });
  const config = join(folder, "sms.yaml");
  mkdirSync(join(folder, "policies"), { recursive: true });
  writeFileSync(
    join(folder, "policies", "reminders.cedar"),
    `@id("anyone-reminds")
permit (principal, action == Policy::Action::"invoke_tool", resource == Policy::Tool::"remind");
`,
  );
  writeFileSync(
    config,
    `server: { listen: "127.0.0.1:${publicPort}", public_url: "${frontDoor.url}" }
admin: { listen: "127.0.0.1:${adminPort}", token: ${TOKEN} }
data_dir: ${dataDir}
twilio:
  account_sid: ${ACCOUNT}
  auth_token: 0123456789abcdef0123456789abcdef
  api_url: ${carrier.url}
  messaging_url: ${carrier.url}
channels:
${channels.map(channelYaml).join("")}agents:
  echo: { type: echo }
  hook: { type: http, url: "${farEnds.agentUrl}" }
  assistant: { type: llm, provider: openai-compatible, base_url: "${farEnds.modelUrl}", model: scripted, tools: [remind] }
policies: ./policies
${options.consumer === false ? "" : `webhooks:\n  - { url: "${farEnds.consumerUrl}", secret: ${TOKEN}, events: [message.received] }\n`}limits: { sender_per_minute: 10000, segments_per_day: 10000000 }
retention: { messages: 90d, denied: 7d, codes: 1m }
log: { level: ${options.logLevel ?? "info"}, format: json }
`,
  );
  const api: Rig["api"] = async (method, path, body, headers = {}) => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${TOKEN}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  };
  const running = new Set<Logged>();
  const run = (logFile: string, command: readonly string[]) => {
    const started = startLogged(command, { cwd: folder, logFile: join(folder, logFile) });
    running.add(started);
    started.ended.then(() => running.delete(started));
    return started;
  };
  return {
    folder,
    dataDir,
    database: join(dataDir, "sms-agent.db"),
    program,
    channels,
    carrier,
    farEnds,
    consumed: options.consumer !== false,
    frontDoor,
    acknowledged,
    answers,
    api,
    start: () => run("service.log", [...(options.serve ?? [program, "serve", "--config"]), config]),
    async ready(service, patience = 30_000) {
      const end = Date.now() + patience;
      for (;;) {
        if (!service.running()) throw new Error(`the service ended: ${service.printed().slice(-2_000)}`);
        const answer = await fetch(`http://127.0.0.1:${publicPort}/healthz`, {
          signal: AbortSignal.timeout(2_000),
        }).catch(() => undefined);
        if (answer?.ok) return;
        if (Date.now() > end) throw new Error(`the service does not listen after ${patience} ms`);
        await Bun.sleep(20);
      }
    },
    async stop(service) {
      service.kill("SIGTERM");
      return service.ended;
    },
    cli: (...args) => run("verbs.log", [program, ...args, "--config", config]),
    edit(minutes) {
      const text = readFileSync(config, "utf8").replace(/idle_timeout: \d+m/g, `idle_timeout: ${minutes}m`);
      writeFileSync(`${config}.new`, text);
      renameSync(`${config}.new`, config);
    },
    async close() {
      const left = [...running];
      for (const process of left) process.kill("SIGKILL");
      await Promise.all(left.map((process) => process.ended));
      await carrier.close();
      await frontDoor.close();
      await farEnds.close();
    },
  };
}

function channelYaml(channel: RigChannel): string {
  const lines = [
    "provider: twilio",
    `from_number: "${channel.number}"`,
    `mode: ${channel.mode}`,
    `inbound: ${channel.inbound}`,
    "poll_interval: 1s",
    "idle_timeout: 30m",
    ...(channel.mode === "signal"
      ? []
      : [`agent: ${channel.agent}`, `debounce: ${channel.debounce}`, "allow_all_senders: true"]),
  ];
  return `  ${channel.name}:\n${lines.map((line) => `    ${line}\n`).join("")}`;
}
