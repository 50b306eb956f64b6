import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import {
  ADMIN_TOKEN,
  type CarrierProcess,
  freePorts,
  PHONE,
  startCarrier,
  startService,
  twilioConfig,
} from "./running.ts";

setDefaultTimeout(60_000);

let sandbox: Sandbox | undefined;
const mounted: string[] = [];

afterEach(async () => {
  for (const folder of mounted.splice(0)) spawnSync("umount", ["-l", folder]);
  await sandbox?.close();
  sandbox = undefined;
});

const mount = (...args: readonly string[]): boolean => spawnSync("mount", args).status === 0;

/** A disk of its own needs the right to mount one. */
const MAY_MOUNT = (() => {
  const folder = mkdtempSync(join(tmpdir(), "sms-agent-mount-"));
  try {
    if (!mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)) return false;
    return spawnSync("umount", [folder]).status === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
})();

interface Disk {
  readonly box: Sandbox;
  readonly carrier: CarrierProcess;
  readonly ports: ReturnType<typeof freePorts>;
  readonly folder: string;
  fill(): void;
  free(): void;
}

/** Replies of one segment, since a number sends one a second and the last text waits for those before it. */
const QUICK = { channel: "allow_all_senders: true", top: "limits: { segments_per_reply: 1 }" };

async function smallDisk(): Promise<Disk> {
  const box = await openSandbox();
  sandbox = box;
  const folder = join(box.folder, "data");
  mkdirSync(folder);
  if (!mount("-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)) throw new Error("no tmpfs");
  mounted.push(folder);
  const carrier = await startCarrier(box);
  const ports = freePorts();
  box.write("sms.yaml", twilioConfig(carrier, ports, QUICK));
  const filler = join(folder, "filler");
  return {
    box,
    carrier,
    ports,
    folder,
    fill: () => spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=1024", "count=20000"]),
    free: () => rmSync(filler),
  };
}

/** What `/readyz` says on the admin listener. */
async function readiness(ports: Disk["ports"]): Promise<readonly [number, string]> {
  const told = await fetch(`http://127.0.0.1:${ports.adminPort}/readyz`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  });
  return [told.status, await told.text()];
}

const LONG = "a long text ".repeat(100);

describe.skipIf(!MAY_MOUNT)("a disk of its own (skipped where mounting one is not allowed)", () => {
  test("that gets full: texts are refused, not lost; the log stays short; with room all are answered", async () => {
    const { box, carrier, ports, fill, free } = await smallDisk();
    const service = await startService(box, ports);
    await service.status("connected");
    await carrier.text(PHONE, "before");
    await carrier.received(PHONE, 1);
    fill();
    // Twilio tries each of them several times, and then gives up: the list has them.
    for (let i = 0; i < 20; i++) await carrier.text(PHONE, `${LONG}${i}`);
    await service.process.shown(/"event":"alert".*"cause":"disk"/, "stderr");
    const [status, why] = await readiness(ports);
    expect([status, why]).toEqual([503, expect.stringMatching(/SQLITE_FULL|disk .* is full/)]);
    expect((await fetch(`${service.publicUrl}/readyz`)).status).toBe(503);
    const lines = service.process.stderr().split("\n");
    expect(lines.filter((line) => line.includes('"webhook.failed"'))).toHaveLength(1);
    expect(lines.length).toBeLessThan(60);
    const backup = await box.run(["backup", "data/b"]);
    expect([backup.code, backup.stderr]).toEqual([1, expect.stringContaining("not enough space")]);
    free();
    await until("the service to be ready", async () =>
      (await readiness(ports))[0] === 200 ? true : undefined,
    );
    // One that comes a moment earlier may still be refused more often than the carrier tries; the list has it then.
    await carrier.text(PHONE, "after");
    await until("the text to be answered", async () =>
      (await carrier.texts(PHONE)).some(
        ({ text, arrived_at }) => text === "after" && arrived_at !== undefined,
      )
        ? true
        : undefined,
    );
    expect((await service.stop()).code).toBe(0);
  });

  test("that is full or read-only at the start: it says so, names the folder, and exits with 1", async () => {
    const { box, folder, fill, free } = await smallDisk();
    fill();
    const full = await box.run(["serve"]);
    expect([full.code, full.stderr]).toEqual([1, expect.stringContaining("disk is full")]);
    expect(full.stderr).toContain(folder);
    free();
    expect(mount("-o", "remount,ro", folder)).toBe(true);
    const readOnly = await box.run(["serve"]);
    expect([readOnly.code, readOnly.stderr]).toEqual([1, expect.stringContaining("the disk is read-only")]);
    expect(readOnly.stderr).toContain(folder);
  });
});

test("a damaged database stops the start with exit code 1, what is wrong and the way out", async () => {
  const box = await openSandbox();
  sandbox = box;
  const carrier = await startCarrier(box);
  const ports = freePorts();
  box.write("sms.yaml", twilioConfig(carrier, ports));
  await (await startService(box, ports)).stop();
  const good = await box.run(["backup", "good"]);
  expect(good.code).toBe(0);
  writeFileSync(join(box.folder, "data", "sms-agent.db"), "");
  const refused = await box.run(["serve"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("sms-agent.db is empty");
  expect(refused.stderr).toContain("sms-agent restore FILE");
  expect(refused.stderr).not.toContain("    at ");
  const checked = await box.run(["check", "--data"]);
  expect([checked.code, checked.stderr]).toEqual([1, expect.stringContaining("is empty")]);
  expect((await box.run(["restore", "good"])).code).toBe(0);
  const again = await startService(box, ports);
  await again.stop();
  expect((await box.run(["check", "--data", "--json"])).stdout).toContain('"ok": true');
});
