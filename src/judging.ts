import { type Agent, AgentFailure, type Verdict } from "./agent.ts";
import type { Alerts } from "./alerts.ts";
import type { Clock } from "./clock.ts";
import type { RandomBytes } from "./ids.ts";
import type { ClaimedJudgement, JudgementStore, SettleJudgement } from "./judgement.ts";
import type { Log } from "./log.ts";
import type { Settings } from "./settings.ts";
import type { Signals } from "./signals.ts";
import type { TokenUsage } from "./tool.ts";
import type { Queue } from "./worker.ts";

export interface JudgingSeams {
  readonly settings: () => Settings;
  readonly agent: (name: string) => Agent | undefined;
  readonly signals: Pick<Signals, "mayGet" | "judged">;
  readonly store: JudgementStore;
  readonly alerts: Pick<Alerts, "raise">;
  readonly random: RandomBytes;
  readonly clock: Clock;
  readonly log: Log;
}

/** Longer than a judgement can take, so that none is asked for twice at once; after a crash it is freed at start. */
const LEASE = 5 * 60_000;
/** Before each further try, ms; then it is given up. */
const DELAYS = [2_000, 15_000, 60_000, 5 * 60_000];

/**
 * Judges texts for watches with `instructions`, after the admission and never in its way: the owner's agent is
 * asked, and what it says yes to goes to the watch, which only looks. Where it cannot be asked or gives no clear
 * verdict, the watch stays as it is and the operator is told.
 */
export function createJudging(seams: JudgingSeams): Queue<ClaimedJudgement> {
  const { store, signals, clock, log } = seams;

  async function settle(
    item: ClaimedJudgement,
    end: SettleJudgement["end"],
    usage?: TokenUsage,
  ): Promise<void> {
    const { watchId, signal } = item;
    const { messageId } = signal;
    const outcome = await store.settleJudgement({
      watchId,
      messageId,
      end,
      ...(usage === undefined ? {} : { usage }),
      at: clock.now(),
    });
    if (end.kind === "match") signals.judged(signal, outcome);
  }

  /** Rejects with an AgentFailure. */
  async function ask(item: ClaimedJudgement, abort: AbortSignal): Promise<Verdict> {
    const { instructions, signal } = item;
    const agent = item.judge === undefined ? undefined : seams.agent(item.judge);
    if (agent?.judge === undefined)
      throw new AgentFailure("provider", `${nameOf(item)} is not configured as an agent of type llm`, {
        fix: "Configure it again, or cancel the watch (DELETE /api/v1/watches/{id}).",
      });
    return agent.judge(
      {
        instructions,
        text: signal.text,
        from: signal.from,
        nonce: Array.from(seams.random(16), (byte) => byte.toString(16).padStart(2, "0")).join(""),
        timezone: seams.settings().timezone,
        now: clock.now(),
      },
      abort,
    );
  }

  async function failed(item: ClaimedJudgement, error: unknown): Promise<void> {
    const { watchId, signal, attempt } = item;
    const failure =
      error instanceof AgentFailure ? error : new AgentFailure("provider", "the agent failed unexpectedly");
    if (failure !== error) log.error("judgement.error", { watch: watchId, error: String(error) });
    const fields = {
      watch: watchId,
      message: signal.messageId,
      agent: item.judge,
      attempt,
      kind: failure.kind,
      reason: failure.message,
    };
    const delay = DELAYS[attempt - 1];
    if (delay !== undefined) {
      log.warn("judgement.failed", { ...fields, delay });
      return settle(item, { kind: "retry", dueAt: clock.now() + delay }, failure.usage);
    }
    log.error("judgement.given_up", fields);
    const what = `${nameOf(item)} could not judge this text for the watch ${watchId}: ${failure.message}.`;
    await settle(item, { kind: "given_up", reason: what }, failure.usage);
    seams.alerts.raise({
      cause: `judge.failed/${item.judge ?? ""}`,
      message: `${nameOf(item)} could not judge a text for the watch ${watchId}, which goes on waiting: ${failure.message}.`,
      fix:
        failure.fix ??
        "Check the agent's model, or wait with match, category or from instead of instructions.",
      channel: signal.channel,
    });
  }

  return {
    name: "judgements",
    claim: (limit, now) => store.claimJudgements({ now, lease: LEASE, limit }),
    nextDue: () => store.nextJudgementDue(),
    async run(item, abort) {
      const { watchId, signal } = item;
      if (!signals.mayGet(watchId, signal)) return settle(item, { kind: "no_match" });
      let verdict: Verdict;
      try {
        verdict = await ask(item, abort);
      } catch (error) {
        if (abort.aborted) {
          const usage = error instanceof AgentFailure ? error.usage : undefined;
          return settle(item, { kind: "released", dueAt: clock.now() }, usage);
        }
        return failed(item, error);
      }
      const { match, usage } = verdict;
      log.info("judgement.done", {
        watch: watchId,
        message: signal.messageId,
        agent: item.judge,
        match,
        ...usage,
      });
      // The policies may have changed while the model was thinking.
      const gets = match && signals.mayGet(watchId, signal);
      return settle(item, { kind: gets ? "match" : "no_match" }, usage);
    },
  };
}

function nameOf({ judge }: ClaimedJudgement): string {
  return judge === undefined ? "The judge" : `The agent ${judge}`;
}
