import { isE164 } from "../address.ts";
import type { Clock } from "../clock.ts";
import type { RandomBytes } from "../ids.ts";

/** What the simulated account owns. Rows are replaced, never changed in place. */
export interface Account {
  readonly sid: string;
  readonly authToken: string;
  readonly friendlyName: string;
  /** The account this one is a subaccount of; its credentials work here too. */
  readonly parent?: string;
  readonly createdAt: number;
}

export interface PhoneNumber {
  readonly sid: string;
  readonly accountSid: string;
  /** E.164, or a short code. */
  readonly number: string;
  readonly friendlyName: string;
  readonly sms: boolean;
  readonly mms: boolean;
  readonly whatsapp: boolean;
  /** Twilio's Advanced Opt-Out: webhooks carry `OptOutType`. */
  readonly advancedOptOut: boolean;
  readonly serviceSid?: string;
  readonly smsUrl: string;
  readonly smsMethod: WebhookMethod;
  readonly smsFallbackUrl: string;
  readonly smsFallbackMethod: WebhookMethod;
  readonly smsApplicationSid: string;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export type WebhookMethod = "POST" | "GET";

export interface MessagingService {
  readonly sid: string;
  readonly accountSid: string;
  readonly friendlyName: string;
  /** Null: nobody is told of inbound messages, unless they go to the number's webhook. */
  readonly inboundRequestUrl: string | null;
  readonly inboundMethod: WebhookMethod;
  readonly fallbackUrl: string | null;
  readonly fallbackMethod: WebhookMethod;
  readonly statusCallback: string | null;
  readonly useInboundWebhookOnNumber: boolean;
  readonly smartEncoding: boolean;
  readonly stickySender: boolean;
  readonly advancedOptOut: boolean;
  readonly validityPeriod: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface AccountSeed {
  readonly sid: string;
  readonly authToken: string;
  readonly friendlyName?: string;
  readonly parent?: string;
  readonly apiKeys?: readonly { readonly sid: string; readonly secret: string }[];
  /** Its numbers, where nothing more is to be said about them. */
  readonly numbers?: readonly string[];
}

/** `number` may have the form `whatsapp:+1…`, which makes it a WhatsApp sender as well. */
export type NumberSeed = {
  readonly number: string /** Default: the first account. */;
  readonly account?: string;
} & Partial<Omit<PhoneNumber, "sid" | "accountSid" | "number" | "createdAt" | "updatedAt" | "serviceSid">>;

export type ServiceSeed = {
  readonly sid: string;
  /** Default: the first account. */
  readonly account?: string;
  /** Its senders, which must be among the numbers; without them it gets a number of its own. */
  readonly numbers?: readonly string[];
} & Partial<Omit<MessagingService, "sid" | "accountSid" | "createdAt" | "updatedAt">>;

export interface Inventory {
  readonly open: boolean;
  account(sid: string): Account | undefined;
  accounts(): readonly Account[];
  addAccount(seed: AccountSeed): Account;
  /** The account an API key belongs to, when its secret is right. */
  keyOwner(sid: string, secret: string): Account | undefined;
  /** Remembers an API key; undefined when it is known with another secret or for another account. */
  learnKey(account: Account, sid: string, secret: string): Account | undefined;

  /** By E.164 number, with or without `whatsapp:`, or by short code. */
  number(address: string): PhoneNumber | undefined;
  numberBySid(sid: string): PhoneNumber | undefined;
  numbers(accountSid: string): readonly PhoneNumber[];
  allNumbers(): readonly PhoneNumber[];
  addNumber(accountSid: string, seed: NumberSeed): PhoneNumber;
  updateNumber(number: PhoneNumber, change: Partial<PhoneNumber>): PhoneNumber;
  /** Takes the number out of its Messaging Service. */
  detachNumber(number: PhoneNumber): void;

