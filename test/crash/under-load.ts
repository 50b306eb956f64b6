import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Accounts, balance } from "./accounts.ts";
import { integrityOf, readUnfinished } from "./database.ts";
import type { Dice } from "./dice.ts";
import type { Violation } from "./findings.ts";
import { booksOf, connected, endedByItself, settle, textsOf } from "./finish.ts";
import { startLoad } from "./load.ts";
import { unexpectedErrors } from "./log-errors.ts";
import { ECHO } from "./phase.ts";
import type { Logged } from "./processes.ts";
import { openRig, type Rig, type RigChannel } from "./rig.ts";
import { startWaiters } from "./waiters.ts";

/** In what the service was interrupted. */
const SCENES = {
  working: "while it works",
  starting: "while it starts",
  "starting twice": "while it starts, and again at once",
  "reloading on SIGHUP": "while it takes over new settings on SIGHUP",
  "reloading on a change": "while it takes over a file that has changed",
  "switching the mode": "while the API changes a channel's mode and writes the file",
  "backing up": "while `backup` reads the database",
  purging: "while it removes what is too old",
} as const;

export type Scene = keyof typeof SCENES;

const NO_KILLS: Readonly<Record<Scene, number>> = {
  working: 0,
  starting: 0,
  "starting twice": 0,
  "reloading on SIGHUP": 0,
  "reloading on a change": 0,
  "switching the mode": 0,
  "backing up": 0,
  purging: 0,
};

/** The service under load is killed again and again; then the accountant looks at it. */
export interface UnderLoad {
  readonly kills: Readonly<Record<Scene, number>>;
  /** Kills before it listened. */
  readonly early: number;
  readonly accounts: Accounts;
  readonly violations: readonly Violation[];
  readonly faults: number;
  /** Webhooks of texts by the service's answer; 0 for none. */
  readonly answers: ReadonlyMap<number, number>;
  readonly eventPosts: number;
  readonly seconds: number;
}

export interface UnderLoadOptions {
  readonly program: string;
  readonly folder: string;
  readonly dice: Dice;
  readonly kills: number;
  /** The kills stop after this long, ms, even when there are fewer. */
  readonly time: number;
  readonly rate: number;
  /** How long what is left may take after the last kill, ms, and whether what is unclear is waited for too. */
  readonly settle: { readonly patience: number; readonly unclear: boolean };
  /** Kills while it purges; each takes half a minute. */
  readonly purges: number;
  readonly note: (line: string) => void;
}

const HOOKED: RigChannel = {
  ...ECHO,
  name: "hooked",
  number: "+15550100002",
  agent: "hook",
  debounce: "150ms",
};
const POLLED: RigChannel = { ...ECHO, name: "polled", number: "+15550100003", inbound: "poll" };
const CODES: RigChannel = { ...ECHO, name: "codes", number: "+15550100004", mode: "signal" };
const SWITCHED: RigChannel = { ...ECHO, name: "switched", number: "+15550100005" };
const ASSISTED: RigChannel = { ...ECHO, name: "assisted", number: "+15550100006", agent: "assistant" };
const WEIGHTS = [
  [5, ECHO],
  [5, HOOKED],
  [1, ASSISTED],
  [1, POLLED],
  [1, SWITCHED],
] as const;

/** A service is killed within this of its first answer, ms. */
const LIFE = 2_500;
/** So many texts that the service does not have yet are enough: most of its time it is down. */
const BACKLOG = 2_000;
/** The service looks for what is too old this long after it has started to listen, ms. */
const HOUSEKEEPING = 30_000;
/** A text is in the carrier's list after this long, ms: the longest lag among the faults. */
const LAG = 10_500;

