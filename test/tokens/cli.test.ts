import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type Service, startService } from "../support/service.ts";
import { as, TWO_CHANNELS } from "./support.ts";

const MAIN = join(import.meta.dir, "..", "..", "src", "main.ts");

let service: Service;
beforeAll(async () => {
  service = await startService({ config: TWO_CHANNELS });
});
afterAll(() => service.close());

/** Runs `sms-agent token …` against the service. */
async function token(...words: string[]) {
  const child = Bun.spawn(
    [process.execPath, MAIN, "token", ...words, "--url", service.adminUrl, "--token", service.token],
    { cwd: service.folder, stdout: "pipe", stderr: "pipe", timeout: 10_000 },
  );
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out.trim(), err: err.trim(), code };
}

describe("sms-agent token", () => {
  test("makes a token that works, lists it and revokes it by its name", async () => {
    const made = await token(
      "create",
      "--name",
      "ci",
      "--scope",
      "read",
      "--channel",
      "codes",
      "--expires",
      "30d",
    );
    expect(made.code).toBe(0);
    expect(made.out).toMatch(/^sms_[A-Za-z0-9_-]{43}$/);
    expect(made.err).toContain("codes");
    expect((await as(service, made.out)("GET", "/channels")).body.items).toHaveLength(1);
    const listed = await token("list");
    expect(listed.out).toContain("ci");
    expect(listed.out).not.toContain(made.out);
    const revoked = await token("revoke", "ci");
    expect(revoked.code).toBe(0);
    expect((await as(service, made.out)("GET", "/channels")).status).toBe(401);
    expect((await token("revoke", "ci")).code).toBe(1);
  }, 30_000);

  test("prints the API's answer with --json", async () => {
    const made = await token("create", "--name", "json", "--scope", "messages:send", "read", "--json");
    const body = JSON.parse(made.out);
    expect(body).toMatchObject({ name: "json", scopes: ["messages:send", "read"] });
    expect(body.token).toStartWith("sms_");
    expect(JSON.parse((await token("list", "--json")).out).items[0].id).toBe(body.id);
  }, 30_000);

  test("says what is wrong, with exit code 2", async () => {
    const scope = await token("create", "--name", "x", "--scope", "write");
    expect([scope.code, scope.err.includes("messages:send")]).toEqual([2, true]);
    const channel = await token("create", "--name", "x", "--scope", "read", "--channel", "code");
    expect([channel.code, channel.err.includes("codes")]).toEqual([2, true]);
    const expires = await token("create", "--name", "x", "--scope", "read", "--expires", "soon");
    expect([expires.code, expires.err.includes("expires_in")]).toEqual([2, true]);
    expect((await token("create", "--scope", "read")).code).toBe(2);
  }, 30_000);
});
