import type { Command } from "commander";
import { inheritedEnv } from "../config/environment.ts";
import type { Finding } from "../finding.ts";
import type { Settings } from "../settings.ts";
import { EXIT } from "./exit.ts";
import { readSettings } from "./load.ts";
import { stdout } from "./output.ts";
import { adminUrlOf } from "./target.ts";
import { VERSION } from "./version.ts";

const MARK = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;
const SERVICE_TIME = 5_000;

export function doctorVerb(program: Command): void {
  program
    .command("doctor")
    .description(
      "probe Twilio, the numbers, their webhooks, the public URL, the agents, the clock and the disk; exit code 1 when something fails",
    )
    .option("--json", "print the findings as JSON")
    .addHelpText("after", "\nExample:\n  sms-agent doctor --config sms.yaml")
    .action(async function (this: Command) {
      const options = this.optsWithGlobals<{ config: string; json?: boolean }>();
      const settings = readSettings(options.config);
      const findings: Finding[] = [];
      const tell = (finding: Finding) => {
        findings.push(finding);
        if (options.json !== true) stdout.line(lineOf(finding));
      };
      tell({ name: "config", status: "ok", detail: `${options.config} is valid` });
      tell(await policies(settings));
      tell(await service(settings));
      const [{ diagnose }, { systemSeams }] = await Promise.all([
        import("../app-doctor.ts"),
        import("../app-seams.ts"),
      ]);
      const seams = systemSeams({ level: "error", format: "auto" }, inheritedEnv(), VERSION);
      for await (const finding of diagnose(settings, seams, new AbortController().signal)) tell(finding);
      seams.log.flush();
      if (options.json === true) stdout.line(JSON.stringify({ findings }, null, 2));
      if (findings.some(({ status }) => status === "fail")) process.exitCode = EXIT.failed;
    });
}

function lineOf({ name, status, detail, fix }: Finding): string {
  return `${MARK[status]}  ${name}: ${detail}${fix === undefined ? "" : `\n      ${fix}`}`;
}

async function policies(settings: Settings): Promise<Finding> {
  const { policiesOf } = await import("../app-policies.ts");
  try {
    const count = policiesOf(settings).list().length;
    return { name: "policies", status: "ok", detail: `${count} in force` };
  } catch (error) {
    return {
      name: "policies",
      status: "fail",
      detail: error instanceof Error ? error.message : String(error),
      fix: "Correct the files in the policies folder; sms-agent check shows the same.",
    };
  }
}

async function service(settings: Settings): Promise<Finding> {
  const url = adminUrlOf(settings.admin.listen);
  try {
    const response = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(SERVICE_TIME) });
    if (response.ok) return { name: "service", status: "ok", detail: `runs at ${url}` };
    return {
      name: "service",
      status: "warn",
      detail: `what listens at ${url} answers ${response.status}; is it another program?`,
      fix: "Stop it, or write another admin.listen.",
    };
  } catch {
    return {
      name: "service",
      status: "warn",
      detail: `does not run at ${url}`,
      fix: "Start it with sms-agent serve; until then the public URL may not answer.",
    };
  }
}
