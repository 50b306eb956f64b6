import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { addressKind } from "../address.ts";
import type { App } from "../app.ts";
import { inheritedEnv } from "../config/environment.ts";
import type { Log } from "../log.ts";
import { call } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";
import { openSettings } from "./load.ts";
import { messageTable } from "./messages.ts";
import { printable, stdout } from "./output.ts";
import { type Phones, phonesOf } from "./phones.ts";
import { SHUTDOWN_GRACE } from "./serve.ts";
import { list, message, signInLink } from "./shapes.ts";
import { untilSignal } from "./signals.ts";
import { VERSION } from "./version.ts";

const CHANNEL = "sms";
const NUMBER = "+15550100001";
const PHONE = "+15557654321";
const STRANGER = "+15550003333";
/** The tour gives each step this long, ms. */
const PATIENCE = 20_000;
/** A person who asks for the messages, or to quit, waits at most this long for what is under way, ms. */
const SETTLING = 3_000;

interface DemoOptions {
  readonly baseUrl?: string;
  readonly model?: string;
  readonly apiKey?: string;
  readonly tour?: boolean;
  readonly keep?: boolean;
  readonly verbose?: boolean;
}

export function demoVerb(program: Command): void {
  program
    .command("demo")
    .description("try everything with simulated phones: no account, no config, no network")
    .option("--tour", "text by itself: pair, ask, let a stranger try; then show what happened and end")
    .option("--base-url <url>", "an OpenAI-compatible endpoint for a real model")
    .option("--model <name>", "the model to use there")
    .option("--api-key <key>", "its key, where it needs one")
    .option("--keep", "keep the temporary data folder")
    .option("--verbose", "show the service's log")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent demo\n  sms-agent demo --base-url http://127.0.0.1:11434/v1 --model qwen3:8b",
    )
    .action(async (options: DemoOptions) => {
      if ((options.baseUrl === undefined) !== (options.model === undefined))
        throw new CliError(EXIT.usage, "--base-url and --model go together.");
      const folder = mkdtempSync(join(tmpdir(), "sms-agent-demo-"));
      try {
        await demo(folder, options);
      } finally {
        if (options.keep !== true) rmSync(folder, { recursive: true, force: true });
      }
    });
}

async function demo(folder: string, options: DemoOptions): Promise<void> {
  const [{ openApp }, { freePorts }, { systemSeams }] = await Promise.all([
    import("../app.ts"),
    import("../app-ports.ts"),
    import("../app-seams.ts"),
  ]);
  const config = join(folder, "sms.yaml");
  const [publicPort, adminPort] = await freePorts([8080, 8081]);
  // JSON is YAML too.
  writeFileSync(config, JSON.stringify(demoConfig(options, publicPort, adminPort), null, 2), { mode: 0o600 });
  const { file, settings } = openSettings(config);
  const level = options.verbose === true ? "info" : "error";
  const seams = systemSeams({ level, format: "auto" }, inheritedEnv(), VERSION);
  const stopped = untilSignal();
  let welcomed = false;
  const log = tellingCodes(seams.log, (code) => {
    if (welcomed) stdout.line(`The pairing code is ${code} from now on; the one before has ended.`);
  });
  const app = await openApp(settings, { ...seams, log, configFile: file });
  try {
    const { adminUrl } = await app.listen();
    app.configuration.watch();
    const simulator = app.simulator();
    if (simulator === undefined) throw new Error("the demo's channel is not simulated");
    const { pairing } = await app.operator.channel(CHANNEL);
    if (pairing === undefined) throw new Error("the demo's channel has no pairing code");
    const target = { url: adminUrl, token: app.adminToken };
    const link = async () => `${adminUrl}${(await call(target, "POST", "/sign-in-links", signInLink)).path}`;
    stdout.line(welcome(pairing.code, await link(), config, options));
    welcomed = true;
    const showMessages = async () => {
      const { items } = await call(target, "GET", "/messages?limit=20", list(message));
      stdout.line(items.length === 0 ? "No messages yet." : messageTable([...items].reverse()));
    };
    const phones = phonesOf(app, simulator, NUMBER);
    if (options.tour === true) await Promise.race([tour(phones, pairing.code, showMessages), stopped]);
    else await prompt(phones, { showMessages, link, paired: () => isPaired(app) }, stopped);
  } finally {
    await app.close(options.tour === true ? 1_000 : SHUTDOWN_GRACE);
    seams.log.flush();
  }
}

/** A pairing code ends after ten minutes; the line about the next one is in the log, which is not shown. */
function tellingCodes(log: Log, tell: (code: string) => void): Log {
  return {
    ...log,
    info(event, fields) {
      log.info(event, fields);
      if (event === "pairing.code") tell(String(fields?.code));
    },
  };
}

