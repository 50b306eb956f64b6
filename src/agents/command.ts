import { type Agent, AgentFailure, type AgentReply, type TurnRequest } from "../agent.ts";
import { AppError } from "../errors.ts";
import type { CommandAgent } from "../settings.ts";
import { startDeadline } from "./deadline.ts";
import { excerpt } from "./excerpt.ts";
import { type ProcessEnd, runProcess } from "./process.ts";
import { NotStarted, programEnv } from "./process-group.ts";
import type { AgentSeams } from "./seams.ts";
import { turnJson } from "./turn-json.ts";

const MAX_OUTPUT = 64 * 1024;

/**
 * Runs a program for each turn: the turn as one line of JSON on stdin, the reply on stdout. No output is
 * silence. The program sees PATH, HOME, LANG and the `env` of its settings, nothing else of ours.
 */
export function createCommandAgent(settings: CommandAgent, seams: AgentSeams): Agent {
  const { id, command, cwd } = settings;
  const program = command[0] ?? "";
  if (program === "")
    throw new AppError("invalid", `Agent ${id} has no command.`, {
      problems: [{ path: `agents.${id}.command`, message: "Write it like [./reply.sh, --brief]." }],
    });
  const env = programEnv(settings.env, seams.env);
  const secrets = Object.values(settings.env).filter((value) => value.length >= 8);
  const running = new Set<Promise<unknown>>();
  const closing = new AbortController();

  async function run(request: TurnRequest, signal: AbortSignal): Promise<AgentReply> {
    const stop = AbortSignal.any([signal, closing.signal]);
    const deadline = startDeadline(seams.clock, settings.timeout, stop, `\`${program}\``);
    try {
      const spec = { command, cwd, env, stdin: `${turnJson(request)}\n`, maxOutput: MAX_OUTPUT };
      return replyOf(await runProcess(spec, seams.clock, deadline.signal), request);
    } catch (error) {
      if (error instanceof NotStarted)
        throw new AgentFailure("provider", `\`${program}\` ${error.message}`, { fix: error.fix });
      throw error;
    } finally {
      deadline.end();
    }
  }

  function replyOf(ended: ProcessEnd, request: TurnRequest): AgentReply {
    if (ended.oversized)
      throw new AgentFailure("output", `\`${program}\` wrote more than ${MAX_OUTPUT / 1024} KiB to stdout`, {
        fix: "Write only the reply to stdout, and everything else to stderr.",
      });
    if (ended.exitCode !== 0) {
      const how =
        ended.endedBy === undefined ? `exited with ${ended.exitCode}` : `was ended by ${ended.endedBy}`;
      const said = excerpt(ended.stderr, request, { secrets, keep: "end" });
      throw new AgentFailure("provider", `\`${program}\` ${how}${said === "" ? "" : `; stderr: ${said}`}`);
    }
    const text = replyText(ended.stdout);
    return text === "" ? {} : { text };
  }

  function replyText(stdout: Uint8Array): string {
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(stdout).trim();
    } catch {
      throw new AgentFailure("output", `\`${program}\` wrote something to stdout that is not UTF-8`, {
        fix: `Let it write UTF-8, for example with agents.${id}.env: { LANG: C.UTF-8 }.`,
      });
    }
  }

  return {
    run(request, signal) {
      const turn = run(request, signal);
      const settled = turn.catch(() => {}).finally(() => running.delete(settled));
      running.add(settled);
      return turn;
    },
    async close() {
      closing.abort(new Error("the agent is closed"));
      await Promise.all(running);
    },
  };
}
