import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "../test/support/free-port.ts";
import { ACCOUNT, AUTH_TOKEN, CHANNEL, NUMBER } from "./webhooks.ts";

/** Nothing here takes longer than this to start or to end, ms. */
const PATIENCE = 60_000;
const ROOT = resolve(import.meta.dir, "..");
/** Bun itself, by its own path: what is started need not be in PATH. */
export const BUN = process.execPath;

const taskset = Bun.which("taskset");
/** True where servers and load can each have a core of their own. */
export const CAN_PIN = taskset !== null && availableParallelism() >= 2;
/** The core of what is measured, and that of all the rest. */
export const SERVER_CORE = 0;
const LOAD_CORE = 1;

/** Puts this process (the load) on its own core. */
export function pinLoad(): void {
  if (CAN_PIN && taskset !== null)
    Bun.spawnSync([taskset, "-a", "-c", "-p", String(LOAD_CORE), String(process.pid)]);
}

/** The command, on the core of what is measured. */
function pinned(command: readonly string[]): string[] {
  return CAN_PIN && taskset !== null ? [taskset, "-c", String(SERVER_CORE), ...command] : [...command];
}

/** A server in a process of its own. */
export interface Server {
  readonly pid: number;
  readonly port: number;
  /** CPU time it has taken so far, in the program and in the kernel, ms. */
  cpu(): number;
  /** Resident memory, MB (2²⁰ bytes), from `VmRSS` of /proc. */
  memory(): number;
  stop(): Promise<void>;
}

const TICK = 10; // ms; USER_HZ is 100 on every Linux

export async function start(
  command: readonly string[],
  port: number,
  log: string,
  options: { readonly pin?: boolean; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Server> {
  const output = openSync(log, "a");
  const child = Bun.spawn(options.pin === false ? [...command] : pinned(command), {
    stdio: ["ignore", output, output],
    cwd: ROOT,
    env: { ...process.env, ...options.env },
  });
  closeSync(output);
  const stop = async () => {
    child.kill("SIGTERM");
    const kill = setTimeout(() => child.kill("SIGKILL"), PATIENCE);
    await child.exited;
    clearTimeout(kill);
  };
  try {
    await listening(port, () => child.exitCode === null);
  } catch {
    await stop();
    throw new Error(`${command.join(" ")} did not start:\n${readFileSync(log, "utf8").slice(-2000)}`);
  }
  return {
    pid: child.pid,
    port,
    cpu() {
      const [, fields = ""] = readFileSync(`/proc/${child.pid}/stat`, "latin1").split(") ");
      const [user = 0, system = 0] = fields.split(" ").slice(11, 13).map(Number);
      return (user + system) * TICK;
    },
    memory: () => residentOf(child.pid),
    stop,
  };
}

function residentOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024;
}

/** Resolves as soon as `port` takes connections; how finely it looks is how exact a time of starting is. */
export async function listening(port: number, alive: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (alive() && performance.now() < end) {
    try {
      const socket = await Bun.connect({ hostname: "127.0.0.1", port, socket: { data() {} } });
      socket.end();
      return;
    } catch {
      await Bun.sleep(1);
    }
  }
  throw new Error(`nothing listens on ${port}`);
}

/** `tmpfs` and `ramfs`, which sync nothing. */
const MEMORY_DISKS = [0x01021994, 0x858458f6];

/** Calls `work` with a new folder on a disk that syncs, and removes it. `under`: where it lies. */
export async function inFolder<T>(
  under: string | undefined,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(under ?? tmpdir(), "sms-agent-bench-"));
  try {
    if (MEMORY_DISKS.includes(statfsSync(folder).type))
      throw new Error(`${folder} is in memory, where a sync costs nothing; name a disk with --dir`);
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Builds the binary into `folder`; answers its path. */
export async function buildBinary(folder: string): Promise<string> {
  const outfile = join(folder, "sms-agent");
  const build = Bun.spawn([BUN, join(ROOT, "deploy", "build.ts"), "--outfile", outfile], {
    stdio: ["ignore", "ignore", "inherit"],
    cwd: ROOT,
  });
  if ((await build.exited) !== 0) throw new Error("the build failed");
  return outfile;
}

export const ADMIN_TOKEN = "the-admin-token-of-the-bench";

export interface ServiceOptions {
  /** The binary; or the program from source with `bun` and these arguments before it. */
  readonly program: readonly string[];
  readonly folder: string;
  /** Where the carrier's API answers. */
  readonly apiUrl: string;
  /** Any free one where it is not given. */
  readonly port?: number;
  /** What is signed; its own listener where it is not given. */
  readonly publicUrl?: string;
  readonly channel?: object;
  readonly agents?: object;
  readonly limits?: object;
  readonly pin?: boolean;
}

export interface Service extends Server {
  readonly publicUrl: string;
  readonly adminPort: number;
  api(path: string): Promise<unknown>;
}

/** The service as a user runs it: one channel, its log into a file. Started once it listens. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { folder, apiUrl } = options;
  const [port, adminPort] = [options.port ?? freePort(), freePort()];
  const publicUrl = options.publicUrl ?? `http://127.0.0.1:${port}`;
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "sms.yaml");
  writeFileSync(
    config,
    JSON.stringify({
      server: { listen: `127.0.0.1:${port}`, public_url: publicUrl },
      admin: { listen: `127.0.0.1:${adminPort}`, token: ADMIN_TOKEN },
      data_dir: "./data",
      twilio: { account_sid: ACCOUNT, auth_token: AUTH_TOKEN, api_url: apiUrl, messaging_url: apiUrl },
      channels: {
        [CHANNEL]: {
          provider: "twilio",
          from_number: NUMBER,
          agent: "parrot",
          allow_all_senders: true,
          register_webhook: false,
          ...options.channel,
        },
      },
      agents: options.agents ?? { parrot: { type: "echo" } },
      limits: { sender_per_minute: 10_000, segments_per_day: 10_000_000, ...options.limits },
    }),
  );
  const command = [...options.program, "serve", "--config", config];
  const server = await start(
    command,
    port,
    join(folder, "log"),
    options.pin === undefined ? {} : { pin: options.pin },
  );
  // It opens after the public one.
  await listening(adminPort, () => true);
  return {
    ...server,
    publicUrl,
    adminPort,
    async api(path) {
      const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1${path}`, {
        headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
      });
      if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
      return await response.json();
    },
  };
}
