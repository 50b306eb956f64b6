import { z } from "zod";
import { until } from "../support/binary.ts";
import { freePort } from "../support/free-port.ts";
import { type Logged, startLogged } from "./processes.ts";

/** A text as its phone and the carrier know it. */
export interface CarriedText {
  readonly sid: string;
  readonly text: string;
  readonly state: string;
  readonly arrived: boolean;
  /** When the carrier took it, epoch ms. */
  readonly at: number;
}

/** `sms-agent simulate` in a process of its own, with its phones. */
export interface Carrier {
  readonly url: string;
  readonly process: Logged;
  text(from: string, to: string, body: string): Promise<string>;
  /** What was sent to the phone, in the order in which the carrier took it. */
  sentTo(phone: string): Promise<readonly CarriedText[]>;
  fault(fault: Readonly<Record<string, unknown>>): Promise<void>;
  /** From now on nothing goes wrong any more. */
  clearFaults(): Promise<void>;
  close(): Promise<void>;
}

const Sid = z.object({ sid: z.string() });
const Texts = z.object({
  items: z.array(
    z.object({
      sid: z.string(),
      direction: z.enum(["inbound", "outbound"]),
      text: z.string(),
      state: z.string(),
      at: z.iso.datetime(),
      arrived_at: z.string().optional(),
    }),
  ),
});

export async function startCarrier(program: string, folder: string): Promise<Carrier> {
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const process = startLogged(
    [program, "simulate", "--listen", `127.0.0.1:${port}`, "--log-level", "error"],
    {
      cwd: folder,
      logFile: `${folder}/carrier.log`,
      // Bun's fetch sends 256 requests at a time: callbacks that wait for an answer would hold up the others.
      env: { BUN_CONFIG_MAX_HTTP_REQUESTS: "10000" },
    },
  );
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(`${url}/simulator${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      signal: AbortSignal.timeout(30_000),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  await until("the carrier to listen", async () => {
    if (!process.running()) throw new Error(`the carrier ended: ${process.printed()}`);
    return call("GET", "/faults").then(
      () => true,
      () => undefined,
    );
  });
  return {
    url,
    process,
    text: async (from, to, body) =>
      Sid.parse(await (await call("POST", "/inbound", { from, to, body })).json()).sid,
    async sentTo(phone) {
      const answer = await call("GET", `/phones/${encodeURIComponent(phone)}/messages`);
      const { items } = Texts.parse(await answer.json());
      return items
        .filter((item) => item.direction === "outbound")
        .map(({ sid, text, state, at, arrived_at }) => ({
          sid,
          text,
          state,
          arrived: arrived_at !== undefined,
          at: Date.parse(at),
        }));
    },
    async fault(fault) {
      await call("POST", "/faults", fault);
    },
    async clearFaults() {
      await call("DELETE", "/faults");
    },
    async close() {
      process.kill("SIGTERM");
      await process.ended;
    },
  };
}
