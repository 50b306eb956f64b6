import { z } from "zod";
import { CliError, EXIT } from "./exit.ts";

/** Where a running service is reached, and as whom. */
export interface Target {
  readonly url: string;
  readonly token: string;
}

const problemSchema = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  fix: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});

/** How long a verb waits for the service, ms. */
const TIMEOUT = 30_000;

interface CallOptions {
  readonly body?: unknown;
  /** Sent as they are, instead of `body`. */
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly headers?: Record<string, string>;
}

/**
 * Calls the admin API. Rejects with CliError: exit code 3 when nobody answers, 4 when the answer takes too
 * long, 2 with the service's own words when it finds the input wrong, 1 when it refuses for another reason.
 * The answer is checked against `schema`.
 */
export async function call<T>(
  target: Target,
  method: "GET" | "POST" | "PATCH" | "DELETE",
  path: string,
  schema: z.ZodType<T>,
  options: CallOptions = {},
): Promise<T> {
  const { status, text } = await request(target, method, path, options);
  if (status < 200 || status > 299) throw refusal(target, status, text);
  const parsed = schema.safeParse(text === "" ? undefined : json(text));
  if (!parsed.success)
    throw new CliError(
      EXIT.failed,
      `What listens at ${target.url} answered something else than sms-agent would; is it the admin address?`,
    );
  return parsed.data;
}

const INPUT_IS_WRONG: ReadonlySet<number> = new Set([400, 413, 415, 422]);

/** The service answered, and not with what was asked for. */
export class ServiceRefusal extends CliError {
  constructor(
    /** The HTTP status. */
    readonly status: number,
    message: string,
    /** Whether what is not there was named in the input, as a channel is, and not by an id. */
    misnamed = false,
  ) {
    super(misnamed || INPUT_IS_WRONG.has(status) ? EXIT.usage : EXIT.failed, message);
  }
}

async function request(
  target: Target,
  method: string,
  path: string,
  options: CallOptions,
): Promise<{ readonly status: number; readonly text: string }> {
  try {
    const response = await fetch(`${target.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${target.token}`,
        ...(options.body === undefined ? {} : { "content-type": "application/json" }),
        ...(options.bytes === undefined ? {} : { "content-type": "application/octet-stream" }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.bytes === undefined ? {} : { body: options.bytes }),
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT),
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    if (error instanceof Error && error.name === "TimeoutError")
      throw new CliError(
        EXIT.timedOut,
        `The service at ${target.url} did not answer within ${TIMEOUT / 1000} s.`,
      );
    throw new CliError(
      EXIT.unreachable,
      `No service answers at ${target.url}. Start it with sms-agent serve, or name another with --url.`,
    );
  }
}

/** A problem+json in a few lines; anything else by its status. */
function refusal(target: Target, status: number, text: string): ServiceRefusal {
  const parsed = problemSchema.safeParse(json(text));
  if (!parsed.success)
    return new ServiceRefusal(
      status,
      `What listens at ${target.url} answered ${status}; is it the admin address?`,
    );
  const { title, detail, fix, errors } = parsed.data;
  const lines = [detail ?? title ?? `The service answered ${status}.`];
  for (const error of errors ?? []) lines.push(`  ${error.path}: ${error.message}`);
  if (status === 401)
    lines.push("  Give the right one with --token, or name the config file the service runs with.");
  else if (fix !== undefined) lines.push(`  ${fix}`);
  return new ServiceRefusal(status, lines.join("\n"), status === 404 && errors !== undefined);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
