import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { BUN } from "./processes.ts";
import { table } from "./report.ts";

/** A part of the work, known by the functions and files it happens in. */
export interface Stage {
  readonly name: string;
  /** Matches `function file:line` of a frame; the innermost frame that a stage matches decides. */
  readonly frames: RegExp;
}

/** What each part took per piece of work, µs of the main thread, the disk's share included. */
export type Stages = readonly { readonly name: string; readonly microseconds: number }[];

const COMMON: readonly Stage[] = [
  { name: "read the body", frames: / http\/body\.ts:/ },
  { name: "signature", frames: / twilio\/(signature|reader)\.ts:/ },
  { name: "parse", frames: / twilio\/(form|webhook)\.ts:/ },
  { name: "policy and route", frames: / (policy|phone)\/\w+\.ts:| src\/dispatch\.ts:/ },
  { name: "annotation", frames: / src\/annotation[\w-]*\.ts:/ },
  { name: "sender's facts", frames: /^facts | src\/confirmation\.ts:|^pendingOf / },
  { name: "log", frames: / (log|logtape)\/|@logtape/ },
  { name: "statements of the commit", frames: /^(runTogether|runApart) / },
  { name: "commit and sync", frames: /^commitNext / },
];

export const INBOUND_STAGES: readonly Stage[] = [
  ...COMMON,
  { name: "admission", frames: / src\/admission\.ts:/ },
  { name: "request and answer", frames: / http\/\w+\.ts:|hono/ },
];

export const TURN_STAGES: readonly Stage[] = [
  ...COMMON,
  { name: "admission", frames: / src\/admission\.ts:/ },
  { name: "compose the reply", frames: / text\/[\w-]+\.ts:| src\/compose\.ts:/ },
  { name: "history", frames: /^history |message-list\.ts:/ },
  { name: "turn", frames: / src\/turns\.ts:| agents\/[\w-]+\.ts:/ },
  { name: "call the API", frames: / twilio\/(rest|carrier|answer)\.ts:/ },
  { name: "outbox", frames: / src\/outbox\.ts:/ },
  { name: "queues", frames: / src\/worker\.ts:/ },
  { name: "request and answer", frames: / http\/\w+\.ts:|hono/ },
];

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/**
 * Runs `work` with the program from source under Bun's profiler, and answers what each stage took per piece of work.
 * Slower than the binary by the profiler's share; the proportions are what it is for.
 */
export async function readProfile(
  folder: string,
  stages: readonly Stage[],
  pieces: number,
  work: (program: readonly string[]) => Promise<void>,
): Promise<Stages> {
  mkdirSync(folder, { recursive: true });
  const main = resolve(import.meta.dir, "..", "src", "main.ts");
  await work([BUN, "--cpu-prof", "--cpu-prof-dir", folder, main]);
  const file = readdirSync(folder).find((name) => name.endsWith(".cpuprofile"));
  if (file === undefined) throw new Error("the profiler left no profile");
  const profile: Profile = JSON.parse(readFileSync(join(folder, file), "utf8"));
  return summarise(profile, stages, pieces);
}

function summarise(profile: Profile, stages: readonly Stage[], pieces: number): Stages {
  const parents = new Map<number, number>();
  for (const node of profile.nodes) for (const child of node.children ?? []) parents.set(child, node.id);
  const frames = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName} ${url.split("/").slice(-2).join("/")}:${lineNumber + 1}`,
    ]),
  );
  const known = new Map<number, string>();
  const stageOf = (id: number): string => {
    const found = known.get(id);
    if (found !== undefined) return found;
    const frame = frames.get(id) ?? "";
    const parent = parents.get(id);
    const own = stages.find((stage) => stage.frames.test(frame))?.name;
    const name = own ?? (parent === undefined ? OTHER : stageOf(parent));
    known.set(id, name);
    return name;
  };
  const times = new Map<string, number>();
  for (const [i, id] of profile.samples.entries()) {
    const name = /^\((idle|program)\)/.test(frames.get(id) ?? "") ? OTHER : stageOf(id);
    times.set(name, (times.get(name) ?? 0) + (profile.timeDeltas[i] ?? 0));
  }
  return [...stages.map(({ name }) => name), OTHER].map((name) => ({
    name,
    microseconds: Math.round((times.get(name) ?? 0) / pieces),
  }));
}

/** The start of the program, collection of garbage, and what the runtime does of itself. */
const OTHER = "the runtime's own";

export function stageTable(title: string, stages: Stages): string {
  return table(
    [title, "µs"],
    stages.map(({ name, microseconds }) => [name, String(microseconds)]),
  );
}
