import type { Explained } from "../errors.ts";

/**
 * Whether the same message may be accepted later without anybody changing anything. `later` also stands for
 * what passes at the recipient's end (phone off).
 */
type Persistence = "permanent" | "later";

export interface CodeMeaning {
  readonly meaning: string;
  readonly fix: string;
  readonly persistence: Persistence;
}

/** A row: meaning, fix, and `later` where waiting alone may help. */
type Row = readonly [meaning: string, fix: string, persistence?: "later"];

const CREDENTIALS: Row = [
  "Twilio does not accept the credentials; they are wrong or were rotated",
  "Copy account_sid and auth_token (or the API key pair) from the Twilio console into sms.yaml.",
];
const LANDLINE: Row = [
  "The recipient's number is a landline or cannot receive SMS",
  "Use a mobile number of this person.",
];
const QUEUE_FULL: Row = [
  "Twilio's queue for this sender is full",
  "Slow down, or send from more numbers (a Messaging Service with several senders).",
  "later",
];
const NO_SENDER: Row = [
  "The sender cannot send SMS, or is not in this account",
  "Set from_number to an SMS-capable number of this account (console: Phone Numbers > Active numbers).",
];
const A2P_LIMIT: Row = [
  "The campaign's A2P limit for this carrier is used up",
  "Send less, wait until tomorrow, or raise the campaign's throughput (console: Messaging > Regulatory compliance).",
  "later",
];
const A2P_UNREGISTERED: Row = [
  "A US long code sent without an approved A2P 10DLC campaign",
  "Register brand and campaign and add the number to it (console: Messaging > Regulatory compliance > A2P 10DLC).",
];
const TLS: Row = [
  "Twilio could not make a TLS connection to our public URL",
  "Check the certificate of public_url: valid, complete chain, right host name.",
];
const BAD_RECIPIENT: Row = [
  "The recipient is no valid address on this channel",
  "Check the number and that the person uses this channel (for WhatsApp: whatsapp:+…).",
];
const MEDIA: Row = [
  "The media URL is not valid or cannot be fetched",
  "Give a public https URL that answers GET and HEAD with the right content type.",
];

