/**
 * The composition root: every technology is wired to the domain here and nowhere else. It names everything
 * once and decides nothing, which is why it may be long.
 */
import { addon } from "./addon.ts";
import { createAdmission, isHeld } from "./admission.ts";
import type { Agent } from "./agent.ts";
import { createAgent } from "./agents/create.ts";
import type { Carrier } from "./carrier.ts";
import { followList } from "./catchup.ts";
import { createChannels } from "./channels.ts";
import type { Clock } from "./clock.ts";
import { sessionKey } from "./conversation.ts";
import { AppError } from "./errors.ts";
import { createAdminApp } from "./http/admin.ts";
import { type Listener, listen } from "./http/listen.ts";
import { BODY_CAP, createPublicApp } from "./http/public.ts";
import { createIds, type RandomBytes } from "./ids.ts";
import { openLog } from "./log/logtape.ts";
import type { Log } from "./log.ts";
import { createOperator, type Operator } from "./operator.ts";
import { createOutbox } from "./outbox.ts";
import { compilePattern } from "./patterns/re2.ts";
import { countryOf } from "./phone/country.ts";
import { prepareCedar } from "./policy/cedar.ts";
import { loadPolicyFolder } from "./policy/folder.ts";
import { policySettings } from "./policy/settings.ts";
import { formatPolicyProblems, type PolicyEngine } from "./policy.ts";
import type { ChannelSettings, ListenAddress, Settings } from "./settings.ts";
import { createSignals } from "./signals.ts";
import type { SimulatorControl } from "./simulated.ts";
import { createSimulator, type SimulatorOptions } from "./simulator/simulator.ts";
import { openStore } from "./store/open.ts";
import { systemClock } from "./system/clock.ts";
import { adminToken, makeDataDir, systemRandom, tokenMatcher } from "./system/files.ts";
import { createTextTools } from "./text/tools.ts";
import { createTurns } from "./turns.ts";
import { createTwilioCarrier } from "./twilio/carrier.ts";
import { explainCode } from "./twilio/errors.ts";
import { createWebhookReader } from "./twilio/reader.ts";
import { startWorker } from "./worker.ts";

/** What the world gives the service; tests give their own. */
export interface Seams {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly log: Log;
  /** The environment command agents inherit. */
  readonly env: {
    readonly PATH?: string | undefined;
    readonly HOME?: string | undefined;
    readonly LANG?: string | undefined;
  };
  readonly version: string;
}

/** A running service. */
export interface App {
  readonly operator: Operator;
  /** The simulated phones, once the service listens, where a channel is simulated. */
  readonly simulator: () => SimulatorControl | undefined;
  readonly adminToken: string;
  /** Opens both listeners and connects the channels. Answers where they are. */
  listen(): Promise<{ readonly publicUrl: string; readonly adminUrl: string }>;
  /** Resolves once no turn and no send is running or due. */
  idle(): Promise<void>;
  /** Stops taking requests, finishes what is in flight within `grace` ms, closes the database. */
  close(grace: number): Promise<void>;
}

/** The real world: the machine's clock, randomness, network and environment; logs go to standard error. */
export function systemSeams(
  options: Settings["log"],
  env: Seams["env"],
  version: string,
): Seams & { readonly log: Log & { flush(): void } } {
  const format = options.format === "auto" ? (process.stderr.isTTY ? "pretty" : "json") : options.format;
  const log = openLog({ level: options.level, format, write: (lines) => void process.stderr.write(lines) });
  return { fetch, clock: systemClock, random: systemRandom, log, env, version };
}

/** Media uploads are the largest thing the simulator takes, bytes. */
const SIMULATOR_BODY = 64 * 1024 * 1024;
const TURN_CONCURRENCY = 64;
const SEND_CONCURRENCY = 64;
/** Idle conversations are ended, and what has expired is swept away, this often, ms. */
const HOUSEKEEPING = 30_000;

