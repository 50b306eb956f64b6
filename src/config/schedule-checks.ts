import { proposal } from "../nearest.ts";
import { type Checked, checkAgentName, checkReaches } from "./checked.ts";
import type { Config } from "./schema.ts";
import { keysAt } from "./tree.ts";

/** `home` and what needs it, and the names of schedules. `numbers` as in `checkChannels`. */
export function checkHomeAndSchedules(checked: Checked, numbers: ReadonlyMap<string, string>): void {
  const { config, root, report } = checked;
  if (config.home !== undefined) checkHome(config.home, checked, numbers);
  else if (config.schedules.length > 0 && !report.spoiled(["home"])) {
    report.problem(["home"], {
      at: ["schedules"],
      key: true,
      message: "is missing; it is where schedules deliver",
      fix: 'write home: { channel: sms, address: "+15559876543" }',
    });
  }
  const names = new Map<string, number>();
  for (const [i, schedule] of config.schedules.entries()) {
    const path = ["schedules", i];
    checkAgentName([...path, "agent"], schedule.agent, { config, root, report });
    if (report.spoiled([...path, "name"])) continue;
    const first = names.get(schedule.name);
    if (first === undefined) names.set(schedule.name, i);
    else {
      report.problem([...path, "name"], {
        message: `is the name of schedules[${first}] already`,
        fix: "write a name of its own",
      });
    }
  }
}

function checkHome(
  home: NonNullable<Config["home"]>,
  { root, report }: Checked,
  numbers: ReadonlyMap<string, string>,
): void {
  const channels = keysAt(root, ["channels"]);
  if (!report.spoiled(["home", "channel"]) && !channels.includes(home.channel)) {
    report.problem(["home", "channel"], {
      message: "names no channel of channels:",
      fix: proposal(home.channel, channels, "define it under channels:"),
    });
  }
  if (!report.spoiled(["home", "address"])) {
    checkReaches(["home", "address"], home.address, numbers.get(home.channel), report);
  }
}
