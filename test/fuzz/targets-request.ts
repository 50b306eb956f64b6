import { AppError } from "../../src/errors.ts";
import { parseTypes } from "../../src/event-feed.ts";
import { compilePattern } from "../../src/patterns/re2.ts";
import type { ChannelSettings } from "../../src/settings.ts";
import { readCursor } from "../../src/store/cursor.ts";
import { ADMIN } from "../../src/token.ts";
import { parseForm } from "../../src/twilio/form.ts";
import { createWebhookReader } from "../../src/twilio/reader.ts";
import { sign, signedUrls } from "../../src/twilio/signature.ts";
import { mediaUrl } from "../../src/twilio/urls.ts";
import { parseInbound, parseStatus } from "../../src/twilio/webhook.ts";
import { parseWait } from "../../src/wait-request.ts";
import { settingsOf } from "../config/loading.ts";
import type { Target } from "./engine.ts";
import { bytesOf, must, size } from "./expect.ts";

const SID = `SM${"0".repeat(32)}`;
const ACCOUNT = `AC${"0".repeat(32)}`;
const TOKEN = "0123456789abcdef0123456789abcdef";
const PUBLIC_URL = "https://sms.example.com/base";
const FORMS = [
  `MessageSid=${SID}&AccountSid=${ACCOUNT}&From=%2B15557654321&To=%2B15550100001&Body=Hello+there&NumMedia=0&NumSegments=1`,
  `MessageSid=${SID}&AccountSid=${ACCOUNT}&From=22000&To=%2B15550100001&Body=%C3%A9%F0%9F%98%80&NumMedia=1&MediaUrl0=https%3A%2F%2Fapi.twilio.com%2F&MediaContentType0=image%2Fjpeg`,
  `MessageSid=${SID}&MessageStatus=delivered&AccountSid=${ACCOUNT}&ErrorCode=30003`,
];
const PARAMETERS =
  "& = + %2B %00 %C3 %ff %F0%9F%98%80 Body= From= To= MessageSid= NumMedia=99 MediaUrl0=file:///etc/passwd MediaUrl1=http://169.254.169.254/ OptOutType=STOP __proto__= ?".split(
    " ",
  );

const SETTINGS = settingsOf(`
server: { public_url: ${PUBLIC_URL} }
twilio: { account_sid: ${ACCOUNT}, auth_token: ${TOKEN} }
channels: { sms: { provider: twilio, from_number: "+15550100001", mode: signal } }
`);

function channel(): ChannelSettings {
  const found = SETTINGS.channels.sms;
  if (found === undefined) throw new Error("no channel");
  return found;
}

const reader = createWebhookReader({ publicUrl: () => PUBLIC_URL });

const BUG = /undefined|NaN|object Object/;

/** What the caller did wrong is an AppError that says so; anything else is a bug. */
function answered(input: string, read: () => unknown): string {
  try {
    read();
    return "read";
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    must(error.code === "invalid", `the code is ${error.code}`);
    // What it quotes may say anything.
    const quoting = BUG.test(input);
    for (const { message } of error.problems)
      must(message.length > 3 && (quoting || !BUG.test(message)), message);
    return error.problems.map(({ path }) => path.slice(0, 20)).join();
  }
}

