import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openConfigFile } from "../../src/config/file.ts";
import { type ConfigFile, createConfiguration } from "../../src/configuration.ts";
import { closing } from "../support/cleanup.ts";
import { manualClock } from "../support/clock.ts";
import { PHONE, type Service } from "../support/service.ts";
import { configPath, edit, fileOf, linesOf, startWithYaml, texted, YAML } from "./support.ts";

setDefaultTimeout(20_000);

async function start(options: Parameters<typeof startWithYaml>[0] = {}): Promise<Service> {
  const service = closing(await startWithYaml(options));
  return service;
}

const toSignal = (running: Service) => running.api("PATCH", "/channels/sms", { mode: "signal" });

/** 409 with a fix, the file as it was, and the channel still answers. */
async function expectNothingChanged(running: Service, detail: string, fix: string): Promise<void> {
  const before = fileOf(running);
  const answer = await toSignal(running);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.body).toMatchObject({ status: 409, detail: expect.stringContaining(detail) });
  expect(answer.body.fix).toContain(fix);
  expect(fileOf(running)).toBe(before);
  expect(readdirSync(running.folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  expect((await running.api("GET", "/channels/sms")).body.mode).toBe("message");
  expect((await texted(running, PHONE, "still there?")).route).toBe("message");
}

describe("a mode is not switched, and nothing changes, when", () => {
  test("the value comes from the environment", async () => {
    const running = await start({ yaml: YAML.replace("mode: message  ", `mode: \${MODE:-message}  `) });
    await expectNothingChanged(
      running,
      "channels.sms.mode comes from an environment variable",
      "write signal instead of the variable, or set it",
    );
  });

  test("the value comes from an alias", async () => {
    const home = `home: { channel: sms, address: "+15557654321", label: &m message }\n`;
    const running = await start({ yaml: home + YAML.replace("mode: message  ", "mode: *m  ") });
    await expectNothingChanged(running, "channels.sms.mode comes from an alias (*m)", "instead of the alias");
  });

  test("the value is used elsewhere through an anchor", async () => {
    const home = `home: { channel: sms, address: "+15557654321", label: *m }\n`;
    const running = await start({ yaml: YAML.replace("mode: message  ", "mode: &m message  ") + home });
    await expectNothingChanged(
      running,
      "is shared with other places through an anchor",
      "without the anchor",
    );
  });

  test("the file is at that moment not valid YAML", async () => {
    const running = await start();
    edit(running, ["allow_all_senders: true", "allow_all_senders: true\n  broken: ["]);
    await expectNothingChanged(running, "sms.yaml:1", "Correct the file first");
  });

  test("the file is at that moment not a valid configuration", async () => {
    const running = await start();
    edit(running, ["debounce: 0s", "debounce: soon"]);
    await expectNothingChanged(running, "channels.sms.debounce", "Correct the file first");
  });

  test("the policies on disk are broken", async () => {
    const running = await start({
      yaml: `${YAML}policies: ./rules\n`,
      files: { "rules/a.cedar": '@id("mine") permit (principal, action, resource);' },
    });
    writeFileSync(join(running.folder, "rules", "a.cedar"), "permit (principal, action, resource)");
    await expectNothingChanged(running, "a.cedar:1:", "those in force stay");
  });

  test("the file holds a change that needs a restart", async () => {
    const running = await start();
    edit(running, ["data_dir: ./data", "data_dir: ./other"]);
    await expectNothingChanged(running, "data_dir cannot be changed while the service runs", "Restart");
  });

  test("the file is read-only, also for root", async () => {
    const running = await start();
    chmodSync(configPath(running), 0o444);
    await expectNothingChanged(running, "cannot be written", "change the file yourself");
  });

  test("the file is not UTF-8, for what cannot be read cannot be kept", async () => {
    const running = await start();
    const latin = Buffer.from(YAML.replace("The phones", "Die T\u00fcr"), "latin1");
    writeFileSync(configPath(running), latin);
    const answer = await toSignal(running);
    expect([answer.status, answer.body.detail]).toEqual([409, expect.stringContaining("not UTF-8")]);
  });

  test("the file has been taken away", async () => {
    const running = await start();
    const path = configPath(running);
    renameSync(path, `${path}.away`);
    const answer = await toSignal(running);
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      expect.stringContaining("there is no such file"),
    ]);
    renameSync(`${path}.away`, path);
    expect((await toSignal(running)).body.mode).toBe("signal");
  });

  test("the channel is no longer in the file", async () => {
    const running = await start();
    writeFileSync(configPath(running), YAML.replaceAll("  sms: ", "  phone: "));
    const answer = await toSignal(running);
    expect([answer.status, answer.body.detail]).toEqual([409, expect.stringContaining("no channel sms")]);
  });

  test("the service was started without a file", async () => {
    const running = await start({ seams: { configFile: undefined } as object });
    const answer = await toSignal(running);
    expect([answer.status, answer.body.fix]).toEqual([409, "Start it with --config FILE."]);
    expect(fileOf(running)).toBe(YAML);
  });
});

