/**
 * `serve` with a clock that is wrong by as many milliseconds as the file `clock-offset` says; it looks every 20 ms.
 * From source, in Bun: the binary has no such switch, and the machine's own clock is not ours to turn.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openApp } from "../../src/app.ts";
import { systemSeams } from "../../src/app-seams.ts";
import { openSettings } from "../../src/cli/load.ts";
import type { Clock } from "../../src/clock.ts";
import { inheritedEnv } from "../../src/config/environment.ts";
import { systemClock } from "../support/clock.ts";

const config = process.argv[2] ?? "sms.yaml";
const offsetFile = join(dirname(config), "clock-offset");
const readOffset = () => Number(readFileSync(offsetFile, "utf8"));
let offset = readOffset();
setInterval(() => {
  offset = readOffset();
}, 20);
const clock: Clock = { now: () => Date.now() + offset, after: systemClock.after };

const { file, settings } = openSettings(config);
const app = await openApp(settings, {
  ...systemSeams(settings.log, inheritedEnv(), "0.0.0"),
  clock,
  configFile: file,
});
await app.listen();
process.on("SIGTERM", () => {
  app.close(10_000).then(() => process.exit(0));
});
