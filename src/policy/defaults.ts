import allSignals from "../../policies/all-signals.cedar" with { type: "text" };
import configuredTools from "../../policies/configured-tools.cedar" with { type: "text" };
import pairedSenders from "../../policies/paired-senders.cedar" with { type: "text" };
import replyAndPaired from "../../policies/reply-and-paired.cedar" with { type: "text" };

/** The built-in policies by id. A policy of the folder with the same id takes the place of one. */
export const DEFAULT_POLICIES: Readonly<Record<string, string>> = {
  "paired-senders": pairedSenders,
  "all-signals": allSignals,
  "reply-and-paired": replyAndPaired,
  "configured-tools": configuredTools,
};
