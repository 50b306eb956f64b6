/** All simulated messages, indexed by what they are asked for, the oldest forgotten beyond a cap. */

export type Direction = "inbound" | "outbound-api" | "outbound-reply";

export interface StoredMedia {
  readonly sid: string;
  readonly contentType: string;
  readonly createdAt: number;
  /** Where the file is, when the simulator does not hold it itself. */
  readonly link?: string;
}

export interface StoredMessage {
  /** Grows with every message; pages are cut by it. */
  readonly seq: number;
  readonly sid: string;
  readonly accountSid: string;
  readonly direction: Direction;
  /** Of outbound ones by a service: the sender it chose, which the API shows once the message is queued. */
  readonly from: string;
  readonly to: string;
  readonly serviceSid?: string;
  readonly body: string;
  readonly media: readonly StoredMedia[];
  readonly segments: number;
  readonly status: string;
  readonly errorCode?: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** When it left for the phone network (or came from it); absent while queued. */
  readonly sentAt?: number;
  /** When it reached the phone. */
  readonly arrivedAt?: number;
  /** The account's list shows it from this time on; never, when infinite. */
  readonly listedFrom: number;
  /** `Body=""` was posted: the account sees no text any more. The phone keeps what it got. */
  readonly redacted: boolean;
  /** Deleted from the account. */
  readonly deleted: boolean;
}

type NewMessage = Omit<StoredMessage, "seq" | "redacted" | "deleted">;
export type MessageChange = {
  readonly [K in
    | "status"
    | "errorCode"
    | "updatedAt"
    | "sentAt"
    | "arrivedAt"
    | "redacted"
    | "deleted"
    | "media"]?: StoredMessage[K];
};

export interface Ledger {
  add(message: NewMessage): StoredMessage;
  /** The same object is changed, so that holders of the message see it. */
  change(message: StoredMessage, change: MessageChange): void;
  bySid(sid: string): StoredMessage | undefined;
  /** Messages of an account, newest first, older than `before` (a seq). */
  ofAccount(accountSid: string, filter: LedgerFilter, before?: number): Iterable<StoredMessage>;
  /** The same, oldest first, newer than `after`. */
  ofAccountUpwards(accountSid: string, filter: LedgerFilter, after: number): Iterable<StoredMessage>;
  /** All messages from and to a phone, oldest first, deleted ones included. */
  ofPhone(address: string): Iterable<StoredMessage>;
  phones(): Iterable<{ readonly address: string; readonly messages: number; readonly last: StoredMessage }>;
  readonly size: number;
}

/** Narrows to one lane of the index; callers still check the messages themselves. */
interface LedgerFilter {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Messages in order of their seq, which leave only at the old end. */
class Lane {
  private items: StoredMessage[] = [];
  private head = 0;

  get length(): number {
    return this.items.length - this.head;
  }
  get last(): StoredMessage | undefined {
    return this.length > 0 ? this.items.at(-1) : undefined;
  }
  push(message: StoredMessage): void {
    this.items.push(message);
  }
  /** Drops the oldest. The array is cut only now and then, so that this costs nothing. */
  shift(): StoredMessage | undefined {
    const first = this.items[this.head];
    if (first === undefined) return undefined;
    this.head += 1;
    if (this.head > 1024 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return first;
  }
  /** Index of the first message whose seq is at least `seq`. */
  private lowerBound(seq: number): number {
    let low = this.head;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.items[middle]?.seq ?? Number.POSITIVE_INFINITY) < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  *down(before: number): Iterable<StoredMessage> {
    for (let i = this.lowerBound(before) - 1; i >= this.head; i--) {
      const message = this.items[i];
      if (message) yield message;
    }
  }
  *up(after: number): Iterable<StoredMessage> {
    for (let i = this.lowerBound(after + 1); i < this.items.length; i++) {
      const message = this.items[i];
      if (message) yield message;
    }
  }
}

export function createLedger(options: {
  readonly maxMessages: number;
  /** Called for each message that is forgotten. */
  readonly forget: (message: StoredMessage) => void;
}): Ledger {
  const all = new Lane();
  const bySid = new Map<string, { -readonly [K in keyof StoredMessage]: StoredMessage[K] }>();
  const lanes = new Map<string, Lane>();
  const phones = new Map<string, Lane>();
  let seq = 0;

  const phoneOf = (message: StoredMessage) => (message.direction === "inbound" ? message.from : message.to);
  const laneKeys = (message: StoredMessage) => [
    message.accountSid,
    `${message.accountSid} to ${message.to}`,
    `${message.accountSid} from ${message.from}`,
  ];
  const lane = (map: Map<string, Lane>, key: string) => {
    let found = map.get(key);
    if (!found) {
      found = new Lane();
      map.set(key, found);
    }
    return found;
  };
  const shift = (map: Map<string, Lane>, key: string) => {
    const found = map.get(key);
    found?.shift();
    if (found?.length === 0) map.delete(key);
  };
  /** The shortest lane that holds all messages of the filter. */
  const narrowest = (accountSid: string, filter: LedgerFilter) => {
    const keys = [accountSid];
    if (filter.to !== undefined) keys.push(`${accountSid} to ${filter.to}`);
    if (filter.from !== undefined) keys.push(`${accountSid} from ${filter.from}`);
    const found = keys.map((key) => lanes.get(key) ?? new Lane());
    return found.reduce((best, next) => (next.length < best.length ? next : best));
  };

  return {
    add(message) {
      const row = { ...message, seq: ++seq, redacted: false, deleted: false };
      all.push(row);
      bySid.set(row.sid, row);
      for (const key of laneKeys(row)) lane(lanes, key).push(row);
      lane(phones, phoneOf(row)).push(row);
      if (all.length > options.maxMessages) {
        const oldest = all.shift();
        if (oldest) {
          bySid.delete(oldest.sid);
          for (const key of laneKeys(oldest)) shift(lanes, key);
          shift(phones, phoneOf(oldest));
          options.forget(oldest);
        }
      }
      return row;
    },
    change(message, change) {
      const row = bySid.get(message.sid);
      if (row) Object.assign(row, change);
    },
    bySid: (sid) => bySid.get(sid),
    ofAccount: (accountSid, filter, before = Number.POSITIVE_INFINITY) =>
      narrowest(accountSid, filter).down(before),
    ofAccountUpwards: (accountSid, filter, after) => narrowest(accountSid, filter).up(after),
    ofPhone: (address) => phones.get(address)?.up(0) ?? [],
    *phones() {
      for (const [address, messages] of phones) {
        const last = messages.last;
        if (last) yield { address, messages: messages.length, last };
      }
    },
    get size() {
      return all.length;
    },
  };
}
