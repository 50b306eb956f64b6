/**
 * The composition root: every technology is wired to the domain here and nowhere else. It names everything
 * once and decides nothing, which is why it may be long.
 */
import { addon } from "./addon.ts";
import { createAdmission, isHeld } from "./admission.ts";
import { createAgentRegistry } from "./agent-registry.ts";
import { createAgent } from "./agents/create.ts";
import { toolAlerts } from "./alerts.ts";
import { createLazyAdmin } from "./app-admin.ts";
import { createEvents, fraction } from "./app-events.ts";
import { createLinks } from "./app-links.ts";
import { createLazyMcp } from "./app-mcp.ts";
import { policiesOf } from "./app-policies.ts";
import type { Seams } from "./app-seams.ts";
import { openSimulator } from "./app-simulator.ts";
import { createAwaitSignal } from "./await-signal.ts";
import { followList } from "./catchup.ts";
import { createChangeLog } from "./change-log.ts";
import { createChannels } from "./channels.ts";
import { sleep } from "./clock.ts";
import {
  type Configuration,
  changedKeys,
  createConfiguration,
  type Prepared,
  type ReloadOutcome,
  refuseFixed,
} from "./configuration.ts";
import { createConfirmations } from "./confirmation.ts";
import { consoleFiles } from "./console/files.ts";
import { sessionKey } from "./conversation.ts";
import { AppError } from "./errors.ts";
import { createGauges } from "./gauges.ts";
import { createHousekeeping } from "./housekeeping.ts";
import { type Listener, listen } from "./http/listen.ts";
import { BODY_CAP, createPublicApp } from "./http/public.ts";
import { createIds } from "./ids.ts";
import { createJudging } from "./judging.ts";
import { createLimitAlerts } from "./limit-alerts.ts";
import { createMediaUploads } from "./media-uploads.ts";
import { meteredAdmission, meteredCarrier, meteredListener, meteredPolicy, meteredTurns } from "./metered.ts";
import { createOperator, type Operator } from "./operator.ts";
import { createOutbox } from "./outbox.ts";
import { compilePattern } from "./patterns/re2.ts";
import { countryOf } from "./phone/country.ts";
import { prepareCedar } from "./policy/cedar.ts";
import { createToolNames } from "./policy/tool-names.ts";
import { createPolicyTools } from "./policy-tools.ts";
import { createRegistry } from "./prometheus/registry.ts";
import { createReadiness } from "./readiness.ts";
import { createReconciliation, doubledAlert } from "./reconciliation.ts";
import { createRemind } from "./remind.ts";
import { createReminders } from "./reminders.ts";
import { createSchedules } from "./schedules.ts";
import { createSendMessage } from "./send-message.ts";
import { createSessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";
import { createSignals } from "./signals.ts";
import type { SimulatorControl } from "./simulated.ts";
import { openStore } from "./store/open.ts";
import { sha256 } from "./system/digest.ts";
import { adminToken, makeDataDir, tokenMatcher } from "./system/files.ts";
import { createMediaShelf } from "./system/media-shelf.ts";
import { createMemoryRelief } from "./system/memory.ts";
import { createTextTools } from "./text/tools.ts";
import { createTokens } from "./tokens.ts";
import { TURN_SLOTS } from "./turn-slots.ts";
import { turnTools } from "./turn-tools.ts";
import { createTurns } from "./turns.ts";
import { createTwilioCarrier } from "./twilio/carrier.ts";
import { explainCode } from "./twilio/errors.ts";
import { createWebhookReader } from "./twilio/reader.ts";
import { createWaiting } from "./waiting.ts";
import type { Watch } from "./watch.ts";
import { checkSecrets } from "./webhooks/post.ts";
import { startWorker } from "./worker.ts";

/** A running service. */
export interface App {
  readonly operator: Operator;
  readonly configuration: Configuration;
  /** The simulated phones, once the service listens, where a channel is simulated. */
  readonly simulator: () => SimulatorControl | undefined;
  readonly adminToken: string;
  /** Opens both listeners and connects the channels. Answers where they are. */
  listen(): Promise<{ readonly publicUrl: string; readonly adminUrl: string }>;
  /** Puts other settings in force, all of them or none. */
  reload(settings: Settings): Promise<ReloadOutcome>;
  /** Resolves once no turn and no send is running or due. */
  idle(): Promise<void>;
  /** Stops taking requests, finishes what is in flight within `grace` ms, closes the database. */
  close(grace: number): Promise<void>;
}

const SEND_CONCURRENCY = 64;
/** Lists of the carrier read at the same time. */
const LOOK_CONCURRENCY = 16;
/** Small models on small machines answer one after the other anyway. */
const JUDGE_CONCURRENCY = 4;

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
export async function openApp(first: Settings, seams: Seams): Promise<App> {
  const { clock, log, random } = seams;
  let settings = first;
  const newId = createIds(clock, random);
  const text = createTextTools();
  const metrics = createRegistry();
  checkSecrets(settings.webhooks);
  // Before anything is written: with policies that are refused, nothing is.
  await prepareCedar();
  let policy = policiesOf(settings);
  makeDataDir(settings.dataDir);
  let token = adminToken(settings.dataDir, settings.admin.token);
  let tokenMatches = tokenMatcher(token);
  const store = await openStore({
    dataDir: settings.dataDir,
    ...(addon === undefined ? {} : { addon }),
    senderOf: (channel) => {
      const sender = settings.channels[channel]?.sender;
      return sender?.kind === "number" ? sender.number : sender?.sid;
    },
    timezone: () => settings.timezone,
    onChanges: createChangeLog({ log, metrics }),
    ...(seams.syncFile === undefined ? {} : { syncFile: seams.syncFile }),
    onFailure(error) {
      readiness.failed(error);
      alerts.raise({
        cause: "disk",
        message: `Texts are not taken in: ${error.message}`,
        fix: error.fix ?? "Check the disk that holds data_dir.",
      });
    },
    onRecovery() {
      readiness.recovered();
      log.info("store.writable", {});
    },
    onBroken(error) {
      readiness.failed(error);
      log.error("store.broken", { error: error.message, fix: error.fix });
      seams.onBroken?.(error);
    },
    clock,
    log,
  });
  const decider = meteredPolicy(() => policy, metrics);
  const readiness = createReadiness({
    store,
    policies: () => decider.list().length,
    channels: () =>
      Object.values(settings.channels)
        .filter((channel) => channel.enabled)
        .map(({ id }) => ({ id, ...channels.state(id) })),
    configuration: () => configuration.error(),
    webhooks: () => events.lags(),
    clock,
  });
  const events = createEvents(() => settings, store, metrics, seams);
  const { alerts } = events;
  const relief = seams.collectGarbage && createMemoryRelief(clock, seams.collectGarbage);
  if (relief !== undefined) store.onEvents(relief.note);
  const limits = createLimitAlerts(() => settings, alerts.raise);
  const recovered = await store.recover(clock.now());
  if (recovered.turns + recovered.sends > 0) log.info("recovered", recovered);

  const toolNames = createToolNames();
  const onTools = createPolicyTools({
    settings: () => settings,
    named: () => toolNames(policy.list()),
    raise: alerts.raise,
  });
  const agents = createAgentRegistry({
    create: (agent) => createAgent(agent, { ...seams, ...toolAlerts(alerts.raise), onTools }),
    log,
  });
  agents.prepare(settings.agents).commit();
  let publicListener: Listener | undefined;
  let adminListener: Listener | undefined;
  let stopped = false;
  const links = createLinks({
    settings: () => settings,
    listener: () => publicListener?.url,
    createCarrier: ({ settings: channel, publicUrl }) =>
      meteredCarrier(
        createTwilioCarrier({
          settings: channel,
          ...(publicUrl === undefined ? {} : { publicUrl }),
          fetch: seams.fetch,
          clock,
          log,
        }),
        channel.id,
        metrics,
        clock,
      ),
    openSimulator: (seeds) => openSimulator({ host: "127.0.0.1", port: 0 }, seeds, seams),
    log,
  });
  const runnable = (): readonly string[] =>
    Object.keys(settings.channels).filter((channel) => !isHeld(channels.state(channel)));

  const channels = createChannels({
    settings: () => settings,
    carrier: links.carrier,
    webhookUrl: links.webhookUrl,
    catchUp: (channel, signal) =>
      followList(channel, signal, {
        carrier: links.carrier,
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
      events.channelChanged(channel, state);
      if (isHeld(state))
        store.holdTurns(channel).catch((error: unknown) => {
          log.error("channel.hold", { channel, error: String(error) });
        });
      wakeAll();
    },
  });
  const awaitSignal = createAwaitSignal({
    settings: () => settings,
    policy: () => decider,
    countryOf,
    pairedAddresses: channels.pairedAddresses,
    compile: compilePattern,
    signals: () => signals,
    store,
    clock,
    onResume: () => turnWorker.wake(),
  });
  const watchEnded = (watch: Watch): void => {
    awaitSignal.ended(watch).catch((error: unknown) => {
      log.error("turn.resume", { watch: watch.id, error: String(error) });
    });
  };
  const sendMessage = createSendMessage({
    settings: () => settings,
    policy: () => decider,
    countryOf,
    channelState: channels.state,
    store,
    text,
    newId,
    clock,
    log,
    onSend: () => sendWorker.wake(),
  });
  const confirmations = createConfirmations({
    settings: () => settings,
    policy: () => decider,
    countryOf,
    store,
    text,
    newId,
    random,
    clock,
    log,
    onAsked() {
      sendWorker.wake();
      confirmationWorker.wake();
    },
    onResume: () => turnWorker.wake(),
  });
  const timedSeams = {
    settings: () => settings,
    policy: () => decider,
    countryOf,
    channelState: channels.state,
    store,
    text,
    newId,
    clock,
    log,
    onDelivered() {
      turnWorker.wake();
      sendWorker.wake();
    },
  };
  const scheduleUndone = (name: string): void =>
    alerts.raise({
      cause: `schedule.undone/${name}`,
      message: `The schedule ${name} was not run: its recipient has opted out.`,
      fix: "The suppressed text says why: sms-agent messages --state suppressed.",
    });
  const schedules = createSchedules({ ...timedSeams, onSuppressed: scheduleUndone });
  const remind = createRemind({
    settings: () => settings,
    store,
    newId,
    clock,
    onSet: () => reminderWorker.wake(),
  });
  const turns = createTurns({
    settings: () => settings,
    policy: () => decider,
    tools: (turn, paired) =>
      turnTools(
        {
          policy: () => decider,
          countryOf,
          store,
          awaitSignal,
          builtIn: [remind, sendMessage],
          confirm: confirmations.confirm,
          clock,
        },
        turn,
        paired,
      ),
    agent: (name) => agents.get(name),
    channelState: channels.state,
    runnable,
    countryOf,
    carrier: links.carrier,
    store,
    text,
    newId,
    clock,
    log,
    onFailed: ({ agent, channel }, kind, messages) =>
      alerts.raise({
        cause: `agent.failed/${agent}`,
        message: `The agent ${agent} gave no reply on ${channel} (${kind}): ${messages.join(", ")}.`,
        fix: "The failed text says why: sms-agent messages --state failed. To have it tried again: sms-agent messages resend ID.",
        channel,
      }),
    onUndone: scheduleUndone,
    onTooMuch: limits.segmentsPerReply,
    onReplies: () => sendWorker.wake(),
  });
  const outbox = createOutbox({
    settings: () => settings,
    numbers: (channel) => channels.state(channel).numbers,
    carrier: links.carrier,
    statusCallback: (channel) => {
      const url = links.webhookUrl(channel);
      return url === undefined ? undefined : `${url}/status`;
    },
    runnable,
    random: () => fraction(random),
    explain: explainCode,
    onLimit: limits.segmentsPerDay,
    onDoubt: () => lookWorker.wake(),
    onFreed: () => sendWorker.wake(),
    onDoubled: (message, channel) => alerts.raise(doubledAlert(message, channel)),
    store,
    clock,
    log,
  });
  const reconciliation = createReconciliation({
    settings: () => settings,
    carrier: links.carrier,
    runnable,
    explain: explainCode,
    onSend: () => sendWorker.wake(),
    store,
    alerts,
    clock,
    log,
  });
  const outboxRecord = outbox.record;
  const turnWorker = startWorker(meteredTurns(turns.queue, metrics, clock), {
    concurrency: TURN_SLOTS,
    clock,
    log,
  });
  const sendWorker = startWorker(outbox.queue, { concurrency: SEND_CONCURRENCY, clock, log });
  const lookWorker = startWorker(reconciliation, { concurrency: LOOK_CONCURRENCY, clock, log });
  const confirmationWorker = startWorker(confirmations.queue, { concurrency: 1, clock, log });
  const reminderWorker = startWorker(createReminders(timedSeams), { concurrency: 1, clock, log });
  const scheduleWorker = startWorker(schedules.queue, { concurrency: 1, clock, log });
  const wakeAll = () => {
    reminderWorker.wake();
    scheduleWorker.wake();
    confirmationWorker.wake();
    turnWorker.wake();
    sendWorker.wake();
    lookWorker.wake();
  };
  const signals = createSignals({
    settings: () => settings,
    policy: () => decider,
    countryOf,
    pairedAddresses: channels.pairedAddresses,
    compile: compilePattern,
    store,
    newId,
    clock,
    log,
    judge: () => judgeWorker.wake(),
    onMatched(watch, signal) {
      metrics.count("signals_matched_total", { channel: signal.channel });
      watchEnded(watch);
    },
    onExpired(watch) {
      metrics.count("watches_expired_total", {});
      watchEnded(watch);
    },
  });
  const judging = createJudging({
    settings: () => settings,
    agent: (name) => agents.get(name),
    signals,
    store,
    alerts,
    random,
    clock,
    log,
  });
  const judgeWorker = startWorker(judging, { concurrency: JUDGE_CONCURRENCY, clock, log });
  const admit = meteredAdmission(
    createAdmission({
      settings: () => settings,
      signals,
      policy: () => decider,
      channelState: channels.state,
      countryOf,
      store,
      text,
      newId,
      clock,
      log,
      notify: (admitted) => {
        if (admitted.kind !== "admitted") return;
        if (admitted.cancelled !== undefined)
          turns.cancel(admitted.cancelled.key, admitted.cancelled.reason, admitted.cancelled.address);
        if (admitted.turn) turnWorker.wake();
        if (admitted.delayed) limits.senderPerMinute(admitted.channel);
        if (admitted.sends) sendWorker.wake();
        if (admitted.paired)
          channels.addressesChanged(admitted.channel).catch((error: unknown) => {
            log.error("channel.addresses", { channel: admitted.channel, error: String(error) });
          });
      },
    }),
    metrics,
  );
  /** Makes the links to the carriers as the settings want them, and lets the channels follow. */
  const connect = async (): Promise<void> => {
    await channels.follow(links.renew());
    wakeAll();
  };
  const prepare = (next: Settings): Prepared => {
    if (stopped) throw new AppError("conflict", "The service is stopping.", { fix: "Start it again." });
    refuseFixed(settings, next);
    checkSecrets(next.webhooks);
    const nextPolicy = policiesOf(next, policy);
    const nextToken = adminToken(next.dataDir, next.admin.token);
    const nextAgents = agents.prepare(next.agents);
    let nextLinks: ReturnType<typeof links.prepare>;
    try {
      nextLinks = links.prepare(next);
    } catch (error) {
      nextAgents.discard();
      throw error;
    }
    return {
      discard() {
        nextAgents.discard();
        nextLinks.discard();
      },
      async commit() {
        const old = settings;
        settings = next;
        policy = nextPolicy;
        token = nextToken;
        tokenMatches = tokenMatcher(token);
        nextAgents.commit();
        if (changedKeys(old.log, next.log).length > 0) seams.configureLog?.(next.log);
        if (old.server.publicUrl !== next.server.publicUrl) publicApp = makePublicApp();
        nextLinks.commit();
        log.info("config.reloaded", {
          channels: changedKeys(old.channels, next.channels),
          agents: nextAgents.changed,
        });
        await events.follow();
        await schedules.follow();
        if (publicListener !== undefined) await connect();
      },
    };
  };
  const configuration = createConfiguration({ file: seams.configFile, prepare, clock, log });
  const operator = createOperator({
    settings: () => settings,
    readiness: readiness.look,
    configuration,
    policy: () => decider,
    channels,
    probe: links.probe,
    countryOf,
    store,
    text,
    newId,
    clock,
    mediaDigest: (url) => uploads.digestOf(url),
    onSend: () => sendWorker.wake(),
    onTurn: () => turnWorker.wake(),
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
  const shelf = createMediaShelf({ dataDir: settings.dataDir, clock, random });
  const uploads = createMediaUploads({
    settings: () => settings,
    listener: () => publicListener?.url,
    shelf,
    digest: sha256,
    newId,
    log,
  });
  /** Its routes hang on the public URL; nothing is kept in it. */
  const makePublicApp = () =>
    createPublicApp({
      channel: (id) => settings.channels[id],
      numbers: (id) => channels.state(id).numbers,
      prefix: prefixOf(settings.server.publicUrl),
      reader: createWebhookReader({ publicUrl: links.publicUrl }),
      admit,
      record: outbox.record,
      ready: async () => (await operator.ready()).ready,
      media: shelf.read,
      refused: events.webhookRefused,
      clock,
      log,
    });
  const waiting = createWaiting({
    signals,
    store,
    settings: () => settings,
    compile: compilePattern,
    clock,
    log,
  });
  const mcp = createLazyMcp({
    operator,
    waiting,
    newName: () => Buffer.from(random(16)).toString("hex"),
    version: seams.version,
    clock,
    log,
  });
  let publicApp = makePublicApp();
  const tokens = createTokens({
    settings: () => settings,
    store,
    isAdmin: (credential) => tokenMatches(credential),
    digest: sha256,
    newId,
    random,
    clock,
    log,
    onGuessing: (client) =>
      alerts.raise({
        cause: `credentials/${client}`,
        message: `Somebody at ${client} tries many wrong credentials on the admin listener.`,
        fix: "Find out who that is. Revoke tokens that may be known, and let fewer reach admin.listen.",
      }),
  });
  const readGauges = createGauges({
    settings: () => settings,
    channelState: channels.state,
    runnable,
    alerts,
    backlog: events.backlog,
    lags: events.lags,
    store,
    version: seams.version,
    clock,
  });
  const adminApp = createLazyAdmin({
    metrics: () => metrics.expose(readGauges),
    operator,
    waiting,
    mcp: mcp.fetch,
    simulator: {
      control: links.simulator,
      numberOf(channel) {
        const found = settings.channels[channel];
        if (found?.provider === "simulator" && found.sender.kind === "number") return found.sender.number;
        throw new AppError("not_found", `${channel} is no simulated channel.`);
      },
    },
    allowedHosts: () => settings.admin.allowedHosts,
    tokens,
    sessions: createSessions({ identify: tokens.identify, random, clock }),
    console: consoleFiles,
    alerts,
    events: events.feed,
    media: uploads,
    clientOf: (request) => adminListener?.clientOf(request) ?? "",
    version: seams.version,
    clock,
    log,
  });

  const housekeeping = createHousekeeping({
    settings: () => settings,
    store,
    sweepFiles: shelf.sweep,
    // A send can also come into doubt by its lease running out.
    onRound: () => lookWorker.wake(),
    clock,
    log,
  });

  /** Ends the turns that run, then sends what is due, their replies among it. */
  const finishWork = async (grace: number) => {
    const until = clock.now() + grace;
    await Promise.all([
      turnWorker.stop(grace),
      ...[confirmationWorker, reminderWorker, scheduleWorker, lookWorker].map((worker) => worker.stop(grace)),
    ]);
    const sent = new AbortController();
    const timeUp = sleep(clock, Math.max(0, until - clock.now()), sent.signal).catch(() => {});
    await Promise.race([sendWorker.idle(), timeUp]);
    sent.abort();
    await sendWorker.stop(Math.max(0, until - clock.now()));
  };

  return {
    operator,
    configuration,
    simulator: links.simulator,
    get adminToken() {
      return token;
    },
    reload: configuration.apply,
    async listen() {
      // Before the first text can come in: who waited when the service stopped, waits on.
      await events.start();
      await waiting.start();
      await channels.load();
      await signals.start();
      judgeWorker.wake();
      await awaitSignal.recover();
      await schedules.follow();
      publicListener = listen({
        address: settings.server.listen,
        fetch: meteredListener((request) => publicApp.fetch(request), "public", metrics),
        maxBody: 2 * BODY_CAP,
        idleTimeout: 10,
      });
      adminListener = listen({
        address: settings.admin.listen,
        fetch: meteredListener(adminApp, "admin", metrics),
        maxBody: 8 * 1024 * 1024,
        idleTimeout: 10,
        patient: true,
      });
      links.prepare(settings).commit();
      log.info("listening", { public: publicListener.url, admin: adminListener.url });
      await connect();
      housekeeping.start();
      seams.compileHotCode?.();
      return { publicUrl: publicListener.url, adminUrl: adminListener.url };
    },
    async idle() {
      await judgeWorker.idle();
      await turnWorker.idle();
      await sendWorker.idle();
    },
    async close(grace) {
      stopped = true;
      relief?.stop();
      housekeeping.stop();
      configuration.close();
      const listeners = [publicListener, adminListener].filter((listener) => listener !== undefined);
      waiting.stop();
      await mcp.close();
      signals.stop();
      tokens.stop();
      await Promise.all([
        events.stop(grace),
        channels.stop(),
        ...listeners.map((listener) => listener.close(grace)),
        finishWork(grace),
        judgeWorker.stop(grace),
      ]);
      await agents.close();
      await links.close();
      await store.close();
      log.info("stopped", {});
    },
  };
}

/** The path part of the public URL, which a proxy may keep or strip: "" or "/sms". */
function prefixOf(publicUrl: string | undefined): string {
  return publicUrl === undefined ? "" : new URL(publicUrl).pathname.replace(/\/+$/, "");
}