function demoConfig(options: DemoOptions, publicPort: number, adminPort: number): unknown {
  const agent =
    options.baseUrl === undefined
      ? { type: "echo" }
      : {
          type: "llm",
          provider: "openai-compatible",
          base_url: options.baseUrl,
          model: options.model,
          ...(options.apiKey === undefined ? {} : { api_key: options.apiKey }),
        };
  return {
    server: { listen: `127.0.0.1:${publicPort}` },
    admin: { listen: `127.0.0.1:${adminPort}` },
    data_dir: "./data",
    channels: { [CHANNEL]: { provider: "simulator", from_number: NUMBER, agent: "demo" } },
    agents: { demo: agent },
  };
}

function welcome(code: string, consoleUrl: string, config: string, options: DemoOptions): string {
  return [
    "sms-agent demo: a simulated carrier, a simulated phone, no account and no network.",
    "",
    `  Number        ${NUMBER}`,
    `  Pairing code  ${code}`,
    `  Console       ${consoleUrl}`,
    `                (signs you in once, within 5 minutes${options.tour === true ? "" : "; :console makes another"})`,
    `  Config        ${config}`,
    "",
    ...(options.tour === true
      ? []
      : [
          `You hold the phone ${PHONE}. Type the pairing code as your first text, then anything.`,
          `  :as ${STRANGER} hello    text as somebody else`,
          "  :messages                  what came in and went out, and why",
          "  :console                   another link to the console",
          "  :quit",
          "",
        ]),
  ].join("\n");
}

/** What a line that is no text can ask for. */
interface Answers {
  readonly showMessages: () => Promise<void>;
  readonly link: () => Promise<string>;
  readonly paired: () => Promise<boolean>;
}

async function isPaired(app: App): Promise<boolean> {
  return (await app.operator.channel(CHANNEL)).pairedAddresses > 0;
}

/** Lines typed are texts from the phone. When the input ends, the service stays up until it is told to stop. */
async function prompt(
  phones: Phones,
  { showMessages, link, paired }: Answers,
  stopped: Promise<string>,
): Promise<void> {
  const unsubscribe = phones.subscribe((text) => stdout.line(`${text.to} got: ${printable(text.text)}`));
  const lines = createInterface({ input: process.stdin, terminal: false });
  const quit = new Promise<void>((resolve) => {
    const obey = async (line: string) => {
      const text = line.trim();
      if (text === "") return;
      if (text === ":quit" || text === ":messages") {
        // What was texted before it is to be seen, also when the lines come from a file.
        await phones.settled(SETTLING);
        return text === ":quit" ? resolve() : showMessages();
      }
      if (text === ":console") return stdout.line(await link());
      const as = /^:as\s+(\S+)\s+(.+)$/.exec(text);
      if (as === null && text.startsWith(":"))
        return stdout.line("There is :as <address> <text>, :messages, :console and :quit.");
      if (as !== null && addressKind(as[1] ?? "") === undefined)
        return stdout.line(`${as[1]} is no phone address; write it as ${STRANGER}, 22000 or MYBANK.`);
      await phones.text(as?.[1] ?? PHONE, as?.[2] ?? text);
      const silence = await phones.whyUnanswered();
      if (silence === undefined) return;
      const unpaired = as === null && !(await paired());
      stdout.line(`(no answer: ${silence}${unpaired ? " Type the pairing code to be let in." : ""})`);
    };
    // At a terminal the end of the input is the end of the demo; a program that gave none reaches it by HTTP.
    lines.on("close", () => {
      if (process.stdin.isTTY) resolve();
    });
    let before = Promise.resolve();
    lines.on("line", (line) => {
      before = before
        .then(() => obey(line))
        .catch((error: unknown) => stdout.line(error instanceof Error ? error.message : String(error)));
    });
  });
  await Promise.race([quit, stopped]);
  lines.close();
  unsubscribe();
}

/** The whole story without a hand on the keyboard. */
async function tour(phones: Phones, code: string, showMessages: () => Promise<void>): Promise<void> {
  const ask = async (body: string) => {
    const answer = phones.next(PHONE, PATIENCE);
    stdout.line(`${PHONE} texts: ${body}`);
    await phones.text(PHONE, body);
    stdout.line(`${PHONE} got: ${printable((await answer).text)}`);
  };
  await ask(code);
  await ask("Is the washing machine done?");
  stdout.line(`${STRANGER} texts: Open the garage`);
  await phones.text(STRANGER, "Open the garage");
  await phones.settled(PATIENCE);
  const received = await phones.received(STRANGER);
  const heard = received.map((text) => printable(text.text)).join(" ");
  stdout.line(`${STRANGER} got: ${received.length === 0 ? "nothing" : heard}`);
  stdout.line("");
  await showMessages();
}
