import { readFileSync } from "node:fs";
import { formatProblems } from "../../src/config/problems.ts";
import { parseCron } from "../../src/cron.ts";
import { parseDuration } from "../../src/duration.ts";
import { prepareCedar } from "../../src/policy/cedar.ts";
import { loadPolicies } from "../../src/policy/load.ts";
import { BAD_CONFIGS } from "../config/bad-configs.ts";
import { load } from "../config/loading.ts";
import { SETTINGS as POLICY_SETTINGS } from "../policy/setup.ts";
import type { Target } from "./engine.ts";
import { must } from "./expect.ts";

await prepareCedar();

const EXAMPLE = readFileSync(new URL("../../sms.example.yaml", import.meta.url), "utf8");
const YAML =
  "{ } [ ] , : - ? &a *a !!map !!js/function | > ' \" % # << --- ... \n \t null ~ .nan 0x1f 2001-01-01  channels: sms: agents: provider: mode: from_number: +15551234567 enc:AAAA __proto__: constructor: twilio: schedules:"
    .split(" ")
    .concat("$".concat("{A}"), "$".concat("{B:-"));

const POLICY = `@id("no-strangers")
forbid (principal == Policy::Agent::"assistant", action == Policy::Action::"receive_message", resource in Policy::Channel::"sms")
when { resource.sender.country != "US" && context.now > datetime("2026-01-01") };
`;
const CEDAR =
  'permit forbid ( ) { } , ; @id("x") principal action resource == in is when unless Policy::Agent::"assistant" context.now resource.sender.address like "+1*" && || ! " // if then else has [ ]'.split(
    " ",
  );

/** Words of a bug in what people are told. */
const BUG = /undefined|\[object |\bNaN\b|TypeError|RangeError|Maximum call stack|\n\s+at \S+/;

export const CONFIG_TARGETS: readonly Target[] = [
  {
    name: "config",
    seeds: [EXAMPLE, ...BAD_CONFIGS.slice(0, 60).map(({ text }) => text)],
    tokens: YAML,
    check(text) {
      const loaded = load(text, { env: { A: "1", B: "x: y" } });
      must(({} as Record<string, unknown>).polluted === undefined, "a prototype is polluted");
      if (loaded.kind === "ok") return `ok ${Object.keys(loaded.settings.channels).length}`;
      must(loaded.problems.length > 0, "it is refused without a reason");
      for (const { line, column, message, fix } of loaded.problems) {
        must(line >= 1 && column >= 1, "a problem has no position");
        must(message !== "" && fix !== "", "a problem has no words");
      }
      const told = formatProblems(loaded.problems);
      must(
        !BUG.test(told.replaceAll(/"(?:[^"\\]|\\.)*"/g, "")) || BUG.test(text),
        `it is told a bug: ${told.slice(0, 200)}`,
      );
      return loaded.problems
        .map(({ message }) => message.replace(/["'`].*/s, "").slice(0, 14))
        .slice(0, 3)
        .join();
    },
    patience: 20,
  },
  {
    name: "policies",
    seeds: [POLICY, `${POLICY}\n@id("two")\npermit (principal, action, resource);\n`],
    tokens: CEDAR,
    check(input) {
      // As a file is read.
      const text = input.toWellFormed();
      const loaded = loadPolicies({ files: [{ path: "a.cedar", text }], settings: POLICY_SETTINGS });
      if (loaded.kind === "ok") return `ok ${loaded.engine.list().length}`;
      must(loaded.problems.length > 0, "it is refused without a reason");
      for (const { message } of loaded.problems)
        must(message !== "" && !/Maximum call stack|\n\s+at /.test(message), message);
      return loaded.problems
        .map(({ message }) => message.slice(0, 14))
        .slice(0, 2)
        .join();
    },
    patience: 60,
  },
  {
    name: "times",
    seeds: ["0 7 * * mon-fri", "*/5 0-23/2 1,15 jan-dec 0", "@daily", "30s", "1h", "7d", "250ms"],
    tokens: ["*", "/", "-", ",", "mon", "@hourly", "59", "60", "99999999999", "s", "h", "ms", ".5", " "],
    check(text) {
      const cron = parseCron(text);
      const duration = parseDuration(text);
      if (!("minutes" in cron)) must(cron.message !== "" && !BUG.test(cron.message), cron.message);
      if (duration.ok) must(Number.isFinite(duration.ms) && duration.ms >= 0, "no duration");
      else must(!BUG.test(duration.message + duration.fix), duration.message);
      return `${"minutes" in cron ? "cron" : cron.message.slice(0, 20)} ${duration.ok}`;
    },
  },
];