/** Policies as `settings` and the policy folder say. Throws AppError `invalid` with every problem formatted. */
export function policiesOf(settings: Settings): PolicyEngine {
  const loaded = loadPolicyFolder({ folder: settings.policiesDir, settings: policySettings(settings) });
  if (loaded.kind === "ok") return loaded.engine;
  throw new AppError("invalid", formatPolicyProblems(loaded.problems), {
    fix: "Correct the policies; nothing was started.",
  });
}

export type SimulatorSeeds = Pick<
  SimulatorOptions,
  "accounts" | "numbers" | "services" | "maxMessages" | "fetchMedia"
>;

/** The simulated carrier by itself. Without accounts every account is made on first use. */
export function openSimulator(
  address: ListenAddress,
  seeds: SimulatorSeeds,
  seams: Pick<Seams, "fetch" | "clock" | "random" | "log">,
): { readonly url: string; readonly control: SimulatorControl; close(): Promise<void> } {
  const simulator = createSimulator({ ...seams, ...seeds, origin: () => listener.url });
  const listener: Listener = listen({
    address,
    fetch: simulator.fetch,
    maxBody: SIMULATOR_BODY,
    // Beyond every client's time-out, since faults leave requests unanswered.
    idleTimeout: 60,
  });
  return {
    url: listener.url,
    control: simulator.control,
    async close() {
      simulator.close();
      await listener.close(0);
    },
  };
}

/** What the built-in carrier must know of our simulated channels. */
function seedsOf(
  channels: readonly ChannelSettings[],
  webhookUrl: (channel: string) => string | undefined,
  publicUrl: string | undefined,
): SimulatorSeeds {
  const seeds = channels.map(({ id, account, sender }) => {
    const own = { sid: account.accountSid, authToken: account.authToken };
    if (sender.kind === "service")
      return {
        account: own,
        service: { sid: sender.sid, account: own.sid, useInboundWebhookOnNumber: false },
      };
    // A WhatsApp sender's webhook cannot be set by the API, with Twilio as here.
    const smsUrl = sender.number.startsWith("whatsapp:") ? webhookUrl(id) : undefined;
    return {
      account: own,
      number: { number: sender.number, account: own.sid, ...(smsUrl === undefined ? {} : { smsUrl }) },
    };
  });
  return {
    accounts: seeds.map((seed) => seed.account),
    numbers: seeds.flatMap((seed) => seed.number ?? []),
    services: seeds.flatMap((seed) => seed.service ?? []),
    maxMessages: 10_000,
    fetchMedia: (url) => publicUrl !== undefined && url.startsWith(`${publicUrl}/`),
  };
}

/** The wanted ports of loopback where they are free, otherwise any free ones. */
export async function freePorts(wanted: readonly [number, number]): Promise<readonly [number, number]> {
  const open = (port: number) => {
    const address = { host: "127.0.0.1", port };
    const options = { address, fetch: () => new Response(), maxBody: 1, idleTimeout: 1 };
    try {
      return listen(options);
    } catch {
      return listen({ ...options, address: { ...address, port: 0 } });
    }
  };
  const [first, second] = [open(wanted[0]), open(wanted[1])];
  await Promise.all([first.close(0), second.close(0)]);
  return [first.port, second.port];
}

