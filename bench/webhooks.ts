import { parseForm } from "../src/twilio/form.ts";
import { sign } from "../src/twilio/signature.ts";
import { postBytes } from "./connection.ts";

/** The account that every bench texts with. */
export const ACCOUNT = `AC${"0".repeat(31)}1`;
export const AUTH_TOKEN = "the-auth-token-of-the-bench";
/** A toll-free number, whose pace is three segments a second: enough room for a bench. */
export const NUMBER = "+18005550100";
export const CHANNEL = "sms";

const WORDS = [
  "are we still on for tonight",
  "can you move the dentist to Thursday, please?",
  "what is the weather going to be like at the lake",
  "remind me to call Ana about the keys 🙂",
  "did the parcel come, and if so where did they put it",
  "ok",
  "What time does the pharmacy on Main St close today?",
  "Please tell Jo that I am 10 min late – the bus did not come",
];

/** Bodies as people text them; different for every `index`. */
export function bodyOf(index: number): string {
  return `${WORDS[index % WORDS.length]} (${index})`;
}

/** Addresses of people: +1555… */
export function senderOf(index: number): string {
  return `+1555${String(index).padStart(7, "0")}`;
}

/** A carrier's id that was never used before in this process. */
export function freshSid(): string {
  return `SM${(sids++).toString(16).padStart(32, "0")}`;
}
let sids = Date.now() * 1000;

/** The parameters Twilio sends with a text, as a form. */
export function inboundForm(sid: string, from: string, body: string): string {
  return new URLSearchParams({
    ToCountry: "US",
    ToState: "",
    SmsMessageSid: sid,
    NumMedia: "0",
    ToCity: "",
    FromZip: "94016",
    SmsSid: sid,
    FromState: "CA",
    SmsStatus: "received",
    FromCity: "SAN FRANCISCO",
    Body: body,
    FromCountry: "US",
    To: NUMBER,
    ToZip: "",
    NumSegments: "1",
    MessageSid: sid,
    AccountSid: ACCOUNT,
    From: from,
    ApiVersion: "2010-04-01",
  }).toString();
}

/** Requests as Twilio sends them, signed over `publicUrl`, ready for the wire. */
export interface Signer {
  /** A text to the channel's webhook. */
  inbound(sid: string, from: string, body: string): Uint8Array;
  /** A step of a delivery. `path` with its query. */
  status(path: string, sid: string, to: string, status: string): Uint8Array;
}

export function createSigner(publicUrl: string): Signer {
  const host = new URL(publicUrl).host;
  const signed = (path: string, form: string): Uint8Array => {
    const signature = sign(AUTH_TOKEN, publicUrl + path, parseForm(form));
    const headers =
      `User-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n` +
      `I-Twilio-Idempotency-Token: ${signature}\r\nX-Twilio-Signature: ${signature}`;
    return postBytes(path, host, headers, form);
  };
  return {
    inbound: (sid, from, body) => signed(`/webhooks/twilio/${CHANNEL}`, inboundForm(sid, from, body)),
    status(path, sid, to, status) {
      const fields = {
        SmsSid: sid,
        SmsStatus: status,
        MessageStatus: status,
        To: to,
        MessageSid: sid,
        AccountSid: ACCOUNT,
        From: NUMBER,
        ApiVersion: "2010-04-01",
      };
      return signed(path, new URLSearchParams(fields).toString());
    },
  };
}
