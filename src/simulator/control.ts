import { addressKind, isE164, numberOf, redactAddress } from "../address.ts";
import { AppError, type Problem } from "../errors.ts";
import type { Log } from "../log.ts";
import type { PhoneMessage, SimulatedText, SimulatorControl } from "../simulated.ts";
import { MAX_BODY } from "../text.ts";
import type { Faults } from "./faults.ts";
import type { InboundText } from "./inbound.ts";
import type { Ledger, StoredMedia, StoredMessage } from "./ledger.ts";
import { MAX_MEDIA, MAX_MEDIA_BYTES, type MediaFiles, parseDataUrl } from "./media.ts";
import type { Inventory, PhoneNumber } from "./numbers.ts";
import type { Reach } from "./reach.ts";
import { isWebUrl } from "./sending.ts";

/** The phones' side of the simulator. `changed` tells subscribers of a new message or state. */
export function createControl(options: {
  readonly inventory: Inventory;
  readonly ledger: Ledger;
  readonly media: MediaFiles;
  readonly reach: Reach;
  readonly faults: Faults;
  readonly log: Log;
  readonly receive: (text: InboundText) => StoredMessage;
  readonly originOf: (accountSid: string) => string;
}): { readonly control: SimulatorControl; readonly changed: (message: StoredMessage) => void } {
  const { inventory, ledger, media, reach, faults, log } = options;
  const listeners = new Set<(message: PhoneMessage) => void>();

  const phoneMessage = (message: StoredMessage): PhoneMessage => ({
    sid: message.sid,
    direction: message.direction === "inbound" ? "inbound" : "outbound",
    from: message.from,
    to: message.to,
    text: message.body,
    media: message.media.map((item) => ({
      url: item.link ?? `${options.originOf(message.accountSid)}/cdn/${item.sid}`,
      contentType: item.contentType,
    })),
    state: message.status,
    segments: message.segments,
    ...(message.errorCode === undefined ? {} : { errorCode: message.errorCode }),
    at: message.createdAt,
    ...(message.arrivedAt === undefined ? {} : { arrivedAt: message.arrivedAt }),
  });

  const control: SimulatorControl = {
    async inbound(text) {
      const number = checkText(inventory, text);
      const files = checkMedia(text);
      const stored: readonly StoredMedia[] = files.map((file) =>
        typeof file === "string" ? media.link(file) : media.store(file.contentType, file.bytes),
      );
      const message = options.receive({
        number,
        from: text.from,
        to: text.to,
        body: text.body,
        media: stored,
        ...(text.profileName === undefined ? {} : { profileName: text.profileName }),
        ...(text.parameters === undefined ? {} : { parameters: text.parameters }),
      });
      log.debug("simulator.inbound", { sid: message.sid, from: redactAddress(text.from) });
      return { sid: message.sid };
    },
    async phones() {
      const found = [...ledger.phones()].sort((a, b) => b.last.seq - a.last.seq);
      return found.map(({ address, messages, last }) => ({
        address,
        messages,
        lastAt: last.createdAt,
        optedOutOf: reach.optedOutOf(address),
      }));
    },
    messages: async (address) => [...ledger.ofPhone(address)].map(phoneMessage),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    faults: async () => faults.list(),
    addFault: async (input) => faults.add(input),
    removeFault: async (id) => faults.remove(id),
    clearFaults: async () => faults.clear(),
  };
  return {
    control,
    changed(message) {
      if (listeners.size === 0) return;
      const view = phoneMessage(message);
      for (const listener of listeners) listener(view);
    },
  };
}

/** The number the text goes to. Throws AppError `invalid`. */
function checkText(inventory: Inventory, text: SimulatedText): PhoneNumber {
  const problems: Problem[] = [];
  if (addressKind(text.from) === undefined) {
    problems.push({
      path: "from",
      message: 'must be an address such as "+15551234567", "22000", "MYBANK" or "whatsapp:+15551234567"',
    });
  }
  if (text.body.length > MAX_BODY) {
    problems.push({ path: "body", message: `has ${text.body.length} characters, more than ${MAX_BODY}` });
  }
  const whatsapp = text.to.startsWith("whatsapp:");
  if (text.from.startsWith("whatsapp:") !== whatsapp) {
    problems.push({
      path: "from",
      message: "must be of the same kind as `to`: both with whatsapp:, or none",
    });
  }
  if (text.from === text.to) problems.push({ path: "from", message: "is the number itself" });
  let number =
    inventory.number(text.to) ?? (problems.length === 0 ? provision(inventory, text.to) : undefined);
  if (!number) problems.push({ path: "to", message: unknownNumber(inventory, text.to) });
  else if (whatsapp && !number.whatsapp) {
    if (inventory.open && problems.length === 0) number = inventory.updateNumber(number, { whatsapp: true });
    else if (!inventory.open) problems.push({ path: "to", message: "is not a WhatsApp sender" });
  } else if (!whatsapp && !number.sms) problems.push({ path: "to", message: "cannot receive texts" });
  if (number && problems.length === 0) return number;
  throw invalid(problems);
}

/** In open mode, and while there is only one account it can belong to, a number exists as soon as it is texted. */
function provision(inventory: Inventory, to: string): PhoneNumber | undefined {
  const [account, ...others] = inventory.accounts();
  if (!inventory.open || !account || others.length > 0 || numberOf(to) === undefined) return undefined;
  return inventory.addNumber(account.sid, { number: to });
}

function unknownNumber(inventory: Inventory, to: string): string {
  const known = inventory.allNumbers().map((number) => number.number);
  if (known.length > 0) return `is not a simulated number; write one of ${known.slice(0, 10).join(", ")}`;
  const hint =
    inventory.open && isE164(to) ? "; numbers appear when an account looks them up or sends from them" : "";
  return `is not a simulated number, and there are none yet${hint}`;
}

type File = string | { readonly contentType: string; readonly bytes: Uint8Array };

/** Files and links of a text, in order. Throws AppError `invalid`. */
function checkMedia(text: SimulatedText): readonly File[] {
  const problems: Problem[] = [];
  const files: File[] = [...(text.media ?? [])];
  (text.mediaUrls ?? []).forEach((url, index) => {
    const file = parseDataUrl(url) ?? (isWebUrl(url) ? url : undefined);
    if (file === undefined) {
      problems.push({
        path: `media_urls[${index}]`,
        message: "must be an http(s) URL or a data: URL with the file in it",
      });
    } else files.push(file);
  });
  if (files.length > MAX_MEDIA) problems.push({ path: "media_urls", message: `are more than ${MAX_MEDIA}` });
  for (const [index, file] of files.entries()) {
    if (typeof file !== "string" && file.bytes.byteLength > MAX_MEDIA_BYTES) {
      problems.push({ path: `media_urls[${index}]`, message: "is larger than 5 MiB" });
    }
  }
  if (problems.length > 0) throw invalid(problems);
  return files;
}

function invalid(problems: readonly Problem[]): AppError {
  const first = problems[0];
  return new AppError("invalid", `Not a text the simulator can send: \`${first?.path}\` ${first?.message}`, {
    problems,
  });
}
