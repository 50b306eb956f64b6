import { connect, type Socket } from "node:net";
import type { Sandbox, Started } from "../support/binary.ts";
import { freePort } from "../support/free-port.ts";

export const ADMIN_TOKEN = "the-admin-token-of-the-tests";
export const NUMBER = "+15550100001";

/** What came back over one connection, byte for byte (latin1), and how it ended. */
export interface Spoken {
  readonly answer: string;
  /** False: it was still open when we had waited long enough, and hung up ourselves. */
  readonly cutOff: boolean;
  /** From connecting to its end, ms. */
  readonly ms: number;
}

/** A piece of what is sent: bytes, or a pause in ms. */
export type Piece = string | Uint8Array | number;

/**
 * Says these pieces to a listener over a socket, and listens until the listener hangs up, `enough` has been heard,
 * or `patience` ms are over.
 */
export function speak(
  url: string,
  pieces: readonly Piece[],
  options: { readonly patience?: number; readonly enough?: RegExp } = {},
): Promise<Spoken> {
  const { patience = 5_000, enough } = options;
  const { hostname, port } = new URL(url);
  const began = performance.now();
  return new Promise((resolve) => {
    let answer = "";
    let cutOff = true;
    const socket = connect(Number(port), hostname, () => void say(socket, pieces));
    const hangUp = () => {
      cutOff = false;
      socket.destroy();
    };
    const timer = setTimeout(hangUp, patience);
    socket.on("data", (data) => {
      answer += data.toString("latin1");
      if (enough?.test(answer)) hangUp();
    });
    // Being reset is one of the ways to be cut off.
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      resolve({ answer, cutOff, ms: performance.now() - began });
    });
  });
}

async function say(socket: Socket, pieces: readonly Piece[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return;
    if (typeof piece === "number") await new Promise((resolve) => setTimeout(resolve, piece));
    else socket.write(piece);
  }
}

/** The status of an answer, 0 for none. */
export function statusOf({ answer }: Pick<Spoken, "answer">): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
}

/** The header lines of a request, `Host` among them. */
export function head(url: string, line: string, ...headers: readonly string[]): string {
  return [`${line} HTTP/1.1`, `Host: ${new URL(url).host}`, ...headers, "", ""].join("\r\n");
}

/** The compiled binary with one simulated channel that answers everybody. */
export interface Victim {
  readonly process: Started;
  readonly publicUrl: string;
  readonly adminUrl: string;
}

export async function startVictim(sandbox: Sandbox, under: readonly string[] = []): Promise<Victim> {
  const [publicPort, adminPort] = [freePort(), freePort()];
  sandbox.write(
    "sms.yaml",
    `server: { listen: "127.0.0.1:${publicPort}" }
admin: { listen: "127.0.0.1:${adminPort}", token: ${ADMIN_TOKEN} }
data_dir: ./data
channels:
  sms: { provider: simulator, from_number: "${NUMBER}", agent: parrot, debounce: 0s, allow_all_senders: true }
agents:
  parrot: { type: echo }
`,
  );
  const process = sandbox.start(["serve", "--config", "sms.yaml"], { under });
  await process.shown(/"event":"listening"/, "stderr");
  return {
    process,
    publicUrl: `http://127.0.0.1:${publicPort}`,
    adminUrl: `http://127.0.0.1:${adminPort}`,
  };
}

/** True when the service answers on both listeners, within `patience` ms. */
export async function answers({ publicUrl, adminUrl }: Victim, patience = 2_000): Promise<boolean> {
  const ask = async (url: string) => {
    try {
      return (await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(patience), keepalive: false })).ok;
    } catch {
      return false;
    }
  };
  return (await Promise.all([ask(publicUrl), ask(adminUrl)])).every((well) => well);
}
