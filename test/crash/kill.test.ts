import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import {
  field,
  freePorts,
  list,
  type ServiceProcess,
  startCarrier,
  startService,
  twilioConfig,
} from "../binary/running.ts";
import { openSandbox, until } from "../support/binary.ts";
import { type Accounts, balance, textOf } from "./accounts.ts";

/** How often the service is killed; more for a soak: `SMS_AGENT_KILLS=200 bun test test/crash`. */
const KILLS = Number(process.env.SMS_AGENT_KILLS ?? 6);
/** Enough of them that most are not held up by a send that a kill has cut. */
const PHONES = Array.from(
  { length: 20 + 10 * KILLS },
  (_, i) => `+1555${i % 2 === 0 ? "200" : "300"}${String(i).padStart(4, "0")}`,
);
/** Texts at a time, and the pause between, ms: some 150 a second. */
const BURST = 4;
const PAUSE = 25;
/** A service lives this long before it is killed, counted from its start, ms. */
const LIFE = { least: 50, most: 1_500 };
const PATIENCE = 40_000;

test(
  "a service that is killed at random moments under load answers every text, and none twice",
  async () => {
    const sandbox = await openSandbox();
    try {
      const carrier = await startCarrier(sandbox);
      const ports = freePorts();
      const limits = "limits: { sender_per_minute: 10000, segments_per_day: 1000000 }";
      sandbox.write(
        "sms.yaml",
        twilioConfig(carrier, ports, { channel: "allow_all_senders: true", top: limits }),
      );
      const first = await startService(sandbox, ports);
      await first.status("connected");
      await first.stop();
      // To every second phone the carrier answers late, so that kills hit sends that are under way.
      await carrier.fault({ on: "send", kind: "slow", delay: "60ms", match: { to: "+1555200*" } });

      const sent = new Map<string, number[]>(PHONES.map((phone) => [phone, []]));
      let number = 0;
      let flowing = true;
      const flow = (async () => {
        while (flowing) {
          await Promise.all(
            Array.from({ length: BURST }, async () => {
              const mine = number++;
              const phone = PHONES[Math.floor(Math.random() * PHONES.length)] ?? "";
              await carrier.text(phone, textOf(mine));
              sent.get(phone)?.push(mine);
            }),
          );
          await pause(PAUSE);
        }
      })();

      let early = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        const service = sandbox.start(["serve"]);
        await pause(LIFE.least + Math.random() * (LIFE.most - LIFE.least));
        service.kill("SIGKILL");
        const { signal, stderr } = await service.ended;
        expect([signal, stderr.includes('"level":"error"') ? stderr : ""]).toEqual(["SIGKILL", ""]);
        if (!stderr.includes('"event":"listening"')) early += 1;
      }
      flowing = false;
      await flow;

      const service = await startService(sandbox, ports);
      await service.status("connected");
      let accounts: Accounts | undefined;
      await until(
        "every text to be accounted for",
        async () => {
          const received = await Promise.all(
            PHONES.map(async (phone) => {
              const texts = (await carrier.texts(phone)).filter((text) => text.arrived_at !== undefined);
              return [phone, texts.map((text) => text.text)] as const;
            }),
          );
          accounts = balance({ sent, received: new Map(received), outbound: await outboundOf(service) });
          return accounts.missing.length === 0 || undefined;
        },
        PATIENCE,
      ).catch(() => {});
      const states = Map.groupBy(await outboundOf(service), ({ state }) => state);
      const { code } = await service.stop();
      const shown = { ...accounts, missing: accounts?.missing.length, doubled: accounts?.doubled.length };
      console.log(
        `${KILLS} kills, ${early} of them before listening:`,
        JSON.stringify(shown),
        JSON.stringify(Object.fromEntries([...states].map(([state, all]) => [state, all.length]))),
      );

      expect(accounts?.missing).toEqual([]);
      expect(accounts?.doubled).toEqual([]);
      expect(accounts?.astray).toEqual([]);
      expect(accounts?.sent).toBe(number);
      // The load was one: most texts were answered, most services had begun to work.
      expect(accounts?.answered).toBeGreaterThan(number / 2);
      expect(code).toBe(0);
      const database = new Database(join(sandbox.folder, "data", "sms-agent.db"), { readonly: true });
      expect(database.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
      database.close();
    } finally {
      await sandbox.close();
    }
  },
  60_000 + KILLS * 4_000,
);

/** The length of a life and the pace of the load; nothing is waited for by it. */
function pause(delay: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delay));
}

async function outboundOf(
  service: ServiceProcess,
): Promise<readonly { readonly to: string; readonly state: string; readonly text: string }[]> {
  const all: { to: string; state: string; text: string }[] = [];
  let cursor = "";
  do {
    const next: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await service.api("GET", `/messages?direction=outbound&limit=200${next}`);
    for (const item of list(page))
      all.push({ to: field(item, "to"), state: field(item, "state"), text: field(item, "text") });
    cursor = field(page, "next_cursor");
  } while (cursor !== "");
  return all;
}
