import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { freePorts, NUMBER, startService } from "../binary/running.ts";
import { build, openSandbox, type Sandbox } from "../support/binary.ts";
import { copyCheckout } from "../support/checkout.ts";
import { closing } from "../support/cleanup.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await openSandbox();
});

afterEach(() => sandbox.close());

/** A simulated channel with one line more. */
function config(
  { publicPort, adminPort }: ReturnType<typeof freePorts>,
  line: string,
  agent = "{ type: echo }",
): string {
  return `server: { listen: 127.0.0.1:${publicPort} }
admin: { listen: 127.0.0.1:${adminPort}, token: the-admin-token-of-the-tests }
channels:
  sms:
    provider: simulator
    from_number: "${NUMBER}"
    agent: parrot
    ${line}
agents: { parrot: ${agent} }
`;
}

describe("a switch in the environment that says no", () => {
  test("switches off what it is for, and the service starts", async () => {
    const ports = freePorts();
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as sms.yaml has it
    sandbox.write("sms.yaml", config(ports, "enabled: ${SMS_ENABLED:-true}"));
    const service = await startService(sandbox, ports, { env: { SMS_ENABLED: "false" } });
    expect(await service.status("disabled")).toBe("disabled");
    expect((await service.stop()).code).toBe(0);
  });

  test("in another way than yes or no is told by key and line, and never crashes", async () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: as sms.yaml has it
    sandbox.write("sms.yaml", config(freePorts(), "enabled: ${SMS_ENABLED:-true}"));
    for (const SMS_ENABLED of ["0", "off", "disabled", "none", "", "'", "{}"]) {
      const { code, stderr, signal } = await sandbox.run(["check"], { env: { SMS_ENABLED } });
      expect([SMS_ENABLED, signal]).toEqual([SMS_ENABLED, undefined]);
      if (code === 0) continue; // an empty variable counts as absent
      expect([SMS_ENABLED, code]).toEqual([SMS_ENABLED, 2]);
      expect(stderr).toMatch(/sms\.yaml:8:\d+/);
      expect(stderr).toContain("enabled");
      expect(stderr).not.toMatch(/\bat .*\.ts:|panic|undefined is not/);
    }
  });
});

describe("a credential that is not there", () => {
  const TWILIO = `server: { public_url: "https://sms.example.com" }
twilio:
  account_sid: \${TWILIO_ACCOUNT_SID}
  auth_token: \${TWILIO_AUTH_TOKEN}
channels: { sms: { provider: twilio, from_number: "${NUMBER}", agent: parrot } }
agents: { parrot: { type: echo } }
`;

  test("stops the start with its name, its line and what to do, not with a panic", async () => {
    sandbox.write("sms.yaml", TWILIO);
    for (const [env, missing] of [
      [{}, "TWILIO_ACCOUNT_SID"],
      [{ TWILIO_ACCOUNT_SID: `AC${"0".repeat(32)}` }, "TWILIO_AUTH_TOKEN"],
      [{ TWILIO_ACCOUNT_SID: `AC${"0".repeat(32)}`, TWILIO_AUTH_TOKEN: "" }, "auth_token"],
    ] as const) {
      const { code, stderr } = await sandbox.run(["serve", "--config", "sms.yaml"], { env });
      expect([missing, code]).toEqual([missing, 2]);
      expect(stderr).toContain(missing);
      expect(stderr).toMatch(/sms\.yaml:\d+:\d+/);
      expect(stderr).not.toMatch(/\bat .*\.ts:|panic|undefined is not/);
    }
  });

  test("of a model that needs none is no fault", async () => {
    const ports = freePorts();
    const agent = `{ type: llm, provider: openai-compatible, base_url: "http://127.0.0.1:1/v1", model: m, system: s, api_key: "\${LLM_API_KEY:-}" }`;
    sandbox.write("sms.yaml", config(ports, "debounce: 0s", agent));
    const service = await startService(sandbox, ports);
    expect((await service.stop()).code).toBe(0);
  });
});

test("the binary needs nothing of the folder it was built in: it serves where that does not exist", async () => {
  const checkout = copyCheckout();
  const binary = await build(undefined, checkout.folder).finally(checkout.remove);
  expect(existsSync(checkout.folder)).toBe(false);
  const alone = closing(await openSandbox({ binary }));
  const { code, stdout, stderr } = await alone.run(["demo", "--tour"]);
  expect(stderr).toBe("");
  expect(stdout).toContain("got: Is the washing machine done?");
  expect(code).toBe(0);
  const ports = freePorts();
  alone.write("sms.yaml", config(ports, "debounce: 0s"));
  const service = await startService(alone, ports);
  expect(await (await fetch(service.adminUrl)).text()).toContain("<script");
  expect((await service.stop()).code).toBe(0);
});
