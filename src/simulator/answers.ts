import type { Log } from "../log.ts";
import type { HandleAnswer } from "./inbound.ts";
import type { StoredMessage } from "./ledger.ts";
import type { Inventory } from "./numbers.ts";
import type { AcceptMessage } from "./outbound.ts";
import { isRefusal } from "./refusals.ts";
import type { SendingRules } from "./sending.ts";
import { parseTwiml, type TwimlMessage } from "./twiml.ts";

/**
 * Does what a webhook's answer says. Like Twilio it texts a plain-text answer to the person, so that the
 * mistake of answering `OK` is seen here and not on somebody's phone.
 */
export function createAnswers(options: {
  readonly inventory: Inventory;
  readonly rules: SendingRules;
  readonly accept: AcceptMessage;
  readonly log: Log;
}): HandleAnswer {
  const { inventory, rules, accept, log } = options;

  function reply(message: StoredMessage, twiml: TwimlMessage): void {
    const account = inventory.account(message.accountSid);
    if (!account || (twiml.body === "" && twiml.mediaUrls.length === 0)) return;
    const draft = rules.checkReply(account, {
      from: twiml.from ?? message.to,
      to: twiml.to ?? message.from,
      body: twiml.body,
      mediaUrls: twiml.mediaUrls,
      ...(twiml.statusCallback === undefined ? {} : { statusCallback: twiml.statusCallback }),
      ...(message.serviceSid === undefined ? {} : { serviceSid: message.serviceSid }),
    });
    // Only the code: the wording names numbers, which logs must not.
    if (isRefusal(draft)) log.warn("simulator.reply_refused", { sid: message.sid, code: draft.code });
    else accept(draft);
  }

  return (message, answer, url) => {
    const type = answer.contentType.split(";")[0]?.trim().toLowerCase() ?? "";
    if (answer.body.trim() === "") return undefined;
    if (type === "text/plain") {
      log.warn("simulator.plain_text_answer", {
        sid: message.sid,
        reason: "a text/plain answer is texted to the person",
      });
      reply(message, { body: answer.body, mediaUrls: [] });
      return undefined;
    }
    if (type !== "text/xml" && type !== "application/xml" && type !== "text/html" && !type.endsWith("+xml")) {
      log.warn("simulator.answer_invalid", {
        sid: message.sid,
        code: 12_300,
        reason: `Content-Type ${type || "missing"}`,
      });
      return { code: 12_300 };
    }
    const twiml = parseTwiml(answer.body);
    if (twiml.kind === "invalid") {
      log.warn("simulator.answer_invalid", { sid: message.sid, code: twiml.code, reason: twiml.reason });
      return { code: twiml.code };
    }
    if (twiml.ignored.length > 0)
      log.warn("simulator.twiml_ignored", { sid: message.sid, verbs: twiml.ignored });
    for (const item of twiml.messages) {
      const callback = item.statusCallback;
      const absolute =
        callback !== undefined && URL.canParse(callback, url) ? new URL(callback, url).href : undefined;
      const { statusCallback: _relative, ...rest } = item;
      reply(message, absolute === undefined ? rest : { ...rest, statusCallback: absolute });
    }
    if (!twiml.redirect) return undefined;
    const next = URL.canParse(twiml.redirect.url, url)
      ? new URL(twiml.redirect.url, url).href
      : twiml.redirect.url;
    return { redirect: { url: next, method: twiml.redirect.method } };
  };
}