/** Opens database and policies, recovers unfinished work, and wires the service; nothing listens yet. */
export async function openApp(settings: Settings, seams: Seams): Promise<App> {
  const { clock, log, random } = seams;
  const newId = createIds(clock, random);
  const text = createTextTools();
  await prepareCedar();
  const policy = policiesOf(settings);
  makeDataDir(settings.dataDir);
  const token = adminToken(settings.dataDir, settings.admin.token);
  const store = await openStore({
    dataDir: settings.dataDir,
    ...(addon === undefined ? {} : { addon: { path: addon } }),
    senderOf: (channel) => {
      const sender = settings.channels[channel]?.sender;
      return sender?.kind === "number" ? sender.number : sender?.sid;
    },
    clock,
    log,
  });
  const recovered = await store.recover(clock.now());
  if (recovered.turns + recovered.sends > 0) log.info("recovered", recovered);

  const agents = new Map<string, Agent>(
    Object.values(settings.agents).map((agent) => [agent.id, createAgent(agent, seams)]),
  );
  const carriers = new Map<string, Carrier>();
  const simulated = Object.values(settings.channels).filter((channel) => channel.provider === "simulator");
  let publicListener: Listener | undefined;
  let adminListener: Listener | undefined;
  let simulator: ReturnType<typeof openSimulator> | undefined;
  let stopped = false;

  /** What the carrier calls: the configured URL; for the simulator and without one, the listener itself. */
  const publicUrlOf = (channel: string): string | undefined =>
    settings.channels[channel]?.provider === "simulator"
      ? publicListener?.url
      : (settings.server.publicUrl ?? publicListener?.url);
  const webhookUrl = (channel: string): string | undefined => {
    const base = publicUrlOf(channel);
    const wanted = settings.channels[channel]?.inbound === "webhook";
    return wanted && base !== undefined ? `${base}/webhooks/twilio/${channel}` : undefined;
  };
  const runnable = (): readonly string[] =>
    stopped ? [] : Object.keys(settings.channels).filter((channel) => !isHeld(channels.state(channel)));

  const channels = createChannels({
    settings: () => settings,
    carrier: (channel) => carriers.get(channel),
    webhookUrl,
    catchUp: (channel, signal) =>
      followList(channel, signal, {
        carrier: (id) => carriers.get(id),
        admit,
        record: outboxRecord,
        store,
        clock,
        log,
      }),
    store,
    newId,
    random,
    clock,
    log,
    onChange: (channel, state) => {
      if (isHeld(state))
        store.holdTurns(channel).catch((error: unknown) => {
          log.error("channel.hold", { channel, error: String(error) });
        });
      wakeAll();
    },
  });
  const turns = createTurns({
    settings: () => settings,
    policy: () => policy,
    agent: (name) => agents.get(name),
    channelState: channels.state,
    runnable,
    countryOf,
    store,
    text,
    newId,
    clock,
    log,
    onReplies: () => sendWorker.wake(),
  });
  const outbox = createOutbox({
    settings: () => settings,
    carrier: (channel) => carriers.get(channel),
    statusCallback: (channel) => {
      const url = webhookUrl(channel);
      return url === undefined ? undefined : `${url}/status`;
    },
    runnable,
    random: () => (random(4).reduce((sum, byte) => sum * 256 + byte, 0) % 2 ** 32) / 2 ** 32,
    explain: explainCode,
    store,
    clock,
    log,
  });
  const outboxRecord = outbox.record;
  const turnWorker = startWorker(turns.queue, { concurrency: TURN_CONCURRENCY, clock, log });
  const sendWorker = startWorker(outbox.queue, { concurrency: SEND_CONCURRENCY, clock, log });
  const wakeAll = () => {
    turnWorker.wake();
    sendWorker.wake();
  };
  const signals = createSignals({
    settings: () => settings,
    policy: () => policy,
    countryOf,
    compile: compilePattern,
    store,
    newId,
    clock,
    log,
    judge: () => {},
    onMatched: () => {},
    onExpired: () => {},
  });
  const admit = createAdmission({
    settings: () => settings,
    signals,
    policy: () => policy,
    channelState: channels.state,
    countryOf,
    store,
    text,
    newId,
    clock,
    log,
    notify: (admitted) => {
      if (admitted.kind !== "admitted") return;
      if (admitted.cancelled !== undefined) turns.cancel(admitted.cancelled.key, admitted.cancelled.reason);
      if (admitted.turn) turnWorker.wake();
      if (admitted.sends) sendWorker.wake();
      if (admitted.paired)
        channels.addressesChanged(admitted.channel).catch((error: unknown) => {
          log.error("channel.addresses", { channel: admitted.channel, error: String(error) });
        });
    },
  });
  const operator = createOperator({
    settings: () => settings,
    policy: () => policy,
    channels,
    countryOf,
    store,
    text,
    newId,
    clock,
    onSend: () => sendWorker.wake(),
    onEnded: (conversation) => {
      const channel = settings.channels[conversation.channel];
      if (channel === undefined) return;
      for (const paired of [true, false])
        turns.cancel(
          sessionKey(channel, conversation.address, paired),
          "The operator ended the conversation.",
        );
    },
  });
  const publicApp = createPublicApp({
    channel: (id) => settings.channels[id],
    numbers: (id) => channels.state(id).numbers,
    prefix: prefixOf(settings.server.publicUrl),
    reader: createWebhookReader({ publicUrl: publicUrlOf }),
    admit,
    record: outbox.record,
    ready: async () => (await operator.ready()).ready,
    refused: () => {},
    clock,
    log,
  });
  const adminApp = createAdminApp({
    operator,
    simulator: {
      control: () => simulator?.control,
      numberOf(channel) {
        const found = settings.channels[channel];
        if (found?.provider === "simulator" && found.sender.kind === "number") return found.sender.number;
        throw new AppError("not_found", `${channel} is no simulated channel.`);
      },
    },
    allowedHosts: settings.admin.allowedHosts,
    tokenMatches: tokenMatcher(token),
    version: seams.version,
    log,
  });

  let stopHousekeeping = () => {};
  const housekeeping = () => {
    stopHousekeeping = clock.after(HOUSEKEEPING, () => {
      tidy()
        .catch((error: unknown) => log.error("housekeeping", { error: String(error) }))
        .finally(() => {
          if (!stopped) housekeeping();
        });
    });
  };
  const tidy = async () => {
    for (const channel of Object.values(settings.channels))
      for (const ended of await store.endIdle(channel.id, channel.idleTimeout, clock.now()))
        log.info("conversation.ended", { conversation: ended.id, channel: ended.channel });
    while (await store.sweep(clock.now()));
    while (await store.purgeCodes(clock.now() - settings.retention.codes));
  };

  return {
    operator,
    simulator: () => simulator?.control,
    adminToken: token,
    async listen() {
      // Before the first text can come in: who waited when the service stopped, waits on.
      await signals.start();
      publicListener = listen({
        address: settings.server.listen,
        fetch: publicApp.fetch,
        maxBody: 2 * BODY_CAP,
        idleTimeout: 10,
      });
      adminListener = listen({
        address: settings.admin.listen,
        fetch: adminApp.fetch,
        maxBody: 8 * 1024 * 1024,
        idleTimeout: 0,
      });
      if (simulated.length > 0)
        simulator = openSimulator(
          { host: "127.0.0.1", port: 0 },
          seedsOf(simulated, webhookUrl, publicListener.url),
          seams,
        );
      for (const channel of Object.values(settings.channels)) {
        const apiUrl = channel.provider === "simulator" ? simulator?.url : undefined;
        const account =
          apiUrl === undefined ? channel.account : { ...channel.account, apiUrl, messagingUrl: apiUrl };
        const publicUrl = publicUrlOf(channel.id);
        carriers.set(
          channel.id,
          createTwilioCarrier({
            settings: { ...channel, account },
            ...(publicUrl === undefined ? {} : { publicUrl }),
            fetch: seams.fetch,
            clock,
            log,
          }),
        );
      }
      log.info("listening", { public: publicListener.url, admin: adminListener.url });
      await channels.follow(new Set());
      wakeAll();
      housekeeping();
      return { publicUrl: publicListener.url, adminUrl: adminListener.url };
    },
    async idle() {
      await turnWorker.idle();
      await sendWorker.idle();
    },
    async close(grace) {
      stopped = true;
      stopHousekeeping();
      const listeners = [publicListener, adminListener].filter((listener) => listener !== undefined);
      signals.stop();
      await Promise.all([
        channels.stop(),
        ...listeners.map((listener) => listener.close(grace)),
        turnWorker.stop(grace),
        sendWorker.stop(grace),
      ]);
      await Promise.all([...agents.values()].map((agent) => agent.close?.()));
      await simulator?.close();
      await store.close();
      log.info("stopped", {});
    },
  };
}

/** The path part of the public URL, which a proxy may keep or strip: "" or "/sms". */
function prefixOf(publicUrl: string | undefined): string {
  return publicUrl === undefined ? "" : new URL(publicUrl).pathname.replace(/\/+$/, "");
}
