import type { Alerts } from "./alerts.ts";
import { rfc3339 } from "./clock.ts";
import type { Settings } from "./settings.ts";
import type { Turn } from "./turn.ts";

/** Tells the operator that one of `limits` was hit: once per cause and hour, as all alerts. */
export interface LimitAlerts {
  /** Texts of one sender came faster than its turns may start. */
  senderPerMinute(channel: string): void;
  /** An answer was longer than one turn may send. */
  segmentsPerReply(turn: Turn, segments: number): void;
  /** Sends wait until then, epoch ms. */
  segmentsPerDay(until: number): void;
}

export function createLimitAlerts(settings: () => Settings, raise: Alerts["raise"]): LimitAlerts {
  return {
    senderPerMinute(channel) {
      const { senderPerMinute } = settings().limits;
      raise({
        cause: `limits.sender_per_minute/${channel}`,
        message: `Somebody texts ${channel} faster than the ${senderPerMinute} turns a minute; the texts wait, none is lost.`,
        fix: "See who it is (sms-agent messages); raise limits.sender_per_minute if it is all right.",
        channel,
      });
    },
    segmentsPerReply({ agent, channel }, segments) {
      const { segmentsPerReply } = settings().limits;
      const more = settings().channels[channel]?.reply.overflow === "more";
      const rest = more ? "the rest waits for MORE" : "the rest was cut off";
      raise({
        cause: `limits.segments_per_reply/${agent}/${channel}`,
        message: `An answer of ${agent} on ${channel} had ${segments} segments; ${segmentsPerReply} may go at once, and ${rest}.`,
        fix: "Have the agent answer more briefly (agents.<name>.system), or raise limits.segments_per_reply.",
        channel,
      });
    },
    segmentsPerDay(until) {
      raise({
        cause: `limits.segments_per_day/${until}`,
        message: `The ${settings().limits.segmentsPerDay} segments of the day are used up; sends wait until ${rfc3339(until)}, and fail after four hours.`,
        fix: "See what was sent (sms-agent messages); raise limits.segments_per_day if it is all right.",
      });
    },
  };
}