export const REQUEST_TARGETS: readonly Target[] = [
  {
    name: "webhook",
    seeds: FORMS,
    tokens: PARAMETERS,
    check(input) {
      const params = parseForm(bytesOf(input));
      const inbound = parseInbound(params, 1);
      const status = parseStatus(params, input.slice(0, 200), 1);
      JSON.stringify([inbound, status]);
      if (inbound.kind === "inbound") {
        must(/^[A-Za-z0-9]{1,64}$/.test(inbound.sid), "the sid is none");
        must(!/\p{Cc}/u.test(inbound.from + inbound.to), "an address has control characters");
        must(inbound.media.length <= 10, "too many media");
        for (const { url } of inbound.media) must(/^https?:\/\//i.test(url), "a medium is no web address");
        must(Object.getPrototypeOf(inbound.raw) === null, "it has a prototype");
      } else
        for (const { message } of inbound.problems) must(!/\+\d{7}/.test(message), "a full number is told");
      must(({} as Record<string, unknown>).polluted === undefined, "a prototype is polluted");
      return `${inbound.kind === "inbound" ? `${inbound.media.length} ${inbound.optOutType}` : inbound.problems.map(({ path }) => path)} ${status.kind} ${size(params.size)}`;
    },
    patience: 2,
  },
  {
    name: "signature",
    seeds: [...FORMS, "a=1&a=2&A=3", "=&=&", "%F0%90%80%80=1&%EF%BF%BD=2"],
    tokens: PARAMETERS,
    check(input) {
      const body = bytesOf(input);
      const params = parseForm(body);
      const query = encodeURI(input.slice(0, 40).toWellFormed()).replaceAll("#", "");
      const [url = ""] = signedUrls(PUBLIC_URL, "/webhooks/twilio/sms", query);
      const request = {
        channel: channel(),
        canonicalPath: "/webhooks/twilio/sms",
        rawQuery: query,
        contentType: "application/x-www-form-urlencoded",
        signature: sign(TOKEN, url, params),
        body,
        receivedAt: 1,
      };
      must(reader.authentic(request), "what was signed is refused");
      must(!reader.authentic({ ...request, signature: input }), "any text is a signature");
      must(!reader.authentic({ ...request, signature: sign("", url, params) }), "the empty token signs");
      must(
        !reader.authentic({ ...request, canonicalPath: "/webhooks/twilio/other" }),
        "another path verifies",
      );
      if (query !== "") must(!reader.authentic({ ...request, rawQuery: "" }), "another query verifies");
      const other = parseForm(`${new TextDecoder().decode(body)}&Body=more`);
      must(
        !reader.authentic({ ...request, signature: sign(TOKEN, url, other) }) ||
          params.get("Body")?.includes("more") === true,
        "other parameters verify",
      );
      return `${size(params.size)} ${query.length === 0}`;
    },
    patience: 8,
  },
  {
    name: "urls",
    seeds: [
      `https://api.twilio.com/2010-04-01/Accounts/${ACCOUNT}/Messages/MM${"0".repeat(32)}/Media/ME${"0".repeat(32)}`,
      "https://user:pass@sms.example.com:8443/base/?q#f",
      "http://[::1]:8080/x",
    ],
    tokens:
      "https:// http:// // @ : :443 :80 / ../ %2e%2e/ %2f \\ ? # [::1] api.twilio.com 169.254.169.254 evil.example file: javascript:".split(
        " ",
      ),
    check(input) {
      const media = mediaUrl(channel().account, input);
      if (media !== undefined) {
        const { host, pathname, username, search } = new URL(media);
        must(host === "api.twilio.com" && username === "" && search === "", "it is asked for elsewhere");
        must(pathname.startsWith(`/2010-04-01/Accounts/${ACCOUNT}/Messages/`), "it is another resource");
      }
      const urls = signedUrls(input, "/webhooks/twilio/sms", "");
      for (const url of urls) {
        must(url.endsWith("/webhooks/twilio/sms"), "the path is not the last");
        must(!url.includes("#"), "a fragment is signed");
      }
      return `${media === undefined} ${urls.length}`;
    },
  },
  {
    name: "waiting",
    seeds: [
      '{"from":"+15551234567","timeout":"25s"}',
      '{"channel":"sms","match":"\\\\d{6}","mode":"once","consume":"claim","backfill":120}',
      '{"from":["22000","MYBANK","+1555*"],"origin":"@example.com","category":"verification_code","expires_in":"7d"}',
      '{"instructions":"a parcel","timeout":0}',
    ],
    tokens:
      '{ } [ ] , : " null true 1e400 -1 "from" "match" "origin" "timeout" "1h" "__proto__" "constructor" "*" "(" \\u0000 \\ud800'.split(
        " ",
      ),
    check(input) {
      let body: unknown = input;
      try {
        body = JSON.parse(input);
      } catch {
        // Then it is a text, which is no object.
      }
      const context = { settings: SETTINGS, compile: compilePattern, caller: ADMIN };
      const [call, standing] = (["await", "watch"] as const).map((kind) =>
        answered(input, () => {
          const { watch } = parseWait(kind, body, context);
          must(Number.isFinite(watch.expiresIn) && watch.expiresIn >= 0, "it waits for ever");
          must(watch.backfill >= 0 && watch.backfill <= 600_000, "it looks back too far");
        }),
      );
      return `${call} ${standing}`;
    },
    patience: 4,
  },
  {
    name: "lists",
    seeds: ["w.1z", "m.abc.def", "alert,message.status", "signal.matched"],
    tokens: [".", ",", "w", "m", "zzzzzzzzzzz", "alert", " "],
    check(input) {
      return [
        answered(input, () => {
          for (const part of readCursor("w", input, 1)) must(Number.isSafeInteger(part), "no position");
        }),
        answered(input, () => parseTypes(input)),
      ].join();
    },
  },
];
