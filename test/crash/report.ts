import type { Accounts } from "./accounts.ts";
import { describeFate, type Fate, RULES, type Violation } from "./findings.ts";
import type { Phase } from "./phase.ts";
import type { MemorySample, Soak } from "./soaking.ts";
import type { UnderLoad } from "./under-load.ts";

/** What a person reads of a run. */
export function reportUnderLoad(run: UnderLoad): string {
  const { accounts } = run;
  const kills = Object.values(run.kills).reduce((sum, count) => sum + count, 0);
  const rows: (readonly [string, string | number])[] = [
    ["kills", `${kills}, ${run.early} of them before it listened`],
    ...Object.entries(run.kills)
      .filter(([, count]) => count > 0)
      .map(([scene, count]) => [`  ${scene}`, count] as const),
    ["faults put in force", run.faults],
    ["webhooks answered", [...run.answers].sort().map(answered).join(", ")],
    ...rowsOf(accounts),
    ["events the webhook consumer took", run.eventPosts],
    ["codes texted", `${accounts.codes}, ${accounts.claimed} given to one who waited`],
    ["reminders set", `${accounts.reminders}, each sent once`],
    ["time", `${Math.round(run.seconds)} s`],
  ];
  return `\n${tableOf(rows)}\n${reasonsOf(accounts)}${violationsOf(run.violations)}`;
}

export function reportSoak(run: Soak): string {
  const ms = (share: number) => `${run.latencies.percentile(share).toFixed(1)} ms`;
  const rows: (readonly [string, string | number])[] = [
    ["texts per second", run.rate.toFixed(1)],
    ["faults put in force", run.faults],
    ["webhooks answered", [...run.answers].sort().map(answered).join(", ")],
    ["webhook to 200", `median ${ms(0.5)}, 90 % ${ms(0.9)}, 99 % ${ms(0.99)}, 99.9 % ${ms(0.999)}`],
    ...rowsOf(run.accounts),
    ["memory, first minutes", mebibytes(run.firstMemory)],
    [
      "memory, last minutes",
      `${mebibytes(run.lastMemory)}, ${(run.lastMemory / run.firstMemory).toFixed(2)} times as much`,
    ],
    ["memory over time", curveOf(run.memory)],
    ["database", mebibytes(run.databaseSize)],
    ["time", `${Math.round(run.seconds)} s`],
  ];
  return `\n${tableOf(rows)}\n${reasonsOf(run.accounts)}${violationsOf(run.violations)}`;
}

/** A part beside the main one, in a few lines. */
export function reportPhase(phase: Phase): string {
  const lines = phase.skipped === undefined ? phase.lines : [`skipped: ${phase.skipped}`];
  const verdict = phase.skipped !== undefined ? "" : phase.violations.length === 0 ? ": passed" : ": FAILED";
  return `\n${phase.name}${verdict}\n${lines.map((line) => `  ${line}\n`).join("")}${violationsOf(phase.violations)}`;
}

function rowsOf(accounts: Accounts): readonly (readonly [string, string | number])[] {
  return [
    ["texts the phones sent", accounts.sent],
    ["  acknowledged with 200", `${accounts.acknowledged}; the others were found in the carrier's list`],
    ...fatesOf(accounts.fates),
    ["calls of the http agent", `${accounts.agentCalls} for ${accounts.agentTurns} turns`],
    ["replies the carrier took", `${accounts.carried}, ${accounts.arrived} of them arrived`],
  ];
}

/** The samples that a curve is shown by. */
const POINTS = 12;

function curveOf(memory: readonly MemorySample[]): string {
  const step = Math.max(1, Math.floor(memory.length / POINTS));
  return memory
    .filter((_, index) => index % step === 0)
    .map(({ seconds, bytes }) => `${Math.round(seconds)} s ${Math.round(bytes / 2 ** 20)}`)
    .join(", ");
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}

function fatesOf(fates: Readonly<Record<Fate, number>>): readonly (readonly [string, string | number])[] {
  const found: (readonly [string, string | number])[] = [];
  for (const fate of FATES)
    if (fates[fate] > 0) found.push([`  ${fate}`, `${fates[fate]} (${describeFate(fate)})`]);
  return found;
}

const FATES: readonly Fate[] = [
  "answered",
  "undelivered",
  "refused",
  "unknown",
  "behind",
  "silent",
  "apologised",
  "captured",
  "stopped",
  "missing",
];

function answered([status, count]: readonly [number, number]): string {
  return `${count} with ${status === 0 ? "nothing" : status}`;
}

function tableOf(rows: readonly (readonly [string, string | number])[]): string {
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join("");
}

/** Why some texts have no reply, by reason; ids differ and are left out. */
function reasonsOf(accounts: Accounts): string {
  const reasons = new Map<string, number>();
  for (const { fate, reason } of accounts.explained) {
    const kind = `${fate}: ${reason.replace(/msg_[0-9a-zA-Z]+/g, "…")}`.slice(0, 160);
    reasons.set(kind, (reasons.get(kind) ?? 0) + 1);
  }
  return [...reasons].map(([reason, count]) => `${String(count).padStart(6)} × ${reason}\n`).join("");
}

/** The first of each rule are shown in full. */
const SHOWN = 10;

function violationsOf(violations: readonly Violation[]): string {
  const byRule = Map.groupBy(violations, ({ rule }) => rule);
  return [...byRule]
    .map(
      ([rule, all]) =>
        `\n${all.length} × ${rule}: ${RULES[rule]}\n${all
          .slice(0, SHOWN)
          .map(({ about }) => `    ${about}\n`)
          .join("")}`,
    )
    .join("");
}
