import type { RandomBytes } from "../ids.ts";
import type { Log } from "../log.ts";
import type { CallbackFaultOf, Faults } from "./faults.ts";
import type { StoredMessage } from "./ledger.ts";
import type { Inventory } from "./numbers.ts";
import type { Parameters } from "./signature.ts";
import type { CallWebhook } from "./webhook.ts";
import type { Work } from "./work.ts";

/** The status callbacks of one message, one after the other unless a fault says otherwise. */
export interface CallbackLine {
  /** Reports the message's present state. Resolves when this callback is over, whatever came of it. */
  report(): Promise<void>;
  /** No further state will come. */
  end(): void;
  /** The state whose callback must be over before the request that made the message is answered. */
  readonly holdAnswerFor?: string;
}

export type OpenCallbackLine = (message: StoredMessage, url: string) => CallbackLine;

export function createCallbacks(options: {
  readonly work: Work;
  readonly call: CallWebhook;
  readonly inventory: Inventory;
  readonly faults: Faults;
  readonly random: RandomBytes;
  readonly log: Log;
  /** Only these states are reported; all, when absent. */
  readonly states?: ReadonlySet<string>;
}): OpenCallbackLine {
  const { work, call, inventory, faults, random, log } = options;

  async function post(message: StoredMessage, url: string, parameters: Parameters): Promise<void> {
    const authToken = inventory.account(message.accountSid)?.authToken ?? "";
    const idempotencyToken = Buffer.from(random(16)).toString("hex");
    const outcome = await call({ url, method: "POST", parameters, authToken, idempotencyToken });
    if (outcome.kind === "failed") {
      log.warn("simulator.callback_failed", { sid: message.sid, code: outcome.code, reason: outcome.reason });
    }
  }

  return (message, url) => {
    const facts = { from: message.from, to: message.to, body: message.body };
    const lost = faults.takeCallback("lost", facts);
    const late = faults.takeCallback("late", facts);
    const duplicate = faults.takeCallback("duplicate", facts);
    const reorder = faults.takeCallback("reorder", facts);
    const early = faults.takeCallback("before_answer", facts);
    const held: (() => Promise<void>)[] = [];
    let tail: Promise<void> = Promise.resolve();

    const line = (send: () => Promise<void>) => {
      tail = tail.then(send);
      work.track(tail);
      return tail;
    };
    return {
      report() {
        const { status } = message;
        if (options.states && !options.states.has(status)) return Promise.resolve();
        if (lost && concerns(lost, status)) return Promise.resolve();
        const parameters = callbackParameters(message);
        const copies = duplicate && concerns(duplicate, status) ? duplicate.count : 1;
        const send = async () => {
          await Promise.all(Array.from({ length: copies }, () => post(message, url, parameters)));
        };
        if (late && concerns(late, status)) {
          work.after(late.delay, () => work.track(send()));
          return Promise.resolve();
        }
        if (reorder) {
          held.push(send);
          return Promise.resolve();
        }
        return line(send);
      },
      end() {
        for (const send of held.splice(0).reverse()) line(send);
      },
      ...(early ? { holdAnswerFor: early.state ?? message.status } : {}),
    };
  };
}

function concerns(fault: CallbackFaultOf<"lost" | "late" | "duplicate">, status: string): boolean {
  return fault.states === undefined || fault.states.includes(status);
}

function callbackParameters(message: StoredMessage): Parameters {
  const { status, sid } = message;
  const whatsapp = message.to.startsWith("whatsapp:");
  const arrived = status === "delivered" || status === "undelivered" || status === "read";
  return [
    ...(whatsapp
      ? [["ChannelPrefix", "whatsapp"] as const, ["ChannelToAddress", message.to.slice(9)] as const]
      : []),
    ...(arrived && !whatsapp ? [["RawDlrDoneDate", doneDate(message.updatedAt)] as const] : []),
    ["SmsSid", sid],
    ["SmsStatus", status],
    ["MessageStatus", status],
    ["To", message.to],
    ...(message.serviceSid === undefined ? [] : [["MessagingServiceSid", message.serviceSid] as const]),
    ["MessageSid", sid],
    ["AccountSid", message.accountSid],
    ...(status === "accepted" ? [] : [["From", message.from] as const]),
    ["ApiVersion", "2010-04-01"],
    ...(message.errorCode === undefined ? [] : [["ErrorCode", String(message.errorCode)] as const]),
    ...(whatsapp && (status === "delivered" || status === "read")
      ? [["EventType", status.toUpperCase()] as const]
      : []),
  ];
}

/** `YYMMDDhhmm`, as the networks report it. */
function doneDate(at: number): string {
  return new Date(at).toISOString().replace(/\D/g, "").slice(2, 12);
}
