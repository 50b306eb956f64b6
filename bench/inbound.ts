/**
 * Inbound texts accepted per second: signature, policy, on disk (synced), answered. The compiled binary beside its
 * peers, all given the same signed requests over the same kept-alive connections by the same load, in turns:
 *
 * - `express` (peers/express.js): Express with Twilio's own middleware on Node, which stores nothing;
 * - `bare` (peers/bare.ts): a Bun server that verifies the signature and commits the same row in groups;
 * - `nothing` (peers/nothing.ts): answers without looking, which shows what the load itself can do.
 *
 *   bun run bench inbound [--texts N] [--rounds N] [--connections N] [--json [FILE]] [--dir PATH] [--binary FILE]
 *
 * The server that is measured has one core, the load the other. Each text is new to each server. What counts is the
 * median of the rounds after the first.
 */

import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { MIGRATIONS } from "../src/store/migrations.ts";
import { freePort } from "../test/support/free-port.ts";
import { openFakeCarrier } from "./carrier.ts";
import { drive } from "./connection.ts";
import {
  BUN,
  buildBinary,
  CAN_PIN,
  inFolder,
  pinLoad,
  type Server,
  start,
  startService,
} from "./processes.ts";
import { INBOUND_STAGES, readProfile, stageTable } from "./profile.ts";
import { count, hundredths, median, option, publish, spread, table } from "./report.ts";
import { AUTH_TOKEN, bodyOf, createSigner, freshSid, type Signer, senderOf } from "./webhooks.ts";

const EXPRESS = 2;
const BARE = 0.7;
const PEERS = resolve(import.meta.dir, "peers");
const PEOPLE = 1_000;
/** Rounds that do not count: the runtimes compile what runs often, and the more of it there is the longer that takes. */
const WARM_UP = 3;
/** Texts wait for their turn: what is measured is taking them in. */
const CHANNEL_OPTIONS = { debounce: "10m" };

interface Round {
  readonly perSecond: number;
  /** CPU of the server per text, µs. */
  readonly cpu: number;
  readonly latency: number;
}

let texts = 0;
function requestsOf(signer: Signer, howMany: number): readonly Uint8Array[] {
  return Array.from({ length: howMany }, () => {
    texts += 1;
    return signer.inbound(freshSid(), senderOf(texts % PEOPLE), bodyOf(texts));
  });
}

/** The table of messages with its indexes, as the service has it, and the one for the parameters. */
function schemaOfMessages(): string {
  const wanted = /^CREATE TABLE `(messages|raw_parameters)`|^CREATE (UNIQUE )?INDEX `\w+` ON `messages`/;
  return MIGRATIONS.flatMap(({ sql }) => sql.split("--> statement-breakpoint"))
    .map((statement) => statement.trim())
    .filter((statement) => wanted.test(statement))
    .map((statement) => statement.replace(/,?\s*FOREIGN KEY [^\n]*/g, ""))
    .join("\n--> statement-breakpoint\n");
}

