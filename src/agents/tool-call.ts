import { AgentFailure, type TurnRequest } from "../agent.ts";
import type { Clock } from "../clock.ts";
import { formatDuration } from "../duration.ts";
import { AppError, explainError } from "../errors.ts";
import type { Log } from "../log.ts";
import type { LlmAgent } from "../settings.ts";
import { type CallState, type Tool, type ToolContext, ToolFailure, type TurnTools } from "../tool.ts";
import type { Confirmed } from "./confirm-names.ts";
import { type Deadline, untilAborted } from "./deadline.ts";
import { excerpt } from "./excerpt.ts";
import { NOT_YET_SILENT, STAY_SILENT } from "./silence.ts";
import { capped, MAX_RESULT, UNKNOWN_OUTCOME } from "./tool-result.ts";
import type { Call } from "./transcript.ts";

/** Calls of one step that are run; more come from a model that has lost its way. */
const MAX_CALLS = 16;

export interface CallSeams {
  readonly settings: Pick<LlmAgent, "id" | "timeout">;
  readonly request: TurnRequest;
  readonly access: TurnTools;
  readonly tools: ReadonlyMap<string, Tool>;
  readonly needsCode: Confirmed["needsCode"];
  readonly deadline: Deadline;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Brings all calls of a step as far as they come now, side by side: asks whether each is allowed, lets it be
 * confirmed where that is configured, journals, runs it, journals. A call that was started before and has no
 * result is not run again.
 *
 * Rejects when the deadline is over or the journal cannot be written.
 */
export async function settleCalls(calls: readonly Call[], seams: CallSeams): Promise<readonly Call[]> {
  return Promise.all(
    calls.map(async (call, index) => ({ ...call, state: await settle(call, index, seams) })),
  );
}

async function settle(call: Call, index: number, seams: CallSeams): Promise<CallState> {
  const { state, part, callId } = call;
  switch (state.kind) {
    case "done":
    case "waiting":
      return state;
    case "started":
      return end(callId, "unknown", UNKNOWN_OUTCOME, seams, part.tool);
    case "new":
    case "confirmed":
      if (index >= MAX_CALLS)
        return end(callId, "refused", `Too many calls at once: at most ${MAX_CALLS}.`, seams, part.tool);
      return begin(call, state.kind === "confirmed", seams);
  }
}

async function begin({ callId, part }: Call, confirmed: boolean, seams: CallSeams): Promise<CallState> {
  const { access, request } = seams;
  const refused = (text: string, policies?: readonly string[]) =>
    end(callId, "refused", text, seams, part.tool, policies === undefined ? {} : { policies });
  if (part.tool === STAY_SILENT) return refused(NOT_YET_SILENT);
  const tool = seams.tools.get(part.tool);
  if (tool === undefined) return refused(`There is no tool ${part.tool.slice(0, 128)}.`);
  if (part.malformed === true) return refused("The input of a call must be one JSON object.");
  const context: ToolContext = {
    turnId: request.turnId,
    callId,
    channel: request.channel,
    agent: request.agent,
    conversationId: request.conversationId,
    from: request.from,
    ...(request.task === undefined ? {} : { task: request.task }),
  };
  const { signal } = seams.deadline;
  const authorization = await untilAborted(access.authorize(tool, context), signal).catch(
    (error: unknown) => {
      signal.throwIfAborted();
      seams.log.error("tool.authorize", { turn: request.turnId, tool: tool.name, error: String(error) });
      return {
        allowed: false,
        policies: [],
        reason: "whether it is allowed could not be found out",
      } as const;
    },
  );
  const { policies } = authorization;
  if (!authorization.allowed) return refused(`Refused: ${authorization.reason}`, policies);
  if (seams.needsCode(tool) && !confirmed) {
    const outcome = await confirmation(part, context, seams);
    switch (outcome.kind) {
      case "refused":
        return refused(`Refused: ${outcome.reason}`);
      case "parked":
        return park(callId, "confirmation", seams, tool.name);
      case "confirmed":
        break;
    }
  }
  return run(tool, part.input, policies, context, seams);
}

async function confirmation(
  part: Call["part"],
  context: ToolContext,
  { access, log, deadline: { signal } }: CallSeams,
) {
  if (access.confirm === undefined)
    return {
      kind: "refused",
      reason: "it must be confirmed, and there is no way to confirm it here",
    } as const;
  const asked = access.confirm({ tool: part.tool, input: part.input }, context);
  return untilAborted(asked, signal).catch((error: unknown) => {
    signal.throwIfAborted();
    log.error("tool.confirm", { turn: context.turnId, tool: part.tool, error: String(error) });
    return { kind: "refused", reason: "it must be confirmed, and asking for that failed" } as const;
  });
}

async function run(
  tool: Tool,
  input: Readonly<Record<string, unknown>>,
  policies: readonly string[] | undefined,
  context: ToolContext,
  seams: CallSeams,
): Promise<CallState> {
  const { access, deadline, clock } = seams;
  const { callId } = context;
  await access.journal.append([
    { kind: "call_started", callId, tool: tool.name, input, ...(policies === undefined ? {} : { policies }) },
  ]);
  const began = clock.now();
  try {
    const result = await untilAborted(tool.call(input, context, deadline.signal), deadline.signal);
    if (result.kind === "parked") return await park(callId, "result", seams, tool.name);
    return await end(callId, "done", result.text, seams, tool.name, { ms: clock.now() - began });
  } catch (error) {
    if (deadline.signal.aborted) throw overtime(deadline.signal.reason, tool, seams);
    return end(callId, "failed", wordsOf(error, tool, seams), seams, tool.name, { ms: clock.now() - began });
  }
}

/** The turn's time ended while a tool had the floor: the operator is told which. */
function overtime(reason: unknown, tool: Tool, { settings }: CallSeams): unknown {
  if (!(reason instanceof AgentFailure) || reason.kind !== "timeout") return reason;
  const time = formatDuration(settings.timeout);
  return new AgentFailure(
    "timeout",
    `the tool ${tool.name} was still running when the turn's ${time} were over`,
    {
      fix: `Find out why it is slow, or raise agents.${settings.id}.timeout.`,
    },
  );
}

function wordsOf(error: unknown, tool: Tool, { log, request }: CallSeams): string {
  if (error instanceof ToolFailure) return error.message;
  if (error instanceof AppError) return explainError(error);
  log.error("tool.error", { turn: request.turnId, tool: tool.name, error: String(error) });
  return "It failed for a reason inside the service.";
}

async function park(
  callId: string,
  until: "result" | "confirmation",
  { access, log, request, settings }: CallSeams,
  tool: string,
): Promise<CallState> {
  await access.journal.append([{ kind: "call_parked", callId, until, tool }]);
  log.info("tool.parked", { agent: settings.id, turn: request.turnId, call: callId, tool, until });
  return { kind: "waiting" };
}

type Outcome = "done" | "failed" | "refused" | "unknown";

async function end(
  callId: string,
  outcome: Outcome,
  said: string,
  { access, log, request, settings }: CallSeams,
  name: string,
  known: { readonly ms?: number; readonly policies?: readonly string[] } = {},
): Promise<CallState> {
  const text = capped(said, MAX_RESULT);
  const failed = outcome !== "done";
  const tool = name.slice(0, 128);
  const { ms, policies } = known;
  const untold = outcome === "refused" || outcome === "unknown" ? { outcome, tool } : {};
  await access.journal.append([
    { kind: "call_result", callId, failed, text, ...untold, ...(policies === undefined ? {} : { policies }) },
  ]);
  const fields = { agent: settings.id, turn: request.turnId, call: callId, tool, ms, policies };
  if (failed) log.warn("tool.call", { ...fields, outcome, reason: excerpt(text, request, { secrets: [] }) });
  else log.info("tool.call", { ...fields, outcome });
  return { kind: "done", failed, text };
}