describe("somebody else's edit between our reading and our writing", () => {
  /** The real file, and another program that writes right before each of the first `times` writes of ours. */
  function contended(path: () => string, times: number): { file: () => ConfigFile; writes: () => number } {
    let writes = 0;
    return {
      writes: () => writes,
      file: () => {
        const real = openConfigFile({ path: path(), env: {}, simulatorSeed: "seed of the tests" });
        return {
          ...real,
          draft(channel, change) {
            const draft = real.draft(channel, change);
            if (draft.kind !== "ok") return draft;
            return {
              ...draft,
              write() {
                writes += 1;
                if (writes <= times) writeFileSync(path(), `${YAML}# edit ${writes}\n`);
                return draft.write();
              },
            };
          },
        };
      },
    };
  }

  async function startContended(times: number) {
    const first = await start();
    const { folder } = first;
    await first.stop();
    const other = contended(() => join(folder, "sms.yaml"), times);
    const running = await first.restart({ seams: { configFile: other.file() } });
    return { running, other };
  }

  test("is kept: the switch is made on top of it", async () => {
    const { running, other } = await startContended(2);
    expect((await toSignal(running)).body.mode).toBe("signal");
    expect(other.writes()).toBe(3);
    expect(fileOf(running)).toBe(`${YAML.replace("mode: message  ", "mode: signal  ")}# edit 2\n`);
  });

  test("again and again ends in a refusal, not in a lost edit", async () => {
    const { running } = await startContended(1_000);
    const answer = await toSignal(running);
    expect([answer.status, answer.body.fix]).toEqual([409, expect.stringContaining("Try again")]);
    expect(fileOf(running)).toMatch(/# edit \d+\n$/);
    expect(fileOf(running)).toContain("mode: message  ");
  });
});

describe("a reload is refused, and the old settings stay in force, when", () => {
  test("the file is invalid; line and fix are shown until it is right", async () => {
    const running = await start();
    edit(running, ["mode: message  ", "mode: messages  "], ["debounce: 0s", "debounce: soon"]);
    expect((await running.app.configuration.reload()).kind).toBe("refused");
    const problems = linesOf(running, "config.problem").map(({ error }) => String(error));
    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/sms\.yaml:10:\d+ channels\.sms\.mode/);
    expect(problems[1]).toMatch(/sms\.yaml:13:\d+ channels\.sms\.debounce/);
    const { body } = await running.api("GET", "/configuration");
    expect(body.error.message).toBe(problems.join("\n"));
    expect(body.error.fix).toContain("stays as it is");
    const ready = await fetch(`${running.adminUrl}/readyz`, {
      headers: { authorization: `Bearer ${running.token}` },
    });
    expect(ready.status).toBe(200);
    expect(await ready.json()).toMatchObject({
      ready: true,
      checks: expect.arrayContaining([{ name: "configuration", ok: false, reason: problems.join("\n") }]),
    });
    expect((await fetch(`${running.publicUrl}/readyz`)).status).toBe(200);
    expect((await texted(running, PHONE, "hello")).route).toBe("message");

    writeFileSync(configPath(running), YAML);
    expect(await running.app.configuration.reload()).toEqual({ kind: "reloaded" });
    expect((await running.api("GET", "/configuration")).body.error).toBeUndefined();
  });

  test("the policies are broken, though the file is right: none of it is taken over", async () => {
    const running = await start({
      yaml: `${YAML}policies: ./rules\n`,
      files: { "rules/a.cedar": '@id("mine") permit (principal, action, resource);' },
    });
    writeFileSync(
      join(running.folder, "rules", "a.cedar"),
      '@id("mine") permit (principal == Policy::Agent::"x", action, resource);',
    );
    edit(running, ["mode: message  ", "mode: signal  "]);
    const outcome = await running.app.configuration.reload();
    expect(outcome).toMatchObject({ kind: "refused", message: expect.stringContaining("a.cedar:1:") });
    expect((await running.api("GET", "/channels/sms")).body.mode).toBe("message");
    expect((await running.api("GET", "/policies")).body.items.map(({ id }: { id: string }) => id)).toContain(
      "mine",
    );
    rmSync(join(running.folder, "rules"), { recursive: true });
    expect((await running.app.configuration.reload()).kind).toBe("refused");
    expect(linesOf(running, "config.problem").at(-1)?.error).toContain("policies: is no folder");
  });

  test("something of ours breaks over it, which is logged and shown as such", async () => {
    const running = await start();
    const lines: string[] = [];
    const note = (event: string) => void lines.push(event);
    const configuration = createConfiguration({
      file: openConfigFile({ path: configPath(running), env: {}, simulatorSeed: "x" }),
      prepare() {
        throw new TypeError("a bug with secrets in it");
      },
      clock: manualClock(),
      log: { debug: note, info: note, warn: note, error: note },
    });
    expect(await configuration.reload()).toMatchObject({
      kind: "refused",
      message: "internal error, see the log",
    });
    expect(configuration.error()?.message).toBe("internal error, see the log");
    expect(lines).toEqual(["config.failed", "config.problem", "config.refused"]);
    expect(configuration.change("sms", { mode: "signal" })).rejects.toThrow(TypeError);
    expect(fileOf(running)).toBe(YAML);
  });

  test("a listen address or the data folder was changed, and it says what to do", async () => {
    const running = await start();
    edit(
      running,
      ["server: { listen: 127.0.0.1:0 }", "server: { listen: 127.0.0.1:9 }"],
      [`"127.0.0.1:0"`, `"127.0.0.1:10"`],
      ["mode: message  ", "mode: signal  "],
    );
    const outcome = await running.app.configuration.reload();
    expect(outcome).toEqual({
      kind: "refused",
      message:
        "server.listen cannot be changed while the service runs: it is 127.0.0.1:0, and the file says 127.0.0.1:9.\n" +
        "admin.listen cannot be changed while the service runs: it is 127.0.0.1:0, and the file says 127.0.0.1:10.",
      fix: "Restart the service to take the file over, or set server.listen and admin.listen back.",
    });
    expect((await running.api("GET", "/channels/sms")).body.mode).toBe("message");
    expect((await running.api("GET", "/configuration")).body.error.fix).toContain("Restart");
  });
});
