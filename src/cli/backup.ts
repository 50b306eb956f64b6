import type { Command } from "commander";
import { rfc3339 } from "../clock.ts";
import { counted, dataDirOf, megabytes } from "./data-dir.ts";
import { print, stdout } from "./output.ts";

export function backupVerb(program: Command): void {
  program
    .command("backup <file>")
    .description(
      "copy the database into a file, while the service runs or not; no keys and no config are in it",
    )
    .option("--overwrite", "replace a backup that is there")
    .option("--json", "print what was written as JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent backup /mnt/usb/sms-agent.backup --overwrite\n  sms-agent backup sms-agent-$(date +%F).backup --json\n\ndocs/BACKUP.md says what else belongs into a safe place.",
    )
    .action(async function (this: Command, file: string) {
      const options = this.optsWithGlobals<{ config: string; overwrite?: boolean; json?: boolean }>();
      const { backup } = await import("../app-data.ts");
      const { madeAt, ...made } = backup(dataDirOf(options.config), file, options.overwrite === true);
      const report = { ...made, made_at: rfc3339(madeAt) };
      print(stdout, report, options.json === true, ({ bytes, contents }) =>
        [
          `${made.file}: ${megabytes(bytes)}, checked.`,
          `${counted(contents.messages, "message")}, ${counted(contents.conversations, "conversation")}, ${counted(contents.paired_addresses, "paired phone")}, ${counted(contents.reminders, "reminder")}; ${contents.pending_sends} waiting to be sent, ${counted(contents.unfinished_turns, "unfinished turn")}.`,
          "Keep sms.yaml, your policies and, with enc: values, the key in a safe place too: they are not in it.",
        ].join("\n"),
      );
    });
}
