/**
 * The composition root: the service is put together here, from the parts in `app-*.ts`. It decides nothing. What a part
 * needs of a later one it is given as a function, which is called once all are there.
 */
import { isHeld } from "./admission.ts";
import { openAdmission } from "./app-admission.ts";
import { openAgents } from "./app-agents.ts";
import { openChannels } from "./app-channels.ts";
import type { Core, Wake } from "./app-core.ts";
import { openCurrent } from "./app-current.ts";
import { openLinks } from "./app-links.ts";
import { createListeners } from "./app-listeners.ts";
import { openOperator } from "./app-operator.ts";
import { createPrepare } from "./app-reload.ts";
import type { Seams } from "./app-seams.ts";
import { openSends } from "./app-sends.ts";
import { openSignals } from "./app-signals.ts";
import { openStorage } from "./app-store.ts";
import { openTurns } from "./app-turns.ts";
import { type Configuration, createConfiguration, type ReloadOutcome } from "./configuration.ts";
import { createHousekeeping } from "./housekeeping.ts";
import { createIds } from "./ids.ts";
import { createLimitAlerts } from "./limit-alerts.ts";
import { withoutNumbers } from "./log.ts";
import { createMediaUploads } from "./media-uploads.ts";
import { meteredPolicy } from "./metered.ts";
import type { Operator } from "./operator.ts";
import { countryOf } from "./phone/country.ts";
import { createRegistry } from "./prometheus/registry.ts";
import type { Settings } from "./settings.ts";
import type { SimulatorControl } from "./simulated.ts";
import { sha256 } from "./system/digest.ts";
import { createMediaShelf } from "./system/media-shelf.ts";
import { createMemoryRelief } from "./system/memory.ts";
import { createTextTools } from "./text/tools.ts";

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

/** Opens database and policies, recovers unfinished work, and wires the service; nothing listens yet. */
export async function openApp(first: Settings, world: Seams): Promise<App> {
  const seams = { ...world, log: withoutNumbers(world.log) };
  const { clock, log, random } = seams;
  const metrics = createRegistry();
  const current = await openCurrent(first);
  const { settings } = current;
  const decider = meteredPolicy(current.policies, metrics);
  const policy = () => decider;
  const { store, events, readiness } = await openStorage(seams, {
    settings,
    policy,
    channelState: (channel) => channels.state(channel),
    configurationError: () => configuration.error(),
    metrics,
  });
  const relief = seams.collectGarbage && createMemoryRelief(clock, seams.collectGarbage);
  if (relief !== undefined) store.onEvents(relief.note);
  const { alerts } = events;
  const core: Core = {
    settings,
    policy,
    countryOf,
    store,
    text: createTextTools(),
    alerts,
    limits: createLimitAlerts(settings, alerts.raise),
    metrics,
    newId: createIds(clock, random),
    random,
    clock,
    log,
  };
  const wake: Wake = {
    turns: (dueAt) => turning.wake(dueAt),
    sends: () => sending.wake(),
    looks: () => sending.look(),
  };
  const wakeAll = (): void => {
    turning.wakeAll();
    wake.sends();
    wake.looks();
  };
  const runnable = (): readonly string[] =>
    Object.keys(settings().channels).filter((channel) => !isHeld(channels.state(channel)));
  const listener = () => listeners.publicUrl();
  let stopping = false;

  const agents = openAgents(core, current.policies, seams);
  const links = openLinks(core, listener, seams);
  const channels = openChannels(core, links, {
    taking: () => ({ admit, record: sending.record }),
    changed: events.channelChanged,
    wakeAll,
  });
  const signalling = openSignals(core, agents, channels, wake);
  const { signals, awaitSignal, waiting } = signalling;
  const turning = openTurns(core, {
    agents,
    channels,
    carrier: links.carrier,
    runnable,
    awaitSignal,
    wake,
  });
  const { cancel } = turning;
  const sending = openSends(core, { channels, links, runnable, wake });
  const admit = openAdmission(core, { channels, signals, cancel, wake });

  /** Makes the links to the carriers as the settings want them, and lets the channels follow. */
  const connect = async (): Promise<void> => {
    await channels.follow(links.renew());
    wakeAll();
  };
  const prepare = createPrepare(
    {
      current,
      agents,
      links,
      stopping: () => stopping,
      publicUrlChanged: () => listeners.publicUrlChanged(),
      async follow() {
        await events.follow();
        await turning.followSchedules();
        if (listener() !== undefined) await connect();
      },
    },
    seams,
  );
  const configuration = createConfiguration({ file: seams.configFile, prepare, clock, log });

  const shelf = createMediaShelf({ dataDir: settings().dataDir, clock, random });
  const uploads = createMediaUploads({ ...core, listener, shelf, digest: sha256 });
  const operator = openOperator(core, {
    readiness,
    configuration,
    channels,
    links,
    uploads,
    cancel,
    wake,
  });
  const listeners = createListeners(
    core,
    {
      current,
      registry: metrics,
      channels,
      runnable,
      links,
      events,
      shelf,
      uploads,
      operator,
      waiting,
      admit,
      record: sending.record,
    },
    seams,
  );
  const housekeeping = createHousekeeping({
    ...core,
    sweepFiles: shelf.sweep,
    // A send can also come into doubt by its lease running out.
    onRound: wake.looks,
  });

  /** Ends the turns that run, then sends what is due, their replies among it. */
  const finishWork = async (grace: number) => {
    const until = clock.now() + grace;
    await Promise.all([turning.stop(grace), sending.stopLooking(grace)]);
    await sending.finish(until);
  };

  return {
    operator,
    configuration,
    simulator: links.simulator,
    get adminToken() {
      return current.adminToken();
    },
    reload: configuration.apply,
    async listen() {
      await events.start();
      await signalling.start(channels.load);
      await turning.followSchedules();
      const urls = listeners.open();
      links.prepare(settings()).commit();
      log.info("listening", { public: urls.publicUrl, admin: urls.adminUrl });
      await connect();
      housekeeping.start();
      seams.compileHotCode?.();
      return urls;
    },
    async idle() {
      await signalling.idle();
      await turning.idle();
      await sending.idle();
    },
    async close(grace) {
      stopping = true;
      relief?.stop();
      housekeeping.stop();
      configuration.close();
      waiting.stop();
      await listeners.stop();
      signals.stop();
      await Promise.all([
        events.stop(grace),
        channels.stop(),
        listeners.close(grace),
        finishWork(grace),
        signalling.stopJudging(grace),
      ]);
      await agents.close();
      await links.close();
      await store.close();
      log.info("stopped", {});
    },
  };
}
