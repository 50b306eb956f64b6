import type { TurnRequest } from "./agent.ts";
import type { Carrier } from "./carrier.ts";
import type { Clock } from "./clock.ts";
import type { AgentSettings, ChannelSettings, Settings } from "./settings.ts";
import type { Store } from "./store.ts";
import type { JournalEntry, TurnTools } from "./tool.ts";
import type { ClaimedTurn, Turn } from "./turn.ts";
import type { AllowedText } from "./turn-check.ts";
import { withPictures } from "./turn-media.ts";

export interface TurnRequestSeams {
  readonly settings: () => Settings;
  /** What the pictures of a channel's texts are fetched from. */
  readonly carrier: (channel: string) => Pick<Carrier, "fetchMedia"> | undefined;
  /** The tools of a turn of an llm agent. */
  readonly tools: (turn: Turn, paired: boolean) => Promise<TurnTools & { entries: readonly JournalEntry[] }>;
  readonly store: Pick<Store, "history">;
  readonly clock: Clock;
}

/** What the agent is asked: the texts with their pictures, the conversation before them, and its tools. */
export async function turnRequest(
  claimed: ClaimedTurn,
  allowed: readonly AllowedText[],
  channel: ChannelSettings,
  seams: TurnRequestSeams,
  signal: AbortSignal,
): Promise<TurnRequest> {
  const { clock, store } = seams;
  const { turn } = claimed;
  const llm = seams.settings().agents[turn.agent]?.type === "llm";
  // Other agents get the URLs, and fetch what they want to see.
  const carrier = llm ? seams.carrier(channel.id) : undefined;
  const texts =
    carrier === undefined ? allowed : await withPictures(allowed, carrier.fetchMedia, clock, signal);
  const tools = llm ? await seams.tools(turn, texts[0]?.paired ?? false) : undefined;
  const limit = historyLimit(seams.settings().agents[turn.agent]);
  const history = await store.history(turn.conversationId, Math.max(0, limit - texts.length));
  const label = texts.at(-1)?.label;
  // A turn that was parked goes on where it was; what was said since then comes after its own texts.
  const resumed = (tools?.entries.length ?? 0) > 0;
  const since = resumed ? (texts.at(-1)?.receivedAt ?? 0) : Number.POSITIVE_INFINITY;
  const [earlier, meanwhile] = [
    history.filter((entry) => entry.at <= since),
    history.filter((entry) => entry.at > since),
  ];
  return {
    turnId: turn.id,
    channel: channel.id,
    agent: turn.agent,
    conversationId: turn.conversationId,
    from: turn.address,
    ...(label === undefined ? {} : { label }),
    text: texts
      .map((text) => text.text)
      .filter((text) => text !== "")
      .join("\n"),
    media: texts.flatMap((text) => text.media),
    messages: [
      ...earlier.map(({ role, text, media }) => ({ role, text, media })),
      ...texts.map(({ text, media }) => ({ role: "user" as const, text, media })),
    ],
    ...(meanwhile.length === 0
      ? {}
      : { meanwhile: meanwhile.map(({ role, text, media }) => ({ role, text, media })) }),
    ...(turn.task === undefined ? {} : { task: turn.task.kind }),
    ...(turn.splitFrom === undefined ? {} : { splitFrom: turn.splitFrom }),
    ...(tools === undefined ? {} : { tools }),
    timezone: seams.settings().timezone,
    now: clock.now(),
  };
}

function historyLimit(agent: AgentSettings | undefined): number {
  return agent?.type === "llm" ? agent.history : 40;
}
