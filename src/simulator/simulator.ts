import type { Clock } from "../clock.ts";
import type { RandomBytes } from "../ids.ts";
import type { Log } from "../log.ts";
import type { SimulatorControl } from "../simulated.ts";
import { createAnswers } from "./answers.ts";
import { createCallbacks } from "./callbacks.ts";
import { createControl } from "./control.ts";
import { serveControl } from "./control-http.ts";
import { createFaults } from "./faults.ts";
import { createInbound } from "./inbound.ts";
import { createLedger, type StoredMessage } from "./ledger.ts";
import { createMediaFiles } from "./media.ts";
import { createMediaFetch } from "./media-fetch.ts";
import {
  type AccountSeed,
  createInventory,
  type Inventory,
  type NumberSeed,
  numberForService,
  type ServiceSeed,
} from "./numbers.ts";
import { createOutbound } from "./outbound.ts";
import { createReach } from "./reach.ts";
import { refusal, refuse } from "./refusals.ts";
import { createRest } from "./rest.ts";
import { createMessageRoutes } from "./rest-messages.ts";
import { createNumberRoutes } from "./rest-numbers.ts";
import { createServiceRoutes } from "./rest-services.ts";
import { createSendingRules } from "./sending.ts";
import { DEFAULT_DELAYS, type Delays } from "./timeline.ts";
import { createWebhookCaller, type Fetch } from "./webhook.ts";
import { createWork } from "./work.ts";

export interface SimulatorOptions {
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Calls webhooks and status callbacks. */
  readonly fetch: Fetch;
  readonly log: Log;
  /** An account may be named more than once, with other numbers each time. */
  readonly accounts?: readonly AccountSeed[];
  /** Numbers of these accounts. Unless `open`, only they exist. */
  readonly numbers?: readonly NumberSeed[];
  readonly services?: readonly ServiceSeed[];
  /**
   * Accounts, API keys, numbers and Messaging Services come into being when they are first used, with the
   * credentials they are used with. Default: true when no accounts are given.
   */
  readonly open?: boolean;
  /**
   * Where clients reach the simulator (`http://127.0.0.1:4010`); media URLs begin with it. Until it is known,
   * the origin under which the account's last request came in is taken.
   */
  readonly origin?: () => string | undefined;
  /** How long a message stays in each state. */
  readonly delays?: Partial<Delays>;
  /** Send callbacks for these states only. Default: for all. */
  readonly callbackStates?: readonly string[];
  /** Which media URLs of outbound messages are fetched as Twilio would; the others stay links. Default: none. */
  readonly fetchMedia?: (url: string) => boolean;
  /** False: `/simulator/*` is not served, for phones that only `control` may hold. */
  readonly controlOverHttp?: boolean;
  /** The oldest messages beyond this are forgotten. Default 200,000. */
  readonly maxMessages?: number;
  /** The same for the bytes of media. Default 64 MiB. */
  readonly maxMediaBytes?: number;
}

export interface Simulator {
  /**
   * Twilio's REST API (`/2010-04-01`, `/v1/Services`), the media CDN (`/cdn`) and the control API
   * (`/simulator`). Serve it with an `idleTimeout` beyond the time-outs of its clients, or Bun cuts
   * connections that a fault leaves unanswered.
   */
  fetch(request: Request): Promise<Response>;
  readonly control: SimulatorControl;
  /** More accounts, numbers and services. What is there stays, but for what is said about it here. */
  add(seeds: Pick<SimulatorOptions, "accounts" | "numbers" | "services">): void;
  /** Resolves when no message is under way and no webhook or callback is open. */
  settled(): Promise<void>;
  /** Stops timers and webhooks, and lets go of requests that were to be left unanswered. */
  close(): void;
}