/** Codes a user of SMS meets, after https://www.twilio.com/docs/api/errors. */
const TABLE: Readonly<Record<number, Row>> = {
  11200: [
    "Our webhook answered badly or not at all",
    "Check that public_url reaches this service and that it is running.",
    "later",
  ],
  11205: [
    "Twilio could not connect to our webhook",
    "Check public_url, the tunnel or port forwarding, and that the service is running.",
    "later",
  ],
  11220: TLS,
  11235: TLS,
  11237: TLS,
  12100: [
    "Our answer to Twilio was not valid XML",
    "Check what answers at public_url: a proxy's own page is no TwiML.",
  ],
  12200: ["Our answer to Twilio was not valid TwiML", "Check what answers at public_url in our place."],
  12300: [
    "Our answer to Twilio had the wrong content type",
    "Check that no proxy at public_url changes the Content-Type.",
  ],
  20003: CREDENTIALS,
  20404: [
    "Twilio does not know this resource: a SID is wrong or belongs to another account",
    "Check account_sid, from_number or messaging_service_sid against the Twilio console.",
  ],
  20429: ["Too many requests to Twilio at once", "Wait; it is tried again by itself.", "later"],
  21211: [
    "The recipient is not a valid phone number",
    "Write it as +, country code and number: +15551234567.",
  ],
  21212: [
    "The sender is not a valid number",
    "Set from_number to one of the account's numbers, written as +15551234567.",
  ],
  21266: ["Recipient and sender are the same number", "Send to another number."],
  21408: [
    "Sending to this country is not enabled",
    "Enable the country in the console: Messaging > Settings > Geo permissions.",
  ],
  21602: ["The message has neither text nor media", "Give a text, a media URL or a content_sid."],
  21604: ["The recipient is missing", "Give a recipient as +15551234567."],
  21606: NO_SENDER,
  21608: [
    "A trial account may only text verified numbers",
    "Verify the recipient in the console (Phone Numbers > Verified caller IDs), or upgrade the account.",
  ],
  21609: [
    "Twilio does not accept our status callback URL",
    "Use a public_url whose host is public and has no underscore.",
  ],
  21610: [
    "The recipient opted out with STOP",
    "They must text START to this number; nothing can be sent before.",
  ],
  21611: QUEUE_FULL,
  21612: ["This sender cannot reach this recipient", "Use a sender that may text this country or carrier."],
  21614: LANDLINE,
  21617: ["The text is longer than 1,600 characters", "Shorten or split it."],
  21620: MEDIA,
  21623: [
    "The number of media URLs, or their size, is over the limit",
    "Send at most 10 files, together at most 5 MB.",
  ],
  21635: LANDLINE,
  21659: NO_SENDER,
  21660: NO_SENDER,
  21703: [
    "The Messaging Service has no sender",
    "Add a number to its sender pool (console: Messaging > Services > Sender pool).",
  ],
  21910: [
    "Sender and recipient are on different channels",
    "Write both with the same prefix: whatsapp:+… to whatsapp:+…, or both without.",
  ],
  30001: QUEUE_FULL,
  30002: ["The Twilio account is suspended", "See the console for the reason, or ask Twilio's support."],
  30003: [
    "The recipient's phone is off or not reachable",
    "Try again later; check the number if it stays so.",
    "later",
  ],
  30004: ["The recipient blocks this message", "Ask the person to lift the block or their carrier's filter."],
  30005: ["The recipient's number is unknown or no longer in use", "Check the number."],
  30006: LANDLINE,
  30007: [
    "The carrier filtered the message as spam",
    "Register the sender (A2P 10DLC, toll-free verification) and avoid link shorteners and bulk wording.",
  ],
  30008: [
    "The carrier reported an unknown error",
    "Try once more; ask Twilio's support when it repeats.",
    "later",
  ],
  30022: A2P_LIMIT,
  30023: A2P_LIMIT,
  30024: [
    "The sender is not provisioned for this carrier yet",
    "Wait for the provisioning of the number or campaign to finish, usually within a day.",
    "later",
  ],
  30032: [
    "The toll-free number is not verified",
    "Verify it in the console: Messaging > Regulatory compliance > Toll-free.",
  ],
  30034: A2P_UNREGISTERED,
  30035: A2P_UNREGISTERED,
  30036: [
    "The message's validity period ended before it could be sent",
    "Send again, and slow down when the queue is long.",
    "later",
  ],
  63003: BAD_RECIPIENT,
  63007: [
    "The sender is not set up on this channel",
    "Check the sender in the console: Messaging > Senders (for WhatsApp: WhatsApp senders).",
  ],
  63015: [
    "The recipient has not joined the WhatsApp sandbox",
    "Let the person text the sandbox's join words to its number first.",
  ],
  63016: [
    "More than 24 hours passed since the person's last text; only a template may be sent",
    "Send with content_sid (an approved template), or wait for a text from the person.",
  ],
  63018: ["The channel's rate limit is used up", "Slow down; it works again after a while.", "later"],
  63024: BAD_RECIPIENT,
};

/** What is known about a code; undefined for codes that are not in the table. */
export function codeMeaning(code: number): CodeMeaning | undefined {
  const row = TABLE[code];
  if (row === undefined) return undefined;
  const [meaning, fix, persistence] = row;
  return { meaning, fix, persistence: persistence ?? "permanent" };
}

/**
 * A code as a person is shown it. For a code that is not in the table, `message` (Twilio's own words, already
 * free of secrets) takes the place of the meaning.
 */
export function explainCode(code: number, message?: string): Explained {
  const known = codeMeaning(code);
  if (known !== undefined) return { code, meaning: known.meaning, fix: known.fix };
  const words = message === undefined || message === "" ? "" : `: ${message}`;
  return {
    code,
    meaning: `Twilio reports error ${code}${words}`,
    fix: `See https://www.twilio.com/docs/api/errors/${code}.`,
  };
}

/** True for the code of a recipient who opted out; nothing may be sent to them until they text START. */
export function isOptedOut(code: number | undefined): boolean {
  return code === 21610;
}
