import type { Command } from "commander";
import { rfc3339 } from "../clock.ts";
import { counted, dataDirOf } from "./data-dir.ts";
import { print, stdout } from "./output.ts";

export function restoreVerb(program: Command): void {
  program
    .command("restore <file>")
    .description("put a backup in the place of the database; the service must not run")
    .option("--json", "print what was done as JSON")
    .addHelpText(
      "after",
      "\nExample:\n  sms-agent restore /mnt/usb/sms-agent.backup\n\nThe database that is there is kept beside it. Nothing unfinished in the backup is sent or answered by itself:\nit waits for you, since it may have been done after the backup was made.",
    )
    .action(async function (this: Command, file: string) {
      const options = this.optsWithGlobals<{ config: string; json?: boolean }>();
      const { restore } = await import("../app-data.ts");
      const { madeAt, setAside, optOuts, ...done } = restore(dataDirOf(options.config), file);
      const report = {
        ...done,
        ...(madeAt === undefined ? {} : { made_at: rfc3339(madeAt) }),
        ...(setAside === undefined ? {} : { set_aside: setAside }),
        opt_outs: optOuts,
      };
      print(stdout, report, options.json === true, ({ database, contents, waiting }) => {
        const lines = [
          `${database} is restored${madeAt === undefined ? "" : ` from a backup of ${rfc3339(madeAt)}`}: ${counted(contents.messages, "message")}.`,
        ];
        if (setAside !== undefined) lines.push(`What was there is kept as ${setAside}.`);
        if (optOuts > 0)
          lines.push(`${counted(optOuts, "opt-out")} of it ${optOuts === 1 ? "was" : "were"} taken over.`);
        lines.push(
          `Waiting for you, since it may have been done after the backup: ${counted(waiting.sends, "text")} to be sent, ${counted(waiting.texts, "unanswered text")}; ${waiting.missed} due reminders and schedules left out.`,
          "Once the service runs: sms-agent messages --state unknown, and --state failed.",
          "Phones and tokens that were revoked after the backup are valid again: see sms-agent addresses and sms-agent token list.",
        );
        return lines.join("\n");
      });
    });
}
