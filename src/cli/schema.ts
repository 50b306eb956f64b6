import type { Command } from "commander";
import { configJsonSchema } from "../config/json-schema.ts";
import { stdout } from "./output.ts";

export function schemaVerb(program: Command): void {
  program
    .command("schema")
    .description("print the JSON Schema of sms.yaml, for editors")
    .option("--json", "the same: a JSON Schema is JSON")
    .addHelpText(
      "after",
      "\nExample:\n  sms-agent schema > sms.schema.json\n  # first line of sms.yaml:\n  # yaml-language-server: $schema=./sms.schema.json",
    )
    .action(() => stdout.line(JSON.stringify(configJsonSchema(), null, 2)));
}