async function run(args: readonly string[]): Promise<boolean> {
  const howMany = count(args, "--texts", 8_000);
  const rounds = count(args, "--rounds", 7);
  const connections = count(args, "--connections", 64);
  pinLoad();
  return inFolder(option(args, "--dir"), async (folder) => {
    const binary = option(args, "--binary") ?? (await buildBinary(folder));
    const carrier = openFakeCarrier();
    const servers = new Map<string, Server>();
    try {
      const service = await startService({
        program: [binary],
        folder: join(folder, "service"),
        apiUrl: carrier.url,
        channel: CHANNEL_OPTIONS,
      });
      servers.set("service", service);
      const { publicUrl } = service;
      const peer = async (name: string, command: (port: string) => readonly string[]) => {
        const port = freePort();
        servers.set(name, await start(command(String(port)), port, join(folder, `${name}.log`)));
      };
      const schema = join(folder, "messages.sql");
      writeFileSync(schema, schemaOfMessages());
      await peer("express", (port) => ["node", join(PEERS, "express.js"), port, AUTH_TOKEN, publicUrl]);
      await peer("bare", (port) => {
        const database = join(folder, "bare.db");
        return [BUN, join(PEERS, "bare.ts"), port, AUTH_TOKEN, publicUrl, database, schema];
      });
      await peer("nothing", (port) => [BUN, join(PEERS, "nothing.ts"), port]);
      const signer = createSigner(publicUrl);
      const measured = new Map<string, Round[]>([...servers.keys()].map((name) => [name, []]));
      let load = 0;
      for (let round = -WARM_UP; round < rounds; round++) {
        const requests = requestsOf(signer, howMany);
        for (const [name, server] of servers) {
          const [cpu, own] = [server.cpu(), process.cpuUsage()];
          const driven = await drive(server.port, connections, requests);
          const spent = process.cpuUsage(own);
          if (round < 0) continue;
          if (name === "service") load = (spent.user + spent.system) / howMany;
          measured.get(name)?.push({
            perSecond: driven.perSecond,
            cpu: ((server.cpu() - cpu) * 1000) / howMany,
            latency: spread(driven.latencies).p50,
          });
        }
      }
      for (const server of servers.values()) await server.stop();
      servers.clear();
      const stages = args.includes("--no-profile")
        ? undefined
        : await readProfile(join(folder, "profile"), INBOUND_STAGES, howMany * 2, async (program) => {
            const profiled = await startService({
              program,
              folder: join(folder, "profiled"),
              apiUrl: carrier.url,
              channel: CHANNEL_OPTIONS,
            });
            const requests = requestsOf(createSigner(profiled.publicUrl), howMany * 2);
            await drive(profiled.port, connections, requests);
            await profiled.stop();
          });
      const of = (name: string) => {
        const all = measured.get(name) ?? [];
        return {
          perSecond: Math.round(median(all.map(({ perSecond }) => perSecond))),
          cpu: Math.round(median(all.map(({ cpu }) => cpu))),
          latency: hundredths(median(all.map(({ latency }) => latency))),
          rounds: all.map(({ perSecond }) => Math.round(perSecond)),
        };
      };
      const results = Object.fromEntries([...measured.keys()].map((name) => [name, of(name)]));
      // Of one round: the machine is faster in some rounds than in others, and then for all of them.
      const ratio = (peer: string) => {
        const theirs = measured.get(peer) ?? [];
        const own = measured.get("service") ?? [];
        return hundredths(
          median(own.map(({ perSecond }, round) => perSecond / (theirs[round]?.perSecond ?? 0))),
        );
      };
      return publish(args, {
        bench: "inbound",
        figures: [
          {
            what: "inbound accepted per second, against Express with Twilio's middleware, which stores nothing",
            target: `at least ${EXPRESS} times`,
            reached: `${ratio("express")} (${results.service?.perSecond} to ${results.express?.perSecond})`,
            met: ratio("express") >= EXPRESS,
          },
          {
            what: "inbound accepted per second, against a bare Bun server that commits the same row",
            target: `at least ${BARE} times`,
            reached: `${ratio("bare")} (${results.service?.perSecond} to ${results.bare?.perSecond})`,
            met: ratio("bare") >= BARE,
          },
        ],
        details: {
          texts: howMany,
          connections,
          pinned: CAN_PIN,
          results,
          loadMicroseconds: Math.round(load),
          stages,
        },
        text: [
          `Inbound texts accepted, ${connections} connections, median of ${rounds} rounds of ${howMany}${CAN_PIN ? "; servers on one core, the load on the other" : ""}`,
          table(
            ["", "per second", "µs of CPU", "p50 ms", "service is"],
            [...measured.keys()].map((name) => {
              const { perSecond, cpu, latency } = of(name);
              return [
                name,
                String(perSecond),
                String(cpu),
                latency.toFixed(2),
                `${ratio(name).toFixed(2)} x`,
              ];
            }),
          ),
          ...(stages === undefined ? [] : ["", stageTable("of the service's thread, per text", stages)]),
          "",
        ].join("\n"),
      });
    } finally {
      for (const server of servers.values()) await server.stop();
      await carrier.close();
    }
  });
}

if (import.meta.main) process.exit((await run(process.argv.slice(2))) ? 0 : 1);
