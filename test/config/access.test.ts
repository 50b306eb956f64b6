import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readAdminAccess, readDataDir } from "../../src/config/access.ts";

const folder = mkdtempSync(join(tmpdir(), "sms-agent-access-"));
const path = join(folder, "sms.yaml");

afterEach(() => rmSync(path, { force: true }));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

function access(yaml: string, env: Record<string, string> = {}) {
  writeFileSync(path, yaml);
  return readAdminAccess(path, env);
}

test("a service is found by a config whose credentials are only in the service's environment", () => {
  const yaml = `twilio: { auth_token: '\${TWILIO_AUTH_TOKEN}' }\nadmin: { listen: '127.0.0.1:9000' }\ndata_dir: ./d\n`;
  expect(access(yaml)).toEqual({ listen: { host: "127.0.0.1", port: 9000 }, dataDir: join(folder, "d") });
});

test("a service is found by a config that an edit has broken elsewhere", () => {
  expect(access("channels: { sms: { agnet: x } }\n")).toEqual({
    listen: { host: "127.0.0.1", port: 8081 },
    dataDir: join(folder, "data"),
  });
});

test("a token that is written down is used, with its variables put in; an empty one counts as absent", () => {
  expect(access(`admin: { token: '\${T}' }\n`, { T: "secret" })?.token).toBe("secret");
  expect(access(`admin: { token: '\${T:-}' }\n`)?.token).toBeUndefined();
});

test("what these keys alone do not tell is left to the whole check", () => {
  expect(access(`admin: { token: '\${T}' }\n`)).toBeUndefined();
  expect(access("admin: { token: 'enc:v1:AAAA' }\n")).toBeUndefined();
  expect(access("admin: { token_file: ./t }\n")).toBeUndefined();
  expect(access("admin: { listen: 8081 }\n")).toBeUndefined();
  expect(readAdminAccess(join(folder, "none.yaml"), {})).toBeUndefined();
});

test("the data folder is told whatever is wrong with the rest", () => {
  writeFileSync(path, "admin: { token: 'enc:v1:AAAA' }\ndata_dir: /var/lib/sms\n");
  expect(readDataDir(path, {})).toBe("/var/lib/sms");
});