/** An in-process carrier that speaks Twilio's API. */
export function createSimulator(options: SimulatorOptions): Simulator {
  const { clock, random, log, fetch } = options;
  const open = options.open ?? (options.accounts ?? []).length === 0;
  const work = createWork(clock, log);
  const inventory = createInventory({ clock, random, open });
  seed(inventory, options);

  const origins = new Map<string, string>();
  const originOf = (accountSid: string) =>
    options.origin?.() ?? origins.get(accountSid) ?? "http://127.0.0.1";
  const faults = createFaults();
  const reach = createReach();
  const media = createMediaFiles({ clock, random, maxBytes: options.maxMediaBytes ?? 64 * 1024 * 1024 });
  const ledger = createLedger({
    maxMessages: options.maxMessages ?? 200_000,
    forget: (message) => {
      for (const item of message.media) media.drop(item.sid);
    },
  });
  // Subscribers hang on the control, which is made last.
  let tell: (message: StoredMessage) => void = () => {};
  const changed = (message: StoredMessage) => tell(message);

  const call = createWebhookCaller(fetch, work);
  const openLine = createCallbacks({
    work,
    call,
    inventory,
    faults,
    random,
    log,
    ...(options.callbackStates ? { states: new Set(options.callbackStates) } : {}),
  });
  const rules = createSendingRules({ inventory, reach });
  const accept = createOutbound({
    clock,
    random,
    ledger,
    media,
    fetchMedia: createMediaFetch({
      fetch,
      work,
      ledger,
      media,
      allowed: options.fetchMedia ?? (() => false),
      log,
    }),
    reach,
    faults,
    openLine,
    work,
    delays: { ...DEFAULT_DELAYS, ...options.delays },
    changed,
  });
  const receive = createInbound({
    work,
    random,
    log,
    ledger,
    inventory,
    reach,
    faults,
    call,
    handleAnswer: createAnswers({ inventory, rules, accept, log }),
    autoReply: (message, text) => {
      accept({
        accountSid: message.accountSid,
        direction: "outbound-reply",
        from: message.to,
        to: message.from,
        body: text,
        mediaUrls: [],
        template: false,
        listed: false,
      });
    },
    changed,
    originOf,
  });
  const { control, changed: tellSubscribers } = createControl({
    inventory,
    ledger,
    media,
    reach,
    faults,
    log,
    receive,
    originOf,
  });
  tell = tellSubscribers;

  const rest = createRest({
    inventory,
    faults,
    media,
    work,
    messages: createMessageRoutes({ ledger, media, rules, accept, faults, work }),
    numbers: createNumberRoutes(inventory),
    services: createServiceRoutes(inventory),
    reachedAt: (accountSid, origin) => origins.set(accountSid, origin),
  });

  return {
    control,
    add(seeds) {
      const services = (seeds.services ?? []).filter(({ sid }) => inventory.service(sid) === undefined);
      seed(inventory, { ...seeds, services });
      for (const wanted of seeds.numbers ?? []) {
        const { number, account, smsUrl } = wanted;
        const known = inventory.number(number);
        if (known === undefined) continue;
        const whatsapp = known.whatsapp || number.startsWith("whatsapp:");
        if (account !== undefined && account !== known.accountSid) inventory.addNumber(account, wanted);
        else inventory.updateNumber(known, { whatsapp, ...(smsUrl === undefined ? {} : { smsUrl }) });
      }
    },
    settled: () => work.settled(),
    close: () => work.close(),
    async fetch(request) {
      try {
        const url = new URL(request.url);
        if (options.controlOverHttp !== false && url.pathname.startsWith("/simulator/"))
          return await serveControl(request, control, inventory);
        const response = await rest(request, url);
        // The carrier's clock is the simulator's, not the machine's.
        response.headers.set("Date", new Date(clock.now()).toUTCString());
        return response;
      } catch (error) {
        log.error("simulator.bug", {
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
        return refuse(refusal(20_500, "The simulator failed; its log says why"));
      }
    },
  };
}

/** Throws when the seeds contradict each other, which is a mistake of the program that starts the simulator. */
function seed(
  inventory: Inventory,
  options: Pick<SimulatorOptions, "accounts" | "numbers" | "services">,
): void {
  const add = (accountSid: string, number: NumberSeed) => {
    if (!inventory.number(number.number)) inventory.addNumber(accountSid, number);
  };
  for (const account of options.accounts ?? []) inventory.addAccount(account);
  const accountFor = (named: string | undefined, what: string) => {
    const sid = named ?? options.accounts?.[0]?.sid;
    if (sid === undefined || !inventory.account(sid)) {
      throw new Error(`the simulator has no account for ${what}; give it one in \`accounts\``);
    }
    return sid;
  };
  for (const number of options.numbers ?? []) add(accountFor(number.account, number.number), number);
  for (const account of options.accounts ?? []) {
    for (const number of account.numbers ?? []) add(account.sid, { number });
  }
  for (const service of options.services ?? []) {
    const accountSid = accountFor(service.account, service.sid);
    const numbers = service.numbers ?? [numberForService(service.sid)];
    if (!service.numbers) for (const number of numbers) add(accountSid, { number });
    for (const number of numbers) {
      if (!inventory.number(number))
        throw new Error(`the simulator has no number ${number} for ${service.sid}`);
    }
    inventory.addService(accountSid, { ...service, numbers });
  }
}
