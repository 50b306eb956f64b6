import { parseXml, XMLError, type XmlElement } from "./xml.ts";

/** What a webhook's answer makes Twilio do. */
export type TwimlAnswer =
  | {
      readonly kind: "ok";
      readonly messages: readonly TwimlMessage[];
      readonly redirect?: TwimlRedirect;
      readonly ignored: readonly string[];
    }
  /** `code` as Twilio reports it: 12100 for text that is no XML, 12200 for the wrong XML. */
  | { readonly kind: "invalid"; readonly code: 12100 | 12200; readonly reason: string };

export interface TwimlMessage {
  readonly body: string;
  readonly mediaUrls: readonly string[];
  readonly to?: string;
  readonly from?: string;
  readonly statusCallback?: string;
}

interface TwimlRedirect {
  /** May be relative to the URL that gave this answer. */
  readonly url: string;
  readonly method: "POST" | "GET";
}

/** Reads messaging TwiML: `<Response>` with `<Message>` (or the older `<Sms>`) and `<Redirect>`. */
export function parseTwiml(xml: string): TwimlAnswer {
  if (xml.trim() === "") return { kind: "ok", messages: [], ignored: [] };
  let root: XmlElement;
  try {
    root = parseXml(xml);
  } catch (error) {
    if (error instanceof XMLError) return { kind: "invalid", code: 12100, reason: error.message };
    throw error;
  }
  if (root.name !== "Response") {
    return { kind: "invalid", code: 12200, reason: `the root element is <${root.name}>, not <Response>` };
  }
  const messages: TwimlMessage[] = [];
  const ignored: string[] = [];
  let redirect: TwimlRedirect | undefined;
  for (const verb of root.children) {
    if (redirect !== undefined) break; // nothing after a <Redirect> is looked at
    switch (verb.name) {
      case "Message":
      case "Sms":
        messages.push(messageOf(verb));
        break;
      case "Redirect":
        redirect = {
          url: verb.text.trim(),
          method: verb.attributes.method?.toUpperCase() === "GET" ? "GET" : "POST",
        };
        break;
      default:
        ignored.push(verb.name);
    }
  }
  return { kind: "ok", messages, ignored, ...(redirect === undefined ? {} : { redirect }) };
}

function messageOf(verb: XmlElement): TwimlMessage {
  const nouns = (name: string) =>
    verb.children.filter((child) => child.name === name).map((child) => child.text.trim());
  const { to, from, statusCallback, action } = verb.attributes;
  const callback = statusCallback ?? action;
  return {
    body: verb.text.trim() || nouns("Body").join(""),
    mediaUrls: nouns("Media"),
    ...(to === undefined ? {} : { to }),
    ...(from === undefined ? {} : { from }),
    ...(callback === undefined ? {} : { statusCallback: callback }),
  };
}
