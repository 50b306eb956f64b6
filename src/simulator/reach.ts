import type { PhoneNumber } from "./numbers.ts";

/** Whom a sender may text: opt-outs by keyword, and WhatsApp's window after the person's last text. */
export interface Reach {
  /** Numbers of one Messaging Service share their opt-outs. */
  optOut(sender: SenderKey, phone: string): void;
  /** True when the phone was opted out until now. */
  optIn(sender: SenderKey, phone: string): boolean;
  isOptedOut(sender: SenderKey, phone: string): boolean;
  optedOutOf(phone: string): readonly string[];
  /** A WhatsApp text came in at `at`: the sender may write freely for 24 hours. */
  openWindow(sender: string, phone: string, at: number): void;
  hasWindow(sender: string, phone: string, at: number): boolean;
}

/** The SID of the Messaging Service, or the sending number. */
export type SenderKey = string;

export function senderKey(number: PhoneNumber | undefined, address: string): SenderKey {
  return number?.serviceSid ?? number?.number ?? address;
}

const WINDOW = 24 * 3_600_000;

export function createReach(): Reach {
  const optedOut = new Map<string, Set<SenderKey>>();
  const windows = new Map<string, number>();
  return {
    optOut(sender, phone) {
      const senders = optedOut.get(phone);
      if (senders) senders.add(sender);
      else optedOut.set(phone, new Set([sender]));
    },
    optIn(sender, phone) {
      const senders = optedOut.get(phone);
      const was = senders?.delete(sender) ?? false;
      if (senders?.size === 0) optedOut.delete(phone);
      return was;
    },
    isOptedOut: (sender, phone) => optedOut.get(phone)?.has(sender) ?? false,
    optedOutOf: (phone) => [...(optedOut.get(phone) ?? [])],
    openWindow: (sender, phone, at) => windows.set(`${sender} ${phone}`, at),
    hasWindow(sender, phone, at) {
      const opened = windows.get(`${sender} ${phone}`);
      return opened !== undefined && at - opened < WINDOW;
    },
  };
}

/** +1 800, 833, 844, 855, 866, 877, 888: only START and UNSTOP undo a STOP there. */
export function isTollFree(number: string): boolean {
  return /^\+18(00|33|44|55|66|77|88)\d{7}$/.test(number);
}
