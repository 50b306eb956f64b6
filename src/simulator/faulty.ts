import type { RequestFault, SendFault } from "../simulated.ts";
import { refusal, refuse } from "./refusals.ts";
import type { Work } from "./work.ts";

/** Answers that go wrong on order. */

/** The connection breaks without a whole answer. */
export function cutConnection(): Response {
  // An error without a value: Bun ends the connection and prints nothing.
  return new Response(new ReadableStream({ start: (controller) => controller.error() }));
}

/** No answer, until the caller gives up or the simulator is closed. */
export async function neverAnswer(request: Request, work: Work): Promise<Response> {
  await new Promise<void>((resolve) => {
    if (request.signal.aborted || work.signal.aborted) return resolve();
    request.signal.addEventListener("abort", () => resolve(), { once: true });
    work.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  return cutConnection();
}

/** Waits for `what`, but not beyond the end of the simulator. */
export function unlessClosed(what: Promise<void>, work: Work): Promise<void> {
  return new Promise((resolve) => {
    if (work.signal.aborted) return resolve();
    const onClose = () => resolve();
    work.signal.addEventListener("abort", onClose, { once: true });
    what.then(() => {
      work.signal.removeEventListener("abort", onClose);
      resolve();
    });
  });
}

export function pause(delay: number, work: Work): Promise<void> {
  return unlessClosed(new Promise((resolve) => work.after(delay, resolve)), work);
}

type Refusing = Extract<
  RequestFault | SendFault,
  { readonly kind: "error" | "throttle" | "server_error" | "server_error_after" }
>;

export function refuseOnOrder(fault: Refusing): Response {
  switch (fault.kind) {
    case "error":
      return refuse(refusal(fault.code, fault.message ?? `Simulated error ${fault.code}`, fault.status));
    case "throttle": {
      const seconds = fault.retryAfter === undefined ? undefined : String(Math.ceil(fault.retryAfter / 1000));
      const what = refusal(20_429, "Too Many Requests");
      return refuse(seconds === undefined ? what : { ...what, headers: { "Retry-After": seconds } });
    }
    case "server_error":
    case "server_error_after":
      return refuse(refusal(fault.status === 503 ? 20_503 : 20_500, "Simulated outage", fault.status));
  }
}