export async function killUnderLoad(options: UnderLoadOptions): Promise<UnderLoad> {
  const { dice, note } = options;
  const started = performance.now();
  let calm = false;
  const rig = await openRig({
    program: options.program,
    folder: options.folder,
    channels: [ECHO, HOOKED, ASSISTED, POLLED, CODES, SWITCHED],
    dice,
    moody: 0.12,
    lose: () => (calm ? 0 : 0.02),
  });
  try {
    const first = rig.start();
    await rig.ready(first);
    await connected(rig);
    await rig.stop(first);

    let behind = 0;
    const load = startLoad({
      carrier: rig.carrier,
      dice,
      channels: WEIGHTS,
      rate: options.rate,
      faults: 0.3,
      unclear: 0.06,
      stopping: 0.04,
      phones: 150,
      textsPerPhone: 8,
      hold: () => behind > BACKLOG,
    });
    const waiters = startWaiters(rig, CODES, dice);
    const looking = setInterval(() => {
      behind = textsOf(phones) - readUnfinished(rig.database).inbound;
    }, 1_000);
    const phones = { ...load, others: () => waiters.codes.length };
    const kills = { ...NO_KILLS };
    const violations: Violation[] = [];
    let early = 0;
    const kill = async (service: Logged, scene: Scene) => {
      if (!service.running()) violations.push(endedByItself(service));
      service.kill("SIGKILL");
      await service.ended;
      kills[scene] += 1;
      if (!service.printed().includes('"event":"listening"')) early += 1;
    };

    const until = performance.now() + options.time;
    let done = 0;
    for (; done < options.kills - options.purges && performance.now() < until; done++) {
      const scene = nextScene(dice, rig);
      const service = rig.start();
      let finish: Aftermath = nothing;
      if (scene === "starting" || scene === "starting twice") await Bun.sleep(dice.between(5, 350));
      else {
        // One that cannot be reached in time is killed as it is.
        await rig.ready(service, 10_000).catch(() => {});
        await Bun.sleep(dice.between(0, scene === "working" ? LIFE : 500));
        finish = await interrupt(rig, service, scene, dice);
      }
      await kill(service, scene);
      const wrong = await finish();
      if (wrong !== undefined) violations.push(wrong);
      if (scene === "starting twice") {
        const again = rig.start();
        await Bun.sleep(dice.between(5, 250));
        await kill(again, scene);
        done += 1;
      }
      if (done > 0 && done % 25 === 0)
        note(
          `${done} kills, ${load.texts.length} texts, ${Math.round((performance.now() - started) / 1000)} s`,
        );
    }
    clearInterval(looking);
    await load.stop();
    waiters.stop();
    calm = true;
    await rig.carrier.clearFaults();
    note(`the load has ended after ${done} kills; what is left is finished now`);

    for (let purge = 0; purge < options.purges; purge++) {
      const service = rig.start();
      await rig.ready(service);
      await Bun.sleep(HOUSEKEEPING - 20 + dice.between(0, 120));
      await kill(service, "purging");
    }
    let service = rig.start();
    await rig.ready(service);
    // The carrier's list lags behind at times; who starts again looks at it again at once.
    await Bun.sleep(LAG);
    if (readUnfinished(rig.database).inbound < textsOf(phones)) {
      await rig.stop(service);
      service = rig.start();
      await rig.ready(service);
    }
    const settled = await settle(rig, phones, options.settle, () => waiters.waiting() === 0);
    if (!settled.done) note(`not everything was finished: ${settled.left}`);
    await waiters.close();
    const code = await rig.stop(service);
    if (code !== 0) violations.push({ rule: "ended badly", about: `exit ${code} on SIGTERM` });
    const sound = integrityOf(rig.database);
    if (sound !== "ok") violations.push({ rule: "damaged", about: sound });
    violations.push(...unexpectedErrors(join(rig.folder, "service.log")));

    const accounts = balance(await booksOf(rig, load, options.settle.unclear, waiters));
    return {
      kills,
      early,
      accounts,
      violations: [...violations, ...accounts.violations],
      faults: load.faults(),
      answers: rig.answers,
      eventPosts: rig.farEnds.posts(),
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    await rig.close();
  }
}

function nextScene(dice: Dice, rig: Rig): Scene {
  const scene = dice.weighted<Scene>([
    [60, "working"],
    [12, "starting"],
    [5, "starting twice"],
    [6, "reloading on SIGHUP"],
    [5, "reloading on a change"],
    [6, "switching the mode"],
    [6, "backing up"],
  ]);
  return scene === "backing up" && !hasVerb(rig, "backup") ? "working" : scene;
}

const verbs = new Map<string, boolean>();

/** Whether the binary knows the verb. */
function hasVerb(rig: Rig, verb: string): boolean {
  const known =
    verbs.get(verb) ??
    Bun.spawnSync([rig.program, verb, "--help"]).stdout.toString().includes(`sms-agent ${verb}`);
  verbs.set(verb, known);
  return known;
}

/** What is to be looked at after a kill. */
type Aftermath = () => Promise<Violation | undefined>;

const nothing: Aftermath = async () => undefined;

/** Begins what the scene is about; the service is killed then. Answers what is to be done after that. */
async function interrupt(rig: Rig, service: Logged, scene: Scene, dice: Dice): Promise<Aftermath> {
  switch (scene) {
    case "reloading on SIGHUP":
      rig.edit(Math.round(dice.between(10, 50)));
      service.kill("SIGHUP");
      await Bun.sleep(dice.between(0, 60));
      return nothing;
    case "reloading on a change":
      rig.edit(Math.round(dice.between(10, 50)));
      // It looks once a second, and takes a file that stood still from one look to the next.
      await Bun.sleep(dice.between(900, 2_300));
      return nothing;
    case "switching the mode": {
      const mode = dice.pick(["signal", "message"]);
      rig.api("PATCH", `/channels/${SWITCHED.name}`, { mode }).catch(() => {});
      await Bun.sleep(dice.between(0, 60));
      return nothing;
    }
    case "backing up": {
      const folder = join(rig.folder, "backup");
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      const file = join(folder, "copy.db");
      const backup = rig.cli("backup", file);
      await Bun.sleep(dice.between(20, 500));
      if (dice.chance(0.5)) backup.kill("SIGKILL");
      return async () => {
        const code = await backup.ended;
        const sound = existsSync(file) ? integrityOf(file) : undefined;
        // One that was interrupted may have left nothing, but nothing that only looks like a backup.
        if (sound === "ok" || (sound === undefined && code !== 0)) return undefined;
        return { rule: "damaged", about: `${file}, made by a backup that ended with ${code}: ${sound}` };
      };
    }
    case "working":
    case "starting":
    case "starting twice":
    case "purging":
      return nothing;
  }
}
