import { closeSync, mkdirSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { balance } from "./accounts.ts";
import { integrityOf } from "./database.ts";
import type { Dice } from "./dice.ts";
import type { Violation } from "./findings.ts";
import { booksOf, connected, endedByItself, settle } from "./finish.ts";
import { startLoad } from "./load.ts";
import { unexpectedErrors } from "./log-errors.ts";
import { CALM, ECHO, type Phase } from "./phase.ts";
import type { Logged } from "./processes.ts";
import { openRig } from "./rig.ts";

/** A small file system in memory, for the data folder. */
interface SmallDisk {
  /** Takes all room that is left. */
  fill(): void;
  free(): void;
  readOnly(yes: boolean): boolean;
  remove(): void;
}

/** MiB: the unpacked SQLite addon and a database of some minutes fit. */
const SIZE = 24;

/** Undefined where this user may not mount anything. */
function mountSmallDisk(folder: string): SmallDisk | undefined {
  mkdirSync(folder, { recursive: true });
  const mount = (...args: string[]) =>
    Bun.spawnSync(["mount", ...args], { stdout: "ignore", stderr: "ignore" }).success;
  if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined;
  if (!mount("-t", "tmpfs", "-o", `size=${SIZE}m,mode=700`, "tmpfs", folder)) return undefined;
  const filler = join(folder, "filler");
  return {
    fill() {
      const file = openSync(filler, "a");
      const page = Buffer.alloc(4_096);
      try {
        for (;;) writeSync(file, page);
      } catch {
        // No room is left, which is what was wanted.
      } finally {
        closeSync(file);
      }
    },
    free: () => rmSync(filler, { force: true }),
    readOnly: (yes) => mount("-o", `remount,${yes ? "ro" : "rw"}`, folder),
    remove: () => void Bun.spawnSync(["umount", "-l", folder]),
  };
}

/** The disk is full for a while, with a kill and a start meanwhile; then it is read-only at a start. */
export async function badDisk(program: string, folder: string, dice: Dice): Promise<Phase> {
  const dataDir = join(folder, "disk");
  const disk = mountSmallDisk(dataDir);
  if (disk === undefined)
    return {
      name: "bad disk",
      kills: 0,
      lines: [],
      violations: [],
      skipped: "mounting a small disk takes root on Linux",
    };
  const rig = await openRig({ ...CALM, program, folder, channels: [ECHO], dice, dataDir });
  const violations: Violation[] = [];
  const lines: string[] = [];
  try {
    let service = rig.start();
    await rig.ready(service);
    await connected(rig);
    const load = startLoad({
      ...CALM,
      carrier: rig.carrier,
      dice,
      channels: [[1, ECHO]],
      rate: 40,
      phones: 60,
      textsPerPhone: 8,
    });
    const refusedSoFar = () => rig.answers.get(503) ?? 0;
    const expectRunning = () => {
      if (!service.running()) violations.push(endedByItself(service));
    };
    /** A start that is refused says why, and shows nobody where in the program. */
    const expectWords = () => {
      const line = lines.at(-1) ?? "";
      if (line.includes("    at "))
        violations.push({ rule: "ended badly", about: `a bad disk is no mistake of the program: ${line}` });
    };
    await Bun.sleep(2_000);
    disk.fill();
    await Bun.sleep(5_000);
    expectRunning();
    const refused = refusedSoFar();
    disk.free();
    await Bun.sleep(3_000);
    expectRunning();
    lines.push(`full for 5 s under load: ${refused} webhooks answered with 503, none with 200`);
    if (refused === 0)
      violations.push({ rule: "missing", about: "the disk was full and no webhook was refused" });

    disk.fill();
    await Bun.sleep(1_000);
    service.kill("SIGKILL");
    await service.ended;
    service = rig.start();
    lines.push(`started on the full disk: ${await outcomeOf(service, () => rig.ready(service, 8_000))}`);
    expectWords();
    disk.free();
    if (!service.running()) service = rig.start();
    await rig.ready(service);
    await Bun.sleep(2_000);
    await load.stop();
    service.kill("SIGKILL");
    await service.ended;

    if (disk.readOnly(true)) {
      const stuck = rig.start();
      const outcome = await outcomeOf(stuck, () => rig.ready(stuck, 8_000));
      lines.push(`started on the read-only disk: ${outcome}`);
      expectWords();
      if (stuck.running())
        violations.push({ rule: "ended badly", about: "it runs although it cannot write" });
      stuck.kill("SIGKILL");
      await stuck.ended;
      disk.readOnly(false);
    } else lines.push("read-only: skipped, the disk cannot be remounted");

    service = rig.start();
    await rig.ready(service);
    await settle(rig, load, { patience: 300_000, unclear: true });
    await rig.stop(service);
    const sound = integrityOf(rig.database);
    if (sound !== "ok") violations.push({ rule: "damaged", about: sound });
    const accounts = balance(await booksOf(rig, load, true));
    const { fates } = accounts;
    lines.push(
      `${accounts.sent} texts, ${accounts.acknowledged} acknowledged, ${fates.answered} answered, ${fates.unknown} unknown`,
    );
    violations.push(...accounts.violations, ...unexpectedErrors(join(folder, "service.log"), OF_A_BAD_DISK));
    return { name: "bad disk", kills: 2, lines, violations };
  } finally {
    await rig.close();
    disk.remove();
  }
}

/** Errors that a full disk explains, and the last words of a start that was refused. */
const OF_A_BAD_DISK: ReadonlySet<string> = new Set([
  "send.unknown",
  "alert disk",
  "webhook.failed",
  "not a log line",
  "outbox.failed",
  "turns.failed",
]);

/** What came of a start, in words: that it listens, or how it ended and what it said last. */
async function outcomeOf(service: Logged, ready: () => Promise<void>): Promise<string> {
  try {
    await ready();
    return "it listens";
  } catch (error) {
    if (service.running()) return String(error);
    const said = service.printed().trim().split("\n").slice(-2).join(" ");
    return `it ended with ${await service.ended} and said: ${said.slice(0, 300)}`;
  }
}
