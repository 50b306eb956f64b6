import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LOOK_INTERVAL } from "../../src/configuration.ts";
import { closing } from "../support/cleanup.ts";
import { type ManualClock, manualClock } from "../support/clock.ts";
import type { Service } from "../support/service.ts";
import { configPath, edit, fileOf, linesOf, startWithYaml, YAML } from "./support.ts";

setDefaultTimeout(20_000);

/** A service that watches its files and has looked at them already. */
async function watched(
  options: Parameters<typeof startWithYaml>[0] = {},
): Promise<{ running: Service; clock: ManualClock }> {
  const clock = manualClock();
  const running = closing(await startWithYaml({ ...options, clock }));
  running.app.configuration.watch();
  await clock.advance(3 * LOOK_INTERVAL);
  expect(reloads(running)).toBe(0);
  return { running, clock };
}

const reloads = (running: Service) => linesOf(running, "config.reloaded").length;

describe("a change of the files by hand", () => {
  test("is taken over once they stand still", async () => {
    const { running, clock } = await watched();
    edit(running, ["mode: message  ", "mode: signal  "]);
    await clock.advance(LOOK_INTERVAL);
    expect(reloads(running)).toBe(0);
    for (const half of ["channels:", "channels: {", YAML.slice(0, 200)]) {
      writeFileSync(configPath(running), half);
      await clock.advance(LOOK_INTERVAL);
    }
    writeFileSync(configPath(running), YAML.replace("mode: message  ", "mode: signal  "));
    await clock.advance(2 * LOOK_INTERVAL);
    expect(reloads(running)).toBe(1);
    expect(linesOf(running, "config.problem")).toEqual([]);
    expect((await running.api("GET", "/channels/sms")).body.mode).toBe("signal");
    await clock.advance(10 * LOOK_INTERVAL);
    expect(reloads(running)).toBe(1);
  });

  test("made before the watching began is taken over too", async () => {
    const clock = manualClock();
    const running = closing(await startWithYaml({ clock }));
    edit(running, ["mode: message  ", "mode: signal  "]);
    running.app.configuration.watch();
    await clock.advance(3 * LOOK_INTERVAL);
    expect((await running.api("GET", "/channels/sms")).body.mode).toBe("signal");
  });

  test("that makes the file invalid is told once, and again when it is invalid in another way", async () => {
    const { running, clock } = await watched();
    edit(running, ["debounce: 0s", "debounce: soon"]);
    await clock.advance(20 * LOOK_INTERVAL);
    expect(linesOf(running, "config.refused")).toHaveLength(1);
    edit(running, ["debounce: soon", "debounce: later"]);
    await clock.advance(5 * LOOK_INTERVAL);
    expect(linesOf(running, "config.refused")).toHaveLength(2);
    expect((await running.api("GET", "/configuration")).body.error).toBeDefined();
    writeFileSync(configPath(running), YAML);
    await clock.advance(5 * LOOK_INTERVAL);
    expect((await running.api("GET", "/configuration")).body.error).toBeUndefined();
  });

  test("of a policy or a secret file counts as one of the configuration", async () => {
    const { running, clock } = await watched({
      yaml: YAML.replace(`"127.0.0.1:0" }`, `"127.0.0.1:0", token_file: ./token }`),
      files: { token: "the-first-token\n", "policies/a.cedar": "" },
    });
    writeFileSync(
      join(running.folder, "policies", "b.cedar"),
      '@id("b") permit (principal, action, resource);',
    );
    await clock.advance(2 * LOOK_INTERVAL);
    const { body } = await running.api("GET", "/policies");
    expect(body.items.map(({ id }: { id: string }) => id)).toContain("b");
    writeFileSync(join(running.folder, "token"), "the-second-token\n");
    await clock.advance(2 * LOOK_INTERVAL);
    expect(running.app.adminToken).toBe("the-second-token");
    expect(reloads(running)).toBe(2);
  });

  test("of their times alone is none", async () => {
    const { running, clock } = await watched();
    utimesSync(configPath(running), new Date(0), new Date(0));
    await clock.advance(5 * LOOK_INTERVAL);
    expect(reloads(running)).toBe(0);
  });

  test("after the end of the service is not looked for", async () => {
    const { running, clock } = await watched();
    await running.stop();
    edit(running, ["debounce: 0s", "debounce: soon"]);
    await clock.advance(5 * LOOK_INTERVAL);
    expect(linesOf(running, "config.refused")).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe("our own writing", () => {
  test("is not taken for an edit, and an edit right after it is", async () => {
    const { running, clock } = await watched();
    await running.api("PATCH", "/channels/sms", { mode: "signal" });
    expect(reloads(running)).toBe(1);
    await clock.advance(10 * LOOK_INTERVAL);
    expect(reloads(running)).toBe(1);
    await running.api("PATCH", "/channels/sms", { mode: "message" });
    edit(running, ['mode: "signal" }', 'mode: "signal", enabled: false }']);
    await clock.advance(3 * LOOK_INTERVAL);
    expect(reloads(running)).toBe(3);
    expect((await running.api("GET", "/channels/codes")).body.status).toBe("disabled");
    expect(fileOf(running)).toContain("enabled: false");
  });

  test("that was refused leaves an edit to be noticed", async () => {
    const { running, clock } = await watched();
    edit(running, ["debounce: 0s", "debounce: soon"]);
    expect((await running.api("PATCH", "/channels/sms", { mode: "signal" })).status).toBe(409);
    await clock.advance(3 * LOOK_INTERVAL);
    expect(linesOf(running, "config.refused")).toHaveLength(1);
  });
});
