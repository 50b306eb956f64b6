import type { Command } from "commander";
import { z } from "zod";
import { call, type Target } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";
import { print, stdout } from "./output.ts";
import { qrCode } from "./qr.ts";
import { channel, list, pairing } from "./shapes.ts";
import { withTarget } from "./target.ts";

/** The only channel, or the only one that texts an agent; otherwise the caller must say which. */
export async function chooseChannel(target: Target, wanted: string | undefined): Promise<string> {
  if (wanted !== undefined) return wanted;
  const { items } = await call(target, "GET", "/channels", list(channel));
  const texting = items.filter((item) => item.mode === "message");
  const only = items.length === 1 ? items[0] : texting.length === 1 ? texting[0] : undefined;
  if (only !== undefined) return only.id;
  throw new CliError(EXIT.usage, `Say which channel: ${items.map((item) => item.id).join(", ")}.`);
}

interface PairOptions {
  readonly new?: boolean;
  readonly cancel?: boolean;
  readonly json?: boolean;
}

export function pairVerb(program: Command): void {
  const verb = program
    .command("pair [channel]")
    .description("show the pairing code of a channel, as a QR code too; makes one where none is pending")
    .option("--new", "make a fresh code even if one is pending")
    .option("--cancel", "withdraw the pending code")
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      "\nExamples:\n  sms-agent pair sms --config sms.yaml\n  sms-agent pair --new --json",
    );
  withTarget<PairOptions>(verb, async (target, options, id) => {
    const json = options.json === true;
    if (options.new === true && options.cancel === true)
      throw new CliError(EXIT.usage, "--new and --cancel do not go together.");
    const name = await chooseChannel(target, id);
    const path = `/channels/${encodeURIComponent(name)}`;
    if (options.cancel === true) {
      await call(target, "DELETE", `${path}/pairing`, z.undefined());
      print(stdout, { cancelled: name }, json, () => "The pending code was withdrawn.");
      return;
    }
    const shown = await call(target, "GET", path, channel);
    const code =
      options.new === true || shown.pairing === undefined
        ? await call(target, "POST", `${path}/pairing`, pairing)
        : shown.pairing;
    print(stdout, code, json, (value) =>
      [
        qrCode(value.sms_uri),
        `Text  ${value.code}  to  ${value.number}`,
        `Valid until ${value.expires_at}. ${value.sms_uri}`,
      ].join("\n"),
    );
  });
}
