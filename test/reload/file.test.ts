import { describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openConfigFile } from "../../src/config/file.ts";
import { closing } from "../support/cleanup.ts";
import type { Service } from "../support/service.ts";
import { configPath, edit, fileOf, linesOf, startWithYaml, YAML } from "./support.ts";

setDefaultTimeout(20_000);

async function start(options: Parameters<typeof startWithYaml>[0] = {}): Promise<Service> {
  const service = closing(await startWithYaml(options));
  return service;
}

const patch = (running: Service, channel: string, body: object) =>
  running.api("PATCH", `/channels/${channel}`, body);

describe("the file a switch is written into", () => {
  test("stays a symbolic link, relative ones too, and its target is what changes", async () => {
    const running = await start();
    const path = configPath(running);
    mkdirSync(join(running.folder, "real"));
    renameSync(path, join(running.folder, "real", "config.yaml"));
    symlinkSync("real/config.yaml", path);
    expect((await patch(running, "sms", { mode: "signal" })).body.mode).toBe("signal");
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(running.folder, "real", "config.yaml"), "utf8")).toContain("mode: signal");
    expect(readdirSync(join(running.folder, "real"))).toEqual(["config.yaml"]);
  });

  test("keeps its permissions and its owner", async () => {
    const running = await start();
    const path = configPath(running);
    const root = process.getuid?.() === 0;
    if (root) chownSync(path, 1234, 2345);
    chmodSync(path, 0o640);
    await patch(running, "sms", { mode: "signal" });
    const { mode, uid, gid } = statSync(path);
    expect(mode & 0o777).toBe(0o640);
    if (root) expect([uid, gid]).toEqual([1234, 2345]);
  });

  test("keeps Windows line ends and a byte order mark", async () => {
    const yaml = `\uFEFF${YAML.replaceAll("\n", "\r\n")}`;
    const running = await start({ yaml });
    expect((await patch(running, "sms", { mode: "signal" })).status).toBe(200);
    expect(fileOf(running)).toBe(yaml.replace("mode: message  ", "mode: signal  "));
  });
});

describe("many switches at once", () => {
  test("all stand in the file and in force, and the last one wins", async () => {
    const running = await start();
    const answers = await Promise.all([
      ...Array.from({ length: 10 }, (_, n) => patch(running, "sms", { mode: n % 2 ? "message" : "signal" })),
      patch(running, "sms", { enabled: false }),
      patch(running, "codes", { enabled: false }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const { body } = await running.api("GET", "/channels");
    const [sms, codes] = body.items;
    expect(codes).toMatchObject({ enabled: false, status: "disabled" });
    expect(sms).toMatchObject({ enabled: false, status: "disabled" });
    const onDisk = openConfigFile({ path: configPath(running), env: {}, simulatorSeed: "x" }).read();
    if (onDisk.kind !== "ok") throw new Error(onDisk.problems.join());
    expect(onDisk.settings.channels.sms).toMatchObject({ mode: sms.mode, enabled: false });
    expect(onDisk.settings.channels.codes?.enabled).toBe(false);
  });

  test("together with reloads and hand edits lose nothing", async () => {
    const running = await start();
    const work: Promise<unknown>[] = [];
    for (let n = 0; n < 20; n++) {
      work.push(patch(running, "sms", { mode: n % 2 ? "message" : "signal" }));
      if (n % 3 === 0) work.push(running.app.configuration.reload());
      if (n === 10)
        edit(running, ["# only here", "# by hand"], ['mode: "signal" }', 'mode: "signal", enabled: false }']);
    }
    await Promise.all(work);
    await running.app.configuration.reload();
    expect(fileOf(running)).toContain("# by hand");
    expect((await running.api("GET", "/channels/codes")).body.enabled).toBe(false);
    const { mode } = (await running.api("GET", "/channels/sms")).body;
    expect(fileOf(running)).toContain(`mode: ${mode}  `);
    expect(linesOf(running, "config.refused")).toEqual([]);
  });

  test("make one pairing code, not one each", async () => {
    const running = await start({
      yaml: YAML.replace("allow_all_senders: true", "allow_all_senders: false"),
    });
    const before = linesOf(running, "pairing.code").length;
    const modes = ["signal", "message", "signal", "message"];
    await Promise.all(modes.map((mode) => patch(running, "sms", { mode })));
    expect((await patch(running, "sms", { mode: "message" })).body).toMatchObject({ status: "pairing" });
    expect(linesOf(running, "pairing.code").length).toBe(before);
    const fresh = YAML.replaceAll("allow_all_senders: true", "allow_all_senders: false").replace(
      "agents:",
      `  more: { provider: simulator, from_number: "+15550100003", mode: signal, agent: parrot }\nagents:`,
    );
    writeFileSync(configPath(running), fresh);
    const reloads = [running.app.configuration.reload(), patch(running, "more", { mode: "message" })];
    await Promise.all([...reloads, patch(running, "more", { enabled: true })]);
    expect(linesOf(running, "pairing.code").filter(({ channel }) => channel === "more")).toHaveLength(1);
  });
});

describe("what a configuration was read from", () => {
  const open = (running: Service) => {
    const file = openConfigFile({ path: configPath(running), env: {}, simulatorSeed: "x" });
    file.read();
    return file;
  };

  test("has not changed when it was only touched, or written by the file itself", async () => {
    const running = await start();
    const file = open(running);
    const stamp = file.stamp();
    writeFileSync(configPath(running), YAML);
    expect(file.changed()).toBe(false);
    const draft = file.draft("sms", { mode: "signal" });
    if (draft.kind !== "ok") throw new Error(draft.message);
    expect(file.changed()).toBe(false);
    expect(draft.write()).toEqual({ kind: "written" });
    expect(fileOf(running)).toContain("mode: signal");
    expect(file.changed()).toBe(false);
    expect(file.stamp()).not.toBe(stamp);
  });

  test("has changed when a secret file, a policy or the set of policies has", async () => {
    const running = await start({
      yaml: `${YAML}webhooks:\n  - { url: "http://127.0.0.1:9/x", secret_file: ./hook.key, events: [alert] }\n`,
      files: { "hook.key": "one", "policies/a.cedar": '@id("a") permit (principal, action, resource);' },
    });
    const path = (name: string) => join(running.folder, name);
    for (const change of [
      () => writeFileSync(path("hook.key"), "two"),
      () => writeFileSync(path("policies/a.cedar"), '@id("b") permit (principal, action, resource);'),
      () => writeFileSync(path("policies/c.cedar"), ""),
      () => renameSync(path("policies/c.cedar"), path("policies/d.cedar")),
      () => writeFileSync(path("policies/misspelt.ceder"), ""),
      () => mkdirSync(path("policies/sub")),
      () => renameSync(path("policies"), path("elsewhere")),
    ]) {
      const file = open(running);
      const stamp = file.stamp();
      expect([change.toString(), file.changed()]).toEqual([change.toString(), false]);
      change();
      expect([change.toString(), file.changed(), file.stamp() === stamp]).toEqual([
        change.toString(),
        true,
        false,
      ]);
    }
  });
});
