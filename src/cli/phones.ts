import type { App } from "../app.ts";
import type { PhoneMessage, SimulatorControl } from "../simulated.ts";
import { CliError, EXIT } from "./exit.ts";

/** The simulated phones, and whether the service is done with what they texted. */
export interface Phones {
  text(from: string, body: string): Promise<void>;
  /** Calls `listener` once for every text that reaches a phone. */
  subscribe(listener: (text: PhoneMessage) => void): () => void;
  /** The next text that reaches the phone; rejects with CliError (exit code 4) after `patience` ms. */
  next(phone: string, patience: number): Promise<PhoneMessage>;
  received(phone: string): Promise<readonly PhoneMessage[]>;
  /** Once the last text is admitted: why it gets no answer; undefined when one may come. */
  whyUnanswered(): Promise<string | undefined>;
  /** Resolves when every text is admitted and answered and every answer has arrived; after `patience` ms anyhow. */
  settled(patience: number): Promise<void>;
}

export function phonesOf(app: App, simulator: SimulatorControl, number: string): Phones {
  let last: string | undefined;
  const admitted = async () => {
    const { items } = await app.operator.messages({ direction: "inbound", limit: 50 });
    return last === undefined || items.some((item) => item.providerSid === last);
  };
  const delivered = async () => {
    const { items } = await app.operator.messages({ direction: "outbound", limit: 50 });
    return items.every((item) => !UNDER_WAY.has(item.state));
  };
  const subscribe: Phones["subscribe"] = (listener) => {
    const shown = new Set<string>();
    return simulator.subscribe((text) => {
      if (text.direction !== "outbound" || text.arrivedAt === undefined || shown.has(text.sid)) return;
      shown.add(text.sid);
      listener(text);
    });
  };
  return {
    subscribe,
    async text(from, body) {
      last = (await simulator.inbound({ from, to: number, body })).sid;
    },
    next(phone, patience) {
      const answer = Promise.withResolvers<PhoneMessage>();
      const late = `${phone} got no text within ${patience / 1000} s; try --verbose.`;
      const timer = setTimeout(() => answer.reject(new CliError(EXIT.timedOut, late)), patience);
      const unsubscribe = subscribe((text) => {
        if (text.to === phone) answer.resolve(text);
      });
      return answer.promise.finally(() => {
        clearTimeout(timer);
        unsubscribe();
      });
    },
    async received(phone) {
      return (await simulator.messages(phone)).filter((text) => text.direction === "outbound");
    },
    async whyUnanswered() {
      await holds(admitted, Date.now() + 2_000);
      const { items } = await app.operator.messages({ direction: "inbound", limit: 50 });
      const text = items.find((item) => item.providerSid === last);
      if (text?.state !== "dropped") return undefined;
      return text.error?.meaning ?? "the text was dropped";
    },
    async settled(patience) {
      const until = Date.now() + patience;
      await holds(admitted, until);
      await Promise.race([app.idle(), pause(until - Date.now())]);
      await holds(delivered, until);
    },
  };
}

const UNDER_WAY: ReadonlySet<string> = new Set(["pending", "sending", "queued", "sent"]);

async function holds(condition: () => Promise<boolean>, until: number): Promise<void> {
  while (!(await condition()) && Date.now() < until) await pause(20);
}

function pause(delay: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, delay)));
}
