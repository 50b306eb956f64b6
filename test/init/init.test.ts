import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { init } from "../../src/cli/init.ts";
import type { Questions } from "../../src/cli/questions.ts";
import { loadConfig } from "../../src/config/load.ts";
import { ACCOUNT_SID, AUTH_TOKEN, type Carrier, openCarrier } from "../support/carrier.ts";
import { NUMBER } from "../support/service.ts";

setDefaultTimeout(20_000);

let folder: string;
let config: string;
let carrier: Carrier;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "sms-agent-init-"));
  config = join(folder, "sms.yaml");
  carrier = openCarrier();
});
afterEach(async () => {
  await carrier.close();
  rmSync(folder, { recursive: true });
});

/** Answers by the question's beginning; a list is used up answer by answer. */
function answers(given: Readonly<Record<string, string | boolean | readonly (string | boolean)[]>>) {
  const told: string[] = [];
  const left = new Map(Object.entries(given).map(([key, value]) => [key, [value].flat()]));
  const next = (message: string): string | boolean => {
    for (const [key, list] of left) {
      if (!message.startsWith(key)) continue;
      const answer = list.shift();
      if (answer !== undefined) return answer;
    }
    throw new Error(`asked: ${message}`);
  };
  const typed: Questions["text"] = async ({ message, initial, check }) => {
    const answer = next(message);
    const text = answer === "" ? (initial ?? "") : String(answer);
    const wrong = check?.(text);
    if (wrong === undefined) return text;
    told.push(wrong);
    return typed({ message, ...(initial === undefined ? {} : { initial }), ...(check ? { check } : {}) });
  };
  const ask: Questions = {
    text: typed,
    secret: typed,
    async choose(message, options) {
      const wanted = next(message);
      const found = options.find(({ value }) => value === wanted);
      if (found === undefined) throw new Error(`${message}: ${options.map(({ value }) => value).join(", ")}`);
      return found.value;
    },
    confirm: async (message) => next(message) === true,
    tell: (message) => void told.push(message),
  };
  return { ask, told };
}

const TWILIO = {
  "Which carrier": "twilio",
  "What should the channel": "",
  "Account SID": ACCOUNT_SID,
  "Auth token": AUTH_TOKEN,
  "Which number": NUMBER,
  "How do texts": "poll",
  "Who answers": "echo",
  "Start it now": false,
} as const;

function settings() {
  const loaded = loadConfig({ path: config, env: {} });
  if (loaded.kind === "invalid") throw new Error(JSON.stringify(loaded.problems));
  return loaded.settings;
}

describe("on a fresh machine", () => {
  test("a valid, commented config is written, and the token into a file only its owner reads", async () => {
    const { ask } = answers(TWILIO);
    await init(config, carrier.url, ask);
    const { channels, agents } = settings();
    expect(channels.sms?.account).toMatchObject({ accountSid: ACCOUNT_SID, authToken: AUTH_TOKEN });
    expect(channels.sms).toMatchObject({ inbound: "poll", agent: "assistant", mode: "message" });
    expect(agents.assistant?.type).toBe("echo");
    const text = readFileSync(config, "utf8");
    expect(text).not.toContain(AUTH_TOKEN);
    expect(text).toContain("# What you reach");
    expect(statSync(join(folder, "twilio-auth-token")).mode & 0o777).toBe(0o600);
    expect(statSync(config).mode & 0o777).toBe(0o600);
  });

  test("folders that are not there are made for its owner alone", async () => {
    const nested = join(folder, "new", "dir", "sms.yaml");
    await init(nested, carrier.url, answers(TWILIO).ask);
    const modes = [join(folder, "new"), join(folder, "new", "dir"), nested].map(
      (path) => statSync(path).mode & 0o777,
    );
    expect(modes).toEqual([0o700, 0o700, 0o600]);
  });

  test("with a webhook the public address is asked for, and must be https", async () => {
    const { ask, told } = answers({
      ...TWILIO,
      "How do texts": "webhook",
      "Under which address": ["sms.example.com", "http://sms.example.com", "https://sms.example.com"],
    });
    await init(config, carrier.url, ask);
    expect(told).toHaveLength(2);
    expect(settings().server.publicUrl).toBe("https://sms.example.com");
  });

  test("wrong credentials are told at once, and asked for again", async () => {
    const { ask, told } = answers({
      ...TWILIO,
      "Account SID": ["AC", ACCOUNT_SID, ACCOUNT_SID],
      "Auth token": ["wrong", AUTH_TOKEN],
      "Go on with": false,
    });
    await init(config, carrier.url, ask);
    expect(told[0]).toContain("34 characters");
    expect(told[1]).toStartWith("Twilio refused these credentials. Check that ");
    expect(told[1]).not.toContain("sms.yaml");
    expect(settings().channels.sms?.account.authToken).toBe(AUTH_TOKEN);
  });

  test("a model's key goes into a file too", async () => {
    const { ask } = answers({
      ...TWILIO,
      "Who answers": "anthropic",
      "Which model": "a-model",
      "API key": "k3y",
    });
    await init(config, carrier.url, ask);
    expect(settings().agents.assistant).toMatchObject({
      provider: "anthropic",
      model: "a-model",
      apiKey: "k3y",
    });
    expect(readFileSync(config, "utf8")).not.toContain("k3y");
  });
});

describe("where a config is", () => {
  test("a channel is added, and what was written there stays", async () => {
    await init(config, carrier.url, answers(TWILIO).ask);
    const before = readFileSync(config, "utf8");
    const { ask } = answers({
      "Which carrier": "simulator",
      "What should the channel": ["sms", "codes"],
      "Which number": "+15550100007",
      "Which agent": "assistant",
    });
    await init(config, carrier.url, ask);
    const { channels } = settings();
    expect(Object.keys(channels)).toEqual(["sms", "codes"]);
    expect(channels.codes?.provider).toBe("simulator");
    const after = readFileSync(config, "utf8");
    for (const line of before.split("\n")) expect(after).toContain(line);
  });

  test("one that is not valid is not touched", async () => {
    writeFileSync(config, "chanels: {}\n");
    expect(init(config, carrier.url, answers({}).ask)).rejects.toThrow("channels");
    expect(readFileSync(config, "utf8")).toBe("chanels: {}\n");
  });

  test("a secret that lies there already is not overwritten", async () => {
    writeFileSync(join(folder, "twilio-auth-token"), "another");
    await expect(init(config, carrier.url, answers(TWILIO).ask)).rejects.toThrow("another secret");
    expect(readFileSync(join(folder, "twilio-auth-token"), "utf8")).toBe("another");
    expect(await Bun.file(config).exists()).toBe(false);
  });
});
