import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CHECKOUT, openSandbox, type Sandbox } from "../support/binary.ts";
import { BAD_FILES } from "./bad-files.ts";
import { field } from "./running.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

/** Whom the binary runs as where a file must be unreadable: root reads everything. */
const NOBODY = 65_534;
const asRoot = process.getuid?.() === 0;

let sandbox: Sandbox | undefined;

afterEach(async () => {
  await sandbox?.close();
  sandbox = undefined;
});

describe("check and serve refuse with exit code 2, place, finding and what to write; serve writes nothing", () => {
  for (const { name, files, locked, env, stderr } of BAD_FILES) {
    test(name, async () => {
      sandbox = await openSandbox();
      const { folder } = sandbox;
      for (const [file, text] of Object.entries(files)) {
        if (text === undefined) mkdirSync(join(folder, file));
        else sandbox.write(file, text);
      }
      const before = readdirSync(folder, { recursive: true });
      if (locked !== undefined && asRoot) chownSync(folder, NOBODY, NOBODY);
      for (const file of locked ?? []) chmodSync(join(folder, file), 0o000);
      const options = {
        ...(env === undefined ? {} : { env }),
        ...(locked !== undefined && asRoot ? { uid: NOBODY } : {}),
      };
      const [check, serve] = await Promise.all([
        sandbox.run(["check"], options),
        sandbox.run(["serve"], options),
      ]);
      for (const file of locked ?? []) chmodSync(join(folder, file), 0o755);

      const lines = check.stderr.replaceAll(folder, "<folder>").trimEnd().split("\n");
      expect(lines).toEqual([...stderr]);
      expect([check.code, check.stdout]).toEqual([2, ""]);
      expect(serve.stderr).toStartWith(check.stderr.trimEnd());
      expect([serve.code, serve.stdout]).toEqual([2, ""]);
      expect(readdirSync(folder, { recursive: true })).toEqual(before);
    }, 20_000);
  }
});

test("the example file passes, and nothing is written", async () => {
  sandbox = await openSandbox();
  sandbox.write("sms.yaml", readFileSync(join(CHECKOUT, "sms.example.yaml"), "utf8"));
  const example = await sandbox.run(["check"]);
  expect([example.code, example.stderr]).toEqual([0, ""]);
  expect(example.stdout).toMatch(
    /^sms\.yaml: ok\. 1 channel \(sms\), 2 agents \(parrot, assistant\), \d+ policies\.\n$/,
  );
  const json = await sandbox.run(["check", "--json"]);
  expect(json.code).toBe(0);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: true,
    channels: ["sms"],
    agents: ["parrot", "assistant"],
  });
  expect(readdirSync(sandbox.folder).sort()).toEqual(["sms-agent", "sms.yaml"]);
}, 20_000);

test("a policy without @id is known by its place", async () => {
  sandbox = await openSandbox();
  sandbox.write(
    "sms.yaml",
    "channels: { sms: { provider: simulator, agent: parrot } }\nagents: { parrot: { type: echo } }\n",
  );
  sandbox.write(
    "policies/house.cedar",
    '// house rules\n\n  permit (principal, action == Policy::Action::"receive_message", resource);\n',
  );
  const { code, stdout } = await sandbox.run(["check", "--json"]);
  expect(code).toBe(0);
  expect(JSON.parse(stdout).policies).toContainEqual("house.cedar:3:3");
}, 20_000);

test("with --json every problem is an object with its place", async () => {
  sandbox = await openSandbox();
  sandbox.write("sms.yaml", "chanels: {}\nagents: { parrot: { type: ecko } }\n");
  const { code, stdout, stderr } = await sandbox.run(["check", "--json"]);
  expect([code, stderr]).toEqual([2, ""]);
  const answer = JSON.parse(stdout);
  expect(answer.ok).toBe(false);
  expect(answer.problems[0]).toEqual({
    file: "sms.yaml",
    line: 1,
    column: 1,
    path: "chanels",
    message: "is not a known key",
    fix: "write channels",
  });
  expect(field(answer.problems[1], "path")).toBe("agents.parrot.type");
}, 20_000);

test("the config named with --config is the one that is read, and relative paths begin at its folder", async () => {
  sandbox = await openSandbox();
  sandbox.write(
    "etc/my.yaml",
    "channels: { sms: { provider: simulator, agent: parrot } }\nagents: { parrot: { type: echo } }\npolicies: ./rules\n",
  );
  sandbox.write("etc/rules/a.cedar", '@id("nobody")\nforbid (principal, action, resource);\n');
  for (const args of [
    ["check", "--config", "etc/my.yaml"],
    ["-c", "etc/my.yaml", "check"],
  ]) {
    const { code, stdout } = await sandbox.run([...args, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).policies).toContain("nobody");
  }
}, 20_000);
