import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePorts } from "../../src/app-ports.ts";

setDefaultTimeout(60_000);

/** The longest a test waits for the process to say something, ms. */
const PATIENCE = 20_000;
const MAIN = resolve(import.meta.dir, "..", "..", "src", "main.ts");

let folder: string | undefined;
let child: ChildProcess | undefined;

afterEach(async () => {
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((done) => child?.once("exit", done));
    child.kill("SIGKILL");
    await ended;
  }
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = child = undefined;
});

/** The service as its own process, from a file with comments. */
async function serve() {
  const home = mkdtempSync(join(tmpdir(), "sms-agent-reload-"));
  folder = home;
  const [publicPort, adminPort] = await freePorts([0, 0]);
  const config = join(home, "sms.yaml");
  const yaml = `server: { listen: 127.0.0.1:${publicPort} }
admin: { listen: 127.0.0.1:${adminPort} }
data_dir: ./data
log: { format: json, level: info }
channels:
  sms:   # ours
    provider: simulator
    from_number: "+15550100001"
    mode: message # for now
    agent: parrot
    allow_all_senders: true
  codes: { provider: simulator, from_number: "+15550100002", mode: signal }
agents: { parrot: { type: echo } }
`;
  writeFileSync(config, yaml);
  const process_ = spawn(process.execPath, [MAIN, "serve", "--config", config], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  child = process_;
  const lines: Record<string, unknown>[] = [];
  let rest = "";
  let look = () => {};
  process_.stderr.setEncoding("utf8").on("data", (data: string) => {
    const parts = (rest + data).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) lines.push(JSON.parse(part));
    look();
  });
  process_.once("exit", () => look());
  /** Resolves with the `count`-th line of this event with these fields. */
  const logged = (event: string, fields: Record<string, unknown> = {}, count = 1) =>
    new Promise<Record<string, unknown>>((done, failed) => {
      const found = () =>
        lines.filter(
          (line) =>
            line.event === event && Object.entries(fields).every(([name, value]) => line[name] === value),
        )[count - 1];
      const timer = setTimeout(
        () => failed(new Error(`waited in vain for ${event}: ${JSON.stringify(lines.slice(-10))}`)),
        PATIENCE,
      );
      look = () => {
        const line = found();
        if (line !== undefined) {
          clearTimeout(timer);
          done(line);
        } else if (process_.exitCode !== null || process_.signalCode !== null) {
          clearTimeout(timer);
          failed(new Error(`it ended: ${process_.exitCode} ${process_.signalCode} ${JSON.stringify(lines)}`));
        }
      };
      look();
    });
  await logged("channel.status", { channel: "sms", status: "connected" });
  return { config, yaml, process: process_, lines, logged };
}

/** One command line of the CLI against the service. */
async function cli(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const started = spawn(process.execPath, [MAIN, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: PATIENCE,
  });
  let [stdout, stderr] = ["", ""];
  started.stdout.on("data", (data) => {
    stdout += data;
  });
  started.stderr.on("data", (data) => {
    stderr += data;
  });
  const code = await new Promise<number | null>((done) => started.once("close", done));
  return { code, stdout, stderr };
}

describe("the running service", () => {
  test("reloads on SIGHUP and when the file changes, survives a broken file, and ends on SIGTERM", async () => {
    const running = await serve();
    const signal = running.yaml.replace("mode: message", "mode: signal");

    // As editors save: another file takes the name.
    writeFileSync(`${running.config}.new`, signal);
    renameSync(`${running.config}.new`, running.config);
    await running.logged("config.reloaded");
    const shown = await cli("mode", "sms", "--config", running.config, "--json");
    expect(JSON.parse(shown.stdout)).toMatchObject({ id: "sms", mode: "signal", status: "connected" });

    writeFileSync(running.config, running.yaml.replace("agent: parrot", "agent: parot"));
    running.process.kill("SIGHUP");
    const problem = await running.logged("config.problem");
    expect(String(problem.error)).toMatch(/sms\.yaml:10:\d+ channels\.sms\.agent: .*parrot/);
    await running.logged("config.refused");

    writeFileSync(running.config, running.yaml.replace("level: info", "level: warn"));
    running.process.kill("SIGHUP");
    // At level warn nothing more is told; the API shows the mode that the file says now.
    let mode = "";
    for (let tries = 0; tries < 50 && mode !== "message"; tries++)
      mode = JSON.parse((await cli("mode", "sms", "--config", running.config, "--json")).stdout).mode;
    expect(mode).toBe("message");
    expect(running.lines.filter(({ event }) => event === "config.reloaded")).toHaveLength(1);

    const ended = new Promise((done) => running.process.once("exit", done));
    running.process.kill("SIGTERM");
    expect(await ended).toBe(0);
  });

  test("is switched by `sms-agent mode`, which rewrites the file and says why it cannot", async () => {
    const running = await serve();
    const mode = (...args: string[]) => cli("mode", ...args, "--config", running.config);

    expect(await mode("sms")).toMatchObject({ code: 0, stdout: "sms  message → parrot  connected\n" });
    expect(await mode("sms", "signal")).toMatchObject({ code: 0, stdout: "sms  signal  connected\n" });
    expect(readFileSync(running.config, "utf8")).toBe(
      running.yaml.replace("mode: message # for now", "mode: signal # for now"),
    );
    await running.logged("channel.changed", { channel: "sms", mode: "signal" });
    expect((await mode("sms", "message", "--disable")).stdout).toBe("sms  message → parrot  disabled\n");
    expect((await mode("sms", "--enable")).stdout).toMatch(
      /^sms {2}message → parrot {2}(connecting|connected)\n/,
    );
    expect(readFileSync(running.config, "utf8")).toContain("enabled: true");

    const noAgent = await mode("codes", "message");
    expect(noAgent.code).toBe(1);
    expect(noAgent.stderr).toContain("channels.codes.agent: is missing; in mode message an agent answers");
    expect(await mode("sms", "loud")).toMatchObject({
      code: 2,
      stderr: "There is no mode loud; write message or signal.\n",
    });
    expect((await mode("signal")).code).toBe(2);
    expect((await mode("nope", "signal")).code).toBe(2);
    expect((await mode("sms", "--enable", "--disable")).code).toBe(2);

    // Our own writes are no edits: one reload for each switch that was made, and no more.
    writeFileSync(running.config, `${readFileSync(running.config, "utf8")}# the end\n`);
    await running.logged("config.reloaded", {}, 4);
    expect(running.lines.filter(({ event }) => event === "config.reloaded")).toHaveLength(4);
  });

  test("shows in `sms-agent status` why the file is not in force", async () => {
    const running = await serve();
    writeFileSync(running.config, running.yaml.replace("data_dir: ./data", "data_dir: ./other"));
    running.process.kill("SIGHUP");
    await running.logged("config.refused");
    const token = readFileSync(join(running.config, "..", "data", "admin-token"), "utf8").trim();
    const url = /admin: \{ listen: (\S+) \}/.exec(running.yaml)?.[1];
    const status = await cli("status", "--url", `http://${url}`, "--token", token);
    expect(status.code).toBe(0);
    expect(status.stdout).toContain("has been changed, and is not in force:");
    expect(status.stdout).toContain("data_dir cannot be changed while the service runs");
    expect(status.stdout).toContain("Restart the service");
  });
});