  service(sid: string): MessagingService | undefined;
  services(accountSid: string): readonly MessagingService[];
  addService(accountSid: string, seed: Partial<ServiceSeed>): MessagingService;
  updateService(service: MessagingService, change: Partial<MessagingService>): MessagingService;
  removeService(service: MessagingService): void;
  /** The senders of a service, in the order in which they joined it. */
  senders(serviceSid: string): readonly PhoneNumber[];
}

/** `SM`, `PN`, `ME`… and 32 random hexadecimal digits. */
export function newSid(prefix: string, random: RandomBytes): string {
  return prefix + Buffer.from(random(16)).toString("hex");
}

/** The number a service gets by itself: the same at every start. */
export function numberForService(sid: string): string {
  const digits = Number.parseInt(sid.replace(/[^0-9a-fA-F]/g, "").slice(0, 12) || "0", 16) % 1e7;
  return `+1555${digits.toString().padStart(7, "0")}`;
}

export function createInventory(options: {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly open: boolean;
}): Inventory {
  const { clock, random } = options;
  const accounts = new Map<string, Account>();
  const keys = new Map<string, { readonly account: string; readonly secret: string }>();
  const byNumber = new Map<string, PhoneNumber>();
  const numberOfSid = new Map<string, string>();
  const services = new Map<string, MessagingService>();
  const bare = (address: string) => address.replace(/^whatsapp:/, "");

  const putNumber = (number: PhoneNumber) => {
    byNumber.set(number.number, number);
    numberOfSid.set(number.sid, number.number);
    return number;
  };
  const putService = (service: MessagingService) => {
    services.set(service.sid, service);
    return service;
  };

  return {
    open: options.open,
    account: (sid) => accounts.get(sid),
    accounts: () => [...accounts.values()],
    addAccount(seed) {
      const account: Account = {
        sid: seed.sid,
        authToken: seed.authToken,
        friendlyName: seed.friendlyName ?? "Simulated account",
        ...(seed.parent === undefined ? {} : { parent: seed.parent }),
        createdAt: clock.now(),
      };
      accounts.set(seed.sid, account);
      for (const key of seed.apiKeys ?? []) keys.set(key.sid, { account: seed.sid, secret: key.secret });
      return account;
    },
    keyOwner(sid, secret) {
      const key = keys.get(sid);
      return key !== undefined && key.secret === secret ? accounts.get(key.account) : undefined;
    },
    learnKey(account, sid, secret) {
      const known = keys.get(sid);
      if (known === undefined) keys.set(sid, { account: account.sid, secret });
      else if (known.account !== account.sid || known.secret !== secret) return undefined;
      return account;
    },

    number: (address) => byNumber.get(bare(address)),
    numberBySid: (sid) => byNumber.get(numberOfSid.get(sid) ?? ""),
    numbers: (accountSid) => [...byNumber.values()].filter((number) => number.accountSid === accountSid),
    allNumbers: () => [...byNumber.values()],
    addNumber(accountSid, seed) {
      const { number, account: _account, ...rest } = seed;
      const now = clock.now();
      return putNumber({
        sid: newSid("PN", random),
        accountSid,
        friendlyName: bare(number),
        sms: true,
        mms: isE164(bare(number)),
        whatsapp: number.startsWith("whatsapp:"),
        advancedOptOut: false,
        smsUrl: "",
        smsMethod: "POST",
        smsFallbackUrl: "",
        smsFallbackMethod: "POST",
        smsApplicationSid: "",
        createdAt: now,
        updatedAt: now,
        ...rest,
        number: bare(number),
      });
    },
    updateNumber: (number, change) => putNumber({ ...number, ...change, updatedAt: clock.now() }),
    detachNumber(number) {
      const { serviceSid: _left, ...rest } = number;
      putNumber({ ...rest, updatedAt: clock.now() });
    },

    service: (sid) => services.get(sid),
    services: (accountSid) => [...services.values()].filter((service) => service.accountSid === accountSid),
    addService(accountSid, seed) {
      const { account: _account, numbers = [], ...rest } = seed;
      const now = clock.now();
      const service = putService({
        sid: newSid("MG", random),
        friendlyName: "Simulated service",
        inboundRequestUrl: null,
        inboundMethod: "POST",
        fallbackUrl: null,
        fallbackMethod: "POST",
        statusCallback: null,
        useInboundWebhookOnNumber: false,
        smartEncoding: true,
        stickySender: true,
        advancedOptOut: false,
        validityPeriod: 36_000,
        createdAt: now,
        updatedAt: now,
        ...rest,
        accountSid,
      });
      for (const address of numbers) {
        const number = byNumber.get(bare(address));
        if (number) putNumber({ ...number, serviceSid: service.sid });
      }
      return service;
    },
    updateService: (service, change) => putService({ ...service, ...change, updatedAt: clock.now() }),
    removeService(service) {
      services.delete(service.sid);
      for (const number of byNumber.values()) {
        if (number.serviceSid !== service.sid) continue;
        const { serviceSid: _left, ...rest } = number;
        putNumber(rest);
      }
    },
    senders: (serviceSid) => [...byNumber.values()].filter((number) => number.serviceSid === serviceSid),
  };
}
