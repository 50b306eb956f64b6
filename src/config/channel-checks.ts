import type { Account, Accounts } from "./accounts.ts";
import { agentNames, type Checked, checkAgentName, checkId, checkReaches } from "./checked.ts";
import { isLoopback } from "./fields.ts";
import type { Report } from "./report.ts";
import type { ChannelConfig } from "./schema.ts";
import { isWritten, keysAt } from "./tree.ts";

/** What is wrong with channels beyond the single values. `numbers`: the sender of each, where it is a number. */
export function checkChannels(
  checked: Checked,
  accounts: Accounts,
  numbers: ReadonlyMap<string, string>,
): void {
  const { config, root, report } = checked;
  const ids = keysAt(root, ["channels"]);
  if (ids.length === 0 && !report.spoiled(["channels"])) {
    report.problem(["channels"], {
      key: true,
      message: "names no channel",
      fix: "write at least one channel, such as sms: { provider: simulator, agent: parrot }",
    });
  }
  const senders = new Map<string, string>();
  for (const [id, channel] of Object.entries(config.channels)) {
    checkAgentOf(id, channel, checked);
    checkSender(id, channel, checked);
    checkInbound(id, channel, checked);
    checkSimulated(id, channel, report);
    checkAllowed(id, channel, numbers.get(id), report);
    checkUnsigned(id, channel, checked);
    checkShared(id, channel, accounts.used.get(id), numbers.get(id), senders, report);
  }
  for (const id of ids) checkId(["channels", id], "channel", report);
}

function checkAgentOf(id: string, channel: ChannelConfig, checked: Checked): void {
  const { root, report } = checked;
  const path = ["channels", id, "agent"];
  if (channel.agent !== undefined) {
    checkAgentName(path, channel.agent, checked);
    return;
  }
  if (channel.mode === "signal" || report.spoiled(path) || report.spoiled(["channels", id, "mode"])) return;
  const agents = agentNames(root);
  report.problem(path, {
    message: "is missing; in mode message an agent answers",
    fix: `write agent: ${agents[0] ?? "<name>"}${agents.length > 1 ? ` (or ${agents.slice(1).join(", ")})` : ""}, or mode: signal`,
  });
}

function checkSender(id: string, channel: ChannelConfig, { root, report }: Checked): void {
  const path = ["channels", id];
  const number = isWritten(root, [...path, "from_number"]);
  const service = isWritten(root, [...path, "messaging_service_sid"]);
  if (number && service) {
    report.problem([...path, "messaging_service_sid"], {
      key: true,
      message: "is given, and so is from_number; a channel has one sender",
      fix: "write one of the two",
    });
  } else if (!number && !service && channel.provider === "twilio") {
    if (["provider", "from_number", "messaging_service_sid"].some((key) => report.spoiled([...path, key])))
      return;
    report.problem([...path, "from_number"], {
      message: "is missing, and so is messaging_service_sid",
      fix: 'write from_number: "+15551234567" (your Twilio number, in quotes) or messaging_service_sid: MG…',
    });
  }
}

function checkInbound(id: string, channel: ChannelConfig, { report }: Checked): void {
  const path = ["channels", id];
  if (channel.inbound !== "none" || channel.mode !== "message" || report.spoiled([...path, "mode"])) return;
  report.warning([...path, "inbound"], {
    message: "is none, so nobody reaches the agent of this channel; it only sends",
    fix: "write inbound: webhook or poll to receive",
  });
}

function checkSimulated(id: string, channel: ChannelConfig, report: Report): void {
  if (channel.provider !== "simulator") return;
  for (const key of ["api_url", "messaging_url"] as const) {
    if (channel[key] === undefined) continue;
    report.problem(["channels", id, key], {
      key: true,
      message: "has no meaning with provider: simulator, which is built in",
      fix: "take it out, or write provider: twilio to reach a simulator that runs by itself",
    });
  }
}

function checkAllowed(id: string, channel: ChannelConfig, number: string | undefined, report: Report): void {
  const path = ["channels", id, "allowed_senders"];
  if (channel.allow_all_senders && channel.allowed_senders.length > 0) {
    report.warning(path, {
      key: true,
      message: "changes nothing beside allow_all_senders: true",
      fix: "write allow_all_senders: false to admit only these",
    });
  }
  for (const [i, { address }] of channel.allowed_senders.entries()) {
    if (report.spoiled([...path, i])) continue;
    checkReaches([...path, i], address, number, report);
  }
}

function checkUnsigned(id: string, channel: ChannelConfig, { config, report }: Checked): void {
  const path = ["channels", id, "insecure_no_signature"];
  if (!channel.insecure_no_signature || report.spoiled(path)) return;
  const { listen, public_url } = config.server;
  const open = !isLoopback(listen.host) && !report.spoiled(["server", "listen"]);
  const known = public_url !== undefined && !isLoopback(new URL(public_url).hostname);
  if (!open && !known) return;
  report.problem(path, {
    message: `is allowed only on this machine alone, but ${open ? "server.listen is reachable from others" : "server.public_url is not a loopback address"}`,
    fix: open
      ? "write insecure_no_signature: false, or server.listen: 127.0.0.1:8080"
      : "write insecure_no_signature: false, or take public_url out",
  });
}

function checkShared(
  id: string,
  channel: ChannelConfig,
  account: Account | undefined,
  number: string | undefined,
  senders: Map<string, string>,
  report: Report,
): void {
  const key = channel.messaging_service_sid === undefined ? "from_number" : "messaging_service_sid";
  const sender = channel.messaging_service_sid ?? number;
  if (sender === undefined) return;
  const whole = `${channel.provider} ${account?.accountSid ?? ""} ${sender}`;
  const other = senders.get(whole);
  if (other === undefined) {
    senders.set(whole, id);
    return;
  }
  report.problem(["channels", id, key], {
    message: `is the sender of channels.${other} already`,
    fix: "write another sender, or take one of the two channels out",
  });
}
