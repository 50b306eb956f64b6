import { proposal } from "../nearest.ts";
import type { Path } from "./problems.ts";
import type { Report } from "./report.ts";
import type { Config } from "./schema.ts";
import { keysAt, type Source } from "./tree.ts";

/** The principal of API, MCP and CLI in policies; no agent may have its name. */
export const RESERVED_AGENT = "api";

/** What the checks between keys work on. */
export interface Checked {
  readonly config: Config;
  readonly root: Source;
  readonly report: Report;
}

/** Names of channels and agents become parts of URLs and policies. */
export function checkId(path: Path, what: string, report: Report): void {
  const id = String(path.at(-1));
  if (/^[a-z0-9][a-z0-9_-]{0,63}$/.test(id)) return;
  const made = id
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, "-")
    .replace(/^[-_]+|-+$/g, "")
    .slice(0, 64);
  report.problem(path, {
    key: true,
    message: `is no name for ${what === "agent" ? "an" : "a"} ${what}: names are 1 to 64 of a-z, 0-9, _ and -, beginning with a letter or digit`,
    fix: made === "" ? "write another name" : `write ${made}`,
  });
}

/** The agents a channel or schedule may name, in the order of the file. */
export function agentNames(root: Source): readonly string[] {
  return keysAt(root, ["agents"]).filter((name) => name !== RESERVED_AGENT);
}

/** Reports an agent that is not there. */
export function checkAgentName(path: Path, agent: string, { root, report }: Checked): void {
  if (report.spoiled(path)) return;
  if (agent === RESERVED_AGENT) {
    report.problem(path, {
      message: "is reserved for API, MCP and CLI, and no agent",
      fix: "write the name of an agent",
    });
    return;
  }
  const agents = agentNames(root);
  if (agents.includes(agent)) return;
  report.problem(path, {
    message: "names no agent of agents:",
    fix: proposal(agent, agents, "define it under agents:"),
  });
}

/** Reports an address that a channel with this sender can neither hear from nor write to. */
export function checkReaches(path: Path, address: string, number: string | undefined, report: Report): void {
  if (number === undefined) return;
  if (address === number) {
    report.problem(path, {
      message: "is the channel's own number",
      fix: "write the number of the phone that is to text it",
    });
    return;
  }
  const whatsapp = number.startsWith("whatsapp:");
  if (whatsapp === address.startsWith("whatsapp:") || address.startsWith("rcs:")) return;
  report.problem(path, {
    message: whatsapp
      ? "is no WhatsApp address, and this channel is on WhatsApp"
      : "is a WhatsApp address, and this channel is not on WhatsApp",
    fix: `write "${whatsapp ? `whatsapp:${address}` : address.slice("whatsapp:".length)}"`,
  });
}
