import { probeAgent } from "./agents/probe.ts";
import { policiesOf } from "./app-policies.ts";
import type { Seams } from "./app-seams.ts";
import { AppError } from "./errors.ts";
import { carrierFindings, type Finding } from "./finding.ts";
import { countryOf } from "./phone/country.ts";
import { createToolNames } from "./policy/tool-names.ts";
import { type NamedTool, type OfferedTools, unofferedFindings, usedAgents } from "./policy-tools.ts";
import type { Settings } from "./settings.ts";
import { checkDisk } from "./system/disk.ts";
import { checkAccount, checkCampaign, checkClock } from "./twilio/account-check.ts";
import { createTwilioCarrier } from "./twilio/carrier.ts";

/**
 * Probes what the settings name, one thing after the other, changing nothing anywhere. The service need not run, but a
 * public URL that leads to it does not answer then.
 */
export async function* diagnose(
  settings: Settings,
  seams: Seams,
  signal: AbortSignal,
): AsyncGenerator<Finding> {
  yield checkDisk(settings.dataDir);
  const { fetch, clock, log } = seams;
  const check = { fetch, clock, log, countryOf };
  const channels = Object.values(settings.channels);
  const real = channels.filter(({ provider }) => provider === "twilio");
  const accounts = new Map(real.map(({ account }) => [`${account.accountSid} ${account.apiUrl}`, account]));
  const [first] = accounts.values();
  if (first !== undefined) yield await checkClock(first, check, signal);
  for (const account of accounts.values()) yield await checkAccount(account, check, signal);
  for (const channel of channels) {
    const name = `channel ${channel.id}`;
    if (!channel.enabled)
      yield { name, status: "warn", detail: "it is not enabled", fix: "Set enabled: true." };
    if (channel.provider === "simulator") {
      yield { name, status: "ok", detail: "simulated; no carrier is asked" };
      continue;
    }
    const { publicUrl } = settings.server;
    const carrier = createTwilioCarrier({
      settings: channel,
      ...(publicUrl === undefined ? {} : { publicUrl }),
      fetch,
      clock,
      log,
    });
    const webhookUrl =
      channel.inbound === "webhook" && publicUrl !== undefined
        ? `${publicUrl}/webhooks/twilio/${channel.id}`
        : undefined;
    const outcome = await carrier.connect(
      { register: false, ...(webhookUrl === undefined ? {} : { webhookUrl }) },
      signal,
    );
    yield* carrierFindings(name, outcome);
    if (outcome.kind === "ready") yield* await checkCampaign(channel, check, signal);
  }
  const used = usedAgents(settings);
  const offered: OfferedTools[] = [];
  const onTools = (offer: OfferedTools) => void offered.push(offer);
  for (const agent of Object.values(settings.agents))
    for (const finding of await probeAgent(agent, { ...seams, onTools }, signal))
      yield used.has(agent.id) || finding.status !== "fail" ? finding : unused(finding);
  if (offered.length > 0)
    yield* unofferedFindings(namedTools(settings), Object.values(settings.agents), offered);
}

/** Nothing where the policies cannot be loaded: that is told before. */
function namedTools(settings: Settings): readonly NamedTool[] {
  try {
    return createToolNames()(policiesOf(settings).list());
  } catch (error) {
    if (error instanceof AppError) return [];
    throw error;
  }
}

/** What no text can reach need not work yet: `sms.example.yaml` has such an agent. */
function unused(finding: Exclude<Finding, { readonly status: "ok" }>): Finding {
  return { ...finding, status: "warn", detail: `${finding.detail} (no channel and no schedule uses it)` };
}
