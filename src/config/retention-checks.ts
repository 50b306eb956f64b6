import { formatDuration } from "../duration.ts";
import { LISTED_MARGIN } from "../retention.ts";
import type { Checked } from "./checked.ts";

/** What the carrier still lists is kept, whatever `retention` says; so that nobody wonders, it is said. */
export function checkRetention({ config, report }: Checked): void {
  const [longest] = Object.entries(config.channels)
    .filter(([id]) => !report.spoiled(["channels", id, "catch_up"]))
    .sort(([, a], [, b]) => b.catch_up - a.catch_up);
  if (longest === undefined) return;
  const [id, { catch_up: catchUp }] = longest;
  const kept = catchUp + LISTED_MARGIN;
  for (const key of ["messages", "denied"] as const) {
    const path = ["retention", key];
    if (report.spoiled(path) || config.retention[key] >= kept) continue;
    report.warning(path, {
      message: `is shorter than channels.${id}.catch_up (${formatDuration(catchUp)}) and ${formatDuration(LISTED_MARGIN)}, so they are kept ${formatDuration(kept)}: a text that the carrier still lists would be taken for a new one and answered again`,
      fix: `write ${key}: ${formatDuration(kept)} or more, or a shorter catch_up`,
    });
  }
}
