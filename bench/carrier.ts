/**
 * A carrier that costs next to nothing: Twilio's API as far as a channel needs it to connect and send. What is sent is
 * accepted at once; `onSent` may then post a callback.
 */
import { ACCOUNT, freshSid, NUMBER } from "./webhooks.ts";

export interface Sent {
  readonly to: string;
  readonly sid: string;
  /** Path and query of the status callback. */
  readonly callback: string;
  /** `performance.now()` when the request was read. */
  readonly at: number;
}

export interface FakeCarrier {
  readonly url: string;
  close(): Promise<void>;
}

const NUMBER_ROW = {
  sid: `PN${"0".repeat(31)}1`,
  phone_number: NUMBER,
  capabilities: { sms: true, mms: true, voice: true },
  sms_url: "",
  sms_method: "POST",
  sms_fallback_url: "",
  sms_fallback_method: "POST",
  sms_application_sid: "",
};

/** `onSent` is called when the answer to the send has been handed over. */
export function openFakeCarrier(onSent: (sent: Sent) => void = () => {}): FakeCarrier {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    development: false,
    async fetch(request) {
      if (request.method === "POST" && request.url.endsWith("/Messages.json")) {
        const form = new URLSearchParams(await request.text());
        const at = performance.now();
        const sid = freshSid();
        const callback = form.get("StatusCallback") ?? "";
        const to = form.get("To") ?? "";
        setImmediate(() => onSent({ to, sid, at, callback: callback.slice(callback.indexOf("/", 8)) }));
        return Response.json(
          { sid, account_sid: ACCOUNT, status: "queued", to, num_segments: "1", direction: "outbound-api" },
          { status: 201 },
        );
      }
      const path = new URL(request.url).pathname;
      if (path.endsWith("/IncomingPhoneNumbers.json"))
        return Response.json({ incoming_phone_numbers: [NUMBER_ROW], next_page_uri: null });
      if (path.endsWith("/Messages.json")) return Response.json({ messages: [], next_page_uri: null });
      if (path.endsWith("/Services")) return Response.json({ services: [], meta: { next_page_url: null } });
      return Response.json({ code: 20404, message: "not found" }, { status: 404 });
    },
  });
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.stop(true) };
}
