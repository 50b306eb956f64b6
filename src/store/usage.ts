import { asc, gte, sql } from "drizzle-orm";
import type { TokenUsage } from "../tool.ts";
import type { DayUsage } from "../usage.ts";
import { usage } from "./schema.ts";
import { type Db, is, param, type Read, type Write } from "./statement.ts";

/** What went through each channel, by local day. What counts runs inside a write. */
export interface Usage {
  /** Is gathered: `write` writes it, once for all texts of a commit, and `forget` drops it where they are undone. */
  received(channel: string, day: string, segments: number): void;
  write(): void;
  forget(): void;
  /** Negative where something turned out not to have been sent, or to be shorter. */
  sent(channel: string, day: string, messages: number, segments: number): void;
  /** Tokens that a model was asked with, and answered with. */
  spent(channel: string, day: string, tokens: TokenUsage): void;
  /** Outbound segments of all channels. */
  segmentsOn(day: string): number;
  since(day: string): readonly DayUsage[];
}

export function createUsage(db: Db): Usage {
  const add: Write<{ [Column in keyof DayUsage]: DayUsage[Column] }> = db
    .insert(usage)
    .values({
      day: param("day"),
      channel: param("channel"),
      inbound: param("inbound"),
      outbound: param("outbound"),
      segments: param("segments"),
      inboundSegments: param("inboundSegments"),
      inputTokens: param("inputTokens"),
      outputTokens: param("outputTokens"),
    })
    .onConflictDoUpdate({
      target: [usage.day, usage.channel],
      set: {
        inbound: sql`${usage.inbound} + excluded.inbound`,
        outbound: sql`${usage.outbound} + excluded.outbound`,
        segments: sql`${usage.segments} + excluded.segments`,
        inboundSegments: sql`${usage.inboundSegments} + excluded.inbound_segments`,
        inputTokens: sql`${usage.inputTokens} + excluded.input_tokens`,
        outputTokens: sql`${usage.outputTokens} + excluded.output_tokens`,
      },
    })
    .prepare();
  const segmentsOn: Read<{ day: string }, { segments: number }> = db
    .select({ segments: sql<number>`coalesce(sum(${usage.segments}), 0)` })
    .from(usage)
    .where(is(usage.day, "day"))
    .prepare();
  const since: Read<{ day: string }, DayUsage> = db
    .select()
    .from(usage)
    .where(gte(usage.day, param("day")))
    .orderBy(asc(usage.day), asc(usage.channel))
    .prepare();

  const gathered = new Map<string, { day: string; channel: string; inbound: number; segments: number }>();

  return {
    received(channel, day, segments) {
      const key = `${day} ${channel}`;
      const known = gathered.get(key);
      if (known === undefined) gathered.set(key, { day, channel, inbound: 1, segments });
      else {
        known.inbound += 1;
        known.segments += segments;
      }
    },
    write() {
      if (gathered.size === 0) return;
      for (const { day, channel, inbound, segments } of gathered.values())
        add.run({ ...NOTHING, day, channel, inbound, inboundSegments: segments });
      gathered.clear();
    },
    forget: () => gathered.clear(),
    sent(channel, day, messages, segments) {
      add.run({ ...NOTHING, day, channel, outbound: messages, segments });
    },
    spent(channel, day, { inputTokens, outputTokens }) {
      if (inputTokens + outputTokens > 0) add.run({ ...NOTHING, day, channel, inputTokens, outputTokens });
    },
    segmentsOn: (day) => segmentsOn.get({ day })?.segments ?? 0,
    since: (day) => since.all({ day }).sort((a, b) => (a.day === b.day ? 0 : a.day < b.day ? 1 : -1)),
  };
}

const NOTHING = {
  inbound: 0,
  outbound: 0,
  segments: 0,
  inboundSegments: 0,
  inputTokens: 0,
  outputTokens: 0,
} as const;
