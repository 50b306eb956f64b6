import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { z } from "zod";
import { parseDuration } from "../duration.ts";
import { MAX_TIMEOUT } from "../wait-request.ts";
import { call, ServiceRefusal, type Target } from "./client.ts";
import { CliError, EXIT } from "./exit.ts";
import { print, printable, stdout } from "./output.ts";
import { withTarget } from "./target.ts";

interface AwaitOptions {
  readonly channel?: string;
  readonly from?: readonly string[];
  readonly match?: string;
  readonly origin?: string;
  readonly timeout: string;
  readonly code?: boolean;
  readonly json?: boolean;
}

const outcome = z.looseObject({
  status: z.enum(["matched", "timeout"]),
  signal: z
    .looseObject({ text: z.string(), code: z.string().optional(), link: z.string().optional() })
    .optional(),
});
type Outcome = z.infer<typeof outcome>;

/** Pause before a call that was cut is repeated, ms. */
const RETRY = 1_000;

export function awaitVerb(program: Command): void {
  const verb = program
    .command("await")
    .description(
      "wait for a text message and print the code in it, alone; exit code 4 when none comes in time",
    )
    .option("--channel <id>", "only texts on this channel")
    .option("--from <address...>", "only from these senders; a trailing * matches a prefix")
    .option("--match <pattern>", "only texts in which this regular expression is found")
    .option("--origin <host>", "only codes bound to this host, as in @example.com #123456")
    .option("--timeout <duration>", "how long to wait: 30s, 5m, 1h", "25s")
    .option(
      "--code",
      "only a verification code ends the wait; without it, any text does: then its link or the text is printed where there is no code",
    )
    .option("--json", "print the API's answer")
    .addHelpText(
      "after",
      '\nExamples:\n  CODE=$(sms-agent await --code --from "MYBANK" --timeout 2m)\n  sms-agent await --channel codes --match "(?i)locker" --json',
    );
  withTarget<AwaitOptions>(verb, async (target, options) => {
    const timeout = parseDuration(options.timeout);
    if (!timeout.ok)
      throw new CliError(EXIT.usage, `--timeout ${options.timeout} ${timeout.message}; ${timeout.fix}.`);
    const { channel, from, match, origin } = options;
    const category = options.code === true ? "verification_code" : undefined;
    const answer = await waitUntil(Date.now() + timeout.ms, target, {
      channel,
      from,
      match,
      origin,
      category,
    });
    const json = options.json === true;
    if (answer.status === "timeout" && !json)
      throw new CliError(EXIT.timedOut, `Nothing has arrived within ${options.timeout}.`);
    print(stdout, answer, json, essence);
    if (answer.status === "timeout") process.exitCode = EXIT.timedOut;
  });
}

/** What a script wants of it: the code, else the link, else the text. */
function essence({ signal }: Outcome): string {
  return signal?.code ?? signal?.link ?? printable(signal?.text ?? "");
}

/**
 * Waits in calls of at most five minutes, each with a key of its own: one that is cut, by a proxy or a restart of the
 * service, is repeated and gets what its first try has caught.
 */
async function waitUntil(deadline: number, target: Target, filters: Filters): Promise<Outcome> {
  // Says at once what is wrong with address and token; from here on, silence means that the service restarts.
  await call(target, "GET", "/watches?limit=1", z.looseObject({}));
  for (;;) {
    const end = Math.min(deadline, Date.now() + MAX_TIMEOUT);
    const answer = await waitOnce(end, target, filters);
    if (answer.status === "matched" || end === deadline) return answer;
  }
}

async function waitOnce(end: number, target: Target, filters: Filters): Promise<Outcome> {
  const headers = { "idempotency-key": randomUUID() };
  const giveUp = cancelOnSignal(() => call(target, "DELETE", "/signals/await", z.undefined(), { headers }));
  try {
    for (;;) {
      const timeout = `${Math.max(0, end - Date.now())}ms`;
      try {
        const body = { ...filters, timeout };
        return await call(target, "POST", "/signals/await", outcome, { body, headers });
      } catch (error) {
        if (!mayPass(error) || Date.now() >= end) throw error;
        // The client's own limit is no reason to pause; anything else may need a moment.
        if (!isLimit(error)) await sleep(Math.min(RETRY, Math.max(0, end - Date.now())));
      }
    }
  } finally {
    giveUp();
  }
}

type Filters = Readonly<Record<string, string | readonly string[] | undefined>>;

function isLimit(error: unknown): boolean {
  return error instanceof CliError && error.exitCode === EXIT.timedOut;
}

function mayPass(error: unknown): boolean {
  if (error instanceof ServiceRefusal) return error.status >= 502 && error.status <= 504;
  return isLimit(error) || (error instanceof CliError && error.exitCode === EXIT.unreachable);
}

/** Interrupted, the wait must not go on at the service and take a code for nobody. */
function cancelOnSignal(cancel: () => Promise<unknown>): () => void {
  const codes = { SIGINT: 130, SIGTERM: 143 } as const;
  const stop = (name: keyof typeof codes) => {
    const end = () => process.exit(codes[name]);
    cancel().then(end, end);
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, stop);
  return () => {
    for (const name of ["SIGINT", "SIGTERM"] as const) process.off(name, stop);
  };
}
