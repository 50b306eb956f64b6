import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { openSandbox, type Sandbox, until } from "../support/binary.ts";
import {
  type CarrierProcess,
  field,
  freePorts,
  list,
  PHONE,
  startCarrier,
  startService,
  twilioConfig,
} from "./running.ts";

setDefaultTimeout(60_000);

let sandbox: Sandbox | undefined;

afterEach(async () => {
  await sandbox?.close();
  sandbox = undefined;
});

const PHONES = Array.from({ length: 12 }, (_, i) => `+1555200${String(i).padStart(4, "0")}`);

/** Texts that every phone has got, oldest first. */
async function inboxes(carrier: CarrierProcess): Promise<ReadonlyMap<string, readonly string[]>> {
  const texts = await Promise.all(
    PHONES.map(async (phone) => {
      const got = (await carrier.texts(phone)).filter(({ arrived_at }) => arrived_at !== undefined);
      return [phone, got.map(({ text }) => text).sort()] as const;
    }),
  );
  return new Map(texts);
}

describe("backup and restore of the binary", () => {
  test("a backup under load, restored elsewhere and started: nobody is texted again", async () => {
    const box = await openSandbox();
    sandbox = box;
    const carrier = await startCarrier(box);
    const ports = freePorts();
    const limits = "limits: { sender_per_minute: 10000, segments_per_day: 1000000 }";
    const config = twilioConfig(carrier, ports, { channel: "allow_all_senders: true", top: limits });
    box.write("sms.yaml", config);
    box.write("data/secret.key", "THE-KEY-OF-THE-SECRETS", 0o600);
    const first = await startService(box, ports);
    await first.status("connected");

    let number = 0;
    let flowing = true;
    const flow = (async () => {
      while (flowing) {
        await Promise.all(
          Array.from({ length: 4 }, () => {
            const mine = number++;
            return carrier.text(PHONES[mine % PHONES.length] ?? "", `text ${mine}`);
          }),
        );
      }
    })();
    await until("some texts to be answered", async () => (number > 100 ? true : undefined));
    const made = await box.run(["backup", "safe.backup", "--json"]);
    expect([made.code, made.stderr]).toEqual([0, ""]);
    const counted = number;
    await until("texts after the backup", async () => (number > counted + 40 ? true : undefined));
    flowing = false;
    await flow;
    const answered = async () => [...(await inboxes(carrier)).values()].flat().join("\n");
    await until("every text to be answered", async () => {
      const all = new Set((await answered()).split("\n"));
      return Array.from({ length: number }, (_, i) => all.has(`text ${i}`)).every(Boolean) ? true : undefined;
    });
    await first.stop();
    const before = await inboxes(carrier);

    const file = join(box.folder, "safe.backup");
    expect((statSync(file).mode & 0o777).toString(8)).toBe("600");
    const bytes = readFileSync(file, "latin1");
    for (const secret of ["THE-KEY-OF-THE-SECRETS", "the-admin-token-of-the-tests"])
      expect(bytes).not.toContain(secret);

    box.write("elsewhere/sms.yaml", config);
    const restored = await box.run(["restore", "safe.backup", "--config", "elsewhere/sms.yaml", "--json"]);
    expect([restored.code, restored.stderr]).toEqual([0, ""]);
    const second = await startService(box, ports, { config: "elsewhere/sms.yaml" });
    await second.process.shown(/"event":"catch_up.admitted"/, "stderr");
    // All that a text could set off is over once a later one is answered.
    await carrier.text(PHONE, "and now?");
    await carrier.received(PHONE, 1);
    expect(await inboxes(carrier)).toEqual(before);
    const waiting = list(await second.api("GET", "/messages?direction=inbound&state=failed&limit=200"));
    expect(waiting.length).toBeGreaterThan(40);
    expect(field(waiting[0], "error")).not.toBe("");
    await second.stop();
  });

  test("a backup that is killed leaves no file of its name, and the next one cleans up", async () => {
    const box = await openSandbox();
    sandbox = box;
    const carrier = await startCarrier(box);
    const ports = freePorts();
    box.write("sms.yaml", twilioConfig(carrier, ports));
    const service = await startService(box, ports);
    for (let tried = 0; tried < 5; tried++) {
      const killed = box.start(["backup", "b"]);
      await until("the copy to begin", async () =>
        readdirSync(box.folder).some((name) => name.endsWith(".partial")) || existsSync(join(box.folder, "b"))
          ? true
          : undefined,
      );
      killed.kill("SIGKILL");
      await killed.ended;
      if (!existsSync(join(box.folder, "b"))) break;
      await box.run(["backup", "b", "--overwrite"]);
    }
    const next = await box.run(["backup", "b", "--overwrite"]);
    expect([next.code, next.stderr]).toEqual([0, ""]);
    expect(readdirSync(box.folder).filter((name) => name.startsWith("b"))).toEqual(["b"]);
    const refused = await box.run(["restore", "b"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`is in use by another sms-agent (process ${service.process.pid})`);
    await service.stop();
  });
});
