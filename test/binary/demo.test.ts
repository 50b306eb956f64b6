import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { CHECKOUT, openSandbox, type Sandbox } from "../support/binary.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

let sandbox: Sandbox | undefined;

afterEach(async () => {
  await sandbox?.close();
  sandbox = undefined;
});

test("the tour pairs, is answered, answers no stranger and shows why, alone in an empty folder", async () => {
  sandbox = await openSandbox();
  expect(readdirSync(sandbox.folder)).toEqual(["sms-agent"]);
  const { code, stdout, stderr } = await sandbox.run(["demo", "--tour"]);
  expect(stderr).toBe("");
  const pairing = /Pairing code {2}([A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4})\n/.exec(stdout)?.[1];
  expect(pairing).toBeDefined();
  expect(stdout).toContain(`+15557654321 texts: ${pairing}\n+15557654321 got: This phone is paired.`);
  expect(stdout).toContain(
    "+15557654321 texts: Is the washing machine done?\n+15557654321 got: Is the washing machine done?\n",
  );
  expect(stdout).toContain("+15550003333 texts: Open the garage\n+15550003333 got: nothing\n");
  const rows = stdout.slice(stdout.indexOf("TIME ")).trim().split("\n").slice(1);
  expect(rows.filter((row) => Bun.stringWidth(row) > 100)).toEqual([]);
  const shown = rows.map((row) =>
    row.startsWith(" ") ? row.trim() : row.slice(21).replace(/ {2,}/g, " | "),
  );
  expect(shown).toEqual([
    `← | +15557654321 | +15550100001 | handled | pairing | ${pairing}`,
    "→ | +15550100001 | +15557654321 | delivered | This phone is paired. Text …",
    "← | +15557654321 | +15550100001 | handled | message | Is the washing machine done?",
    "paired-senders",
    "→ | +15550100001 | +15557654321 | delivered | Is the washing machine done?",
    "reply-and-paired",
    "← | +1555***3333 | +15550100001 | dropped | signal | (not kept)",
    "Not permitted to text the agent (receive_message): No policy permits it.",
  ]);
  expect(code).toBe(0);
  // Nothing is left behind, neither here nor among the temporary files.
  expect(readdirSync(sandbox.folder)).toEqual(["sms-agent"]);
  expect(readdirSync(sandbox.temporary)).toEqual([]);
}, 30_000);

test("with no input it stays up until SIGTERM, and no file of the checkout is open meanwhile", async () => {
  sandbox = await openSandbox();
  const demo = sandbox.start(["demo"], { stdin: "closed" });
  const adminUrl = (await demo.shown(/Console {7}(http:\/\/[^/]+)\/#/))[1];
  expect((await fetch(`${adminUrl}/healthz`)).status).toBe(200);
  if (process.platform === "linux") {
    const open = readdirSync(`/proc/${demo.pid}/fd`).map((name) => {
      const link = `/proc/${demo.pid}/fd/${name}`;
      return existsSync(link) ? readlinkSync(link) : "";
    });
    const mapped = readFileSync(`/proc/${demo.pid}/maps`, "utf8");
    expect(open.filter((path) => path.startsWith(`${CHECKOUT}/`))).toEqual([]);
    expect(mapped).not.toContain(`${CHECKOUT}/`);
    expect(mapped).toContain("sqlite-");
  }
  demo.kill("SIGTERM");
  expect((await demo.ended).code).toBe(0);
  expect(readdirSync(sandbox.temporary)).toEqual([]);
}, 30_000);

test("a pairing code that takes the place of the first one is told", async () => {
  sandbox = await openSandbox();
  const demo = sandbox.start(["demo"], { stdin: "closed" });
  const [, first, config] = await demo.shown(/Pairing code {2}(\S+)[\s\S]*Config {8}(\S+)\n/);
  const made = await sandbox.run(["pair", "--new", "--json", "--config", config ?? ""]);
  const { code } = JSON.parse(made.stdout);
  expect(code).not.toBe(first);
  await demo.shown(new RegExp(`The pairing code is ${code} from now on`));
  demo.kill("SIGTERM");
  expect((await demo.ended).stdout.match(/The pairing code is/g)).toHaveLength(1);
}, 30_000);

test("lines of its input are texts, and :as, :messages, :console and :quit are obeyed in their order", async () => {
  sandbox = await openSandbox();
  const demo = sandbox.start(["demo"], { stdin: "pipe" });
  const code = (await demo.shown(/Pairing code {2}(\S+)/))[1] ?? "";
  demo.type("before pairing");
  demo.type(":messages");
  await demo.shown(/\(no answer: Not permitted to text the agent.* Type the pairing code to be let in\.\)/);
  await demo.shown(/\+1555\*\*\*4321 .*dropped/);
  demo.type(code);
  await demo.shown(/\+15557654321 got: This phone is paired/);
  demo.type("hello there");
  await demo.shown(/\+15557654321 got: hello there/);
  demo.type(":as +15550003333 let me in");
  demo.type(":as nobody");
  demo.type(":dance");
  demo.type(":console");
  demo.type(":messages");
  demo.type(":quit");
  const { code: exit, stdout, stderr } = await demo.ended;
  expect(stdout.match(/There is :as <address> <text>, :messages, :console and :quit\./g)?.length).toBe(2);
  const table = stdout.slice(stdout.lastIndexOf("TIME "));
  expect(table).toMatch(/→ {2}\+15550100001 {2}\+15557654321 {2}delivered .*hello there/);
  expect(table).toMatch(/← {2}\+1555\*\*\*3333 .*dropped .*\(not kept\)/);
  expect(table).not.toContain("let me in");
  expect(stdout).not.toContain("+15550003333 got:");
  expect(stdout.match(/^(?: {2}Console {7})?http:\/\/\S+\/#sign-in=\w+$/gm)).toHaveLength(2);
  expect(stderr).toBe("");
  expect(exit).toBe(0);
}, 40_000);

test("texts that come from a file are answered before :quit ends it", async () => {
  sandbox = await openSandbox();
  const { code, stdout } = await sandbox.run(["demo"], { stdin: { text: "hello\n:messages\n:quit\n" } });
  expect(stdout).toMatch(/\+1555\*\*\*4321 .*\(not kept\)/);
  expect(code).toBe(0);
}, 30_000);

test("it goes to no proxy for what is on this machine", async () => {
  sandbox = await openSandbox();
  const nowhere = "http://127.0.0.1:9";
  const { code, stdout } = await sandbox.run(["demo", "--tour"], {
    env: { HTTP_PROXY: nowhere, http_proxy: nowhere, HTTPS_PROXY: nowhere, ALL_PROXY: nowhere },
    patience: 40_000,
  });
  expect(stdout).toContain("+15557654321 got: Is the washing machine done?");
  expect(code).toBe(0);
}, 60_000);
