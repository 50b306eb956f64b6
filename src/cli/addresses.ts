import type { Command } from "commander";
import { z } from "zod";
import { call } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";
import { print, stdout, table } from "./output.ts";
import { chooseChannel } from "./pair.ts";
import { type Address, address, list } from "./shapes.ts";
import { withTarget } from "./target.ts";

interface AddressesOptions {
  readonly revoke?: string;
  readonly label?: string;
  readonly json?: boolean;
}

export function addressesVerb(program: Command): void {
  const verb = program
    .command("addresses [channel]")
    .description("list, name or revoke the paired addresses of a channel")
    .option("--revoke <address>", "take an address's access away")
    .option("--label <address=name>", "name an address; an empty name takes it away")
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      '\nExamples:\n  sms-agent addresses sms\n  sms-agent addresses sms --label "+15551234567=Ada"\n  sms-agent addresses sms --revoke +15551234567',
    );
  withTarget<AddressesOptions>(verb, async (target, options, id) => {
    const { revoke } = options;
    const json = options.json === true;
    const named = options.label === undefined ? undefined : labelled(options.label);
    if (revoke !== undefined && named !== undefined)
      throw new CliError(EXIT.usage, "--revoke and --label do not go together.");
    const base = `/channels/${encodeURIComponent(await chooseChannel(target, id))}/addresses`;
    const path = (who: string) => `${base}/${encodeURIComponent(who)}`;
    if (revoke !== undefined) {
      await call(target, "DELETE", path(revoke), z.undefined());
      print(stdout, { revoked: revoke }, json, () => `${revoke} may no longer text the agent.`);
      return;
    }
    if (named !== undefined) {
      const body = { label: named.label === "" ? null : named.label };
      print(stdout, await call(target, "PATCH", path(named.address), address, { body }), json, describe);
      return;
    }
    const found = await call(target, "GET", base, list(address));
    print(stdout, found, json, ({ items }) =>
      items.length === 0
        ? "No address is paired. sms-agent pair shows the code that lets a phone in."
        : table(
            ["ADDRESS", "LABEL", "PAIRED"],
            items.map((item) => [item.address, item.label ?? "", item.paired_at]),
          ),
    );
  });
}

function labelled(option: string): { readonly address: string; readonly label: string } {
  const at = option.indexOf("=");
  if (at < 1)
    throw new CliError(EXIT.usage, `--label is ${option}; write address=name, as in "+15551234567=Ada".`);
  return { address: option.slice(0, at).trim(), label: option.slice(at + 1).trim() };
}

function describe(item: Address): string {
  return `${item.address}  ${item.label ?? "(no label)"}`;
}
