import { Kind } from "./annotation-kinds.ts";
import type { Reading } from "./annotation-reading.ts";
import type { Link } from "./annotation-urls.ts";

/** The link that proves or resets something for whoever opens it, with how sure that is (0 to 1). */
export interface ConfirmationLink {
  readonly url: string;
  readonly score: number;
}

/** The least score of a confirmation link. */
const ENOUGH = 0.5;
/** How many words before a link speak for it. */
const NEAR = 25;

const PROVING =
  /(?:^|[^a-z])(?:verif[a-z]*|confirm[a-z]*|activat[a-z]*|activer|validat[a-z]*|reset[a-z]*|set-?password|new-?password|password|passwd|pwd|magic[a-z-]*|sign-?in|log-?in|auth[a-z]*|sso|otp|one-?time|opt-?in|doi|regist[a-z]*|recover[a-z]*|unlock|signup|onboard[a-z]*|bestaetig[a-z]*|aktivier[a-z]*|email-?change|herstel[a-z]*|reimposta[a-z]*|ripristin[a-z]*|r[ée]initialis[a-z]*|restablec[a-z]*|redefin[a-z]*|zuruecksetzen|potwierd[a-z]*|aktyw[a-z]*|dogrula[a-z]*|onay[a-z]*|activar|ativar|attiva[a-z]*|bevestig[a-z]*|conferm[a-z]*|sifre|parola|haslo|wachtwoord|passwor[a-z]*|kennwort|mot-?de-?passe|contrasena|senha|email|v|vc|ml)(?:[^a-z]|$)/;
const SELLING =
  /(?:^|[^a-z])(?:unsub[a-z]*|opt-?out|stop|abmeld[a-z]*|track[a-z]*|trk|trace|parcel[a-z]*|sendung[a-z]*|suivi|colis|paket|package|delivery|deliver|shop|store|sale|deals?|offers?|promo[a-z]*|coupon|survey|reviews?|feedback|rate|rating|pay|payment|invoice|bill|billing|rechnung|terms|privacy|help|support|faq|download|maps?|menu|orders?|blog|news|appointment|appt|booking|checkin|boarding|refer|vote|win|prize|gift|statement|secure-?account|report|not-?me|security-?alert)(?:[^a-z]|$)/;
/** Hosts of shops for apps and of social networks. */
const PUBLIC_HOST =
  /(?:^|\.)(?:play\.google|apps\.apple|itunes\.apple|youtube|youtu|facebook|instagram|tiktok|twitter|x|linkedin|wa)\.[a-z.]+$|unsub|track|survey/;
const PLACES_OF_TRADE =
  Kind.deliveryStrong | Kind.appointmentStrong | Kind.paymentStrong | Kind.promo | Kind.booking;

/** The best confirmation link of a message. `hasCode`: a link beside a code must offer itself instead of the code. */
export function confirmationLink(reading: Reading, hasCode: boolean): ConfirmationLink | undefined {
  let best: ConfirmationLink | undefined;
  for (const link of reading.links.slice(0, 20)) {
    const score = scoreLink(reading, link, hasCode);
    if (score >= ENOUGH && (best === undefined || score > best.score)) best = { url: link.url, score };
  }
  return best;
}

function scoreLink(reading: Reading, link: Link, hasCode: boolean): number {
  // A bare home page confirms nothing.
  if (link.path.length < 2) return 0;
  const around = surroundings(reading, link);
  let score = 0;
  const proving =
    PROVING.test(link.path.toLowerCase()) || PROVING.test(link.host.split(".").slice(0, -2).join("."));
  if (proving) score += 0.35;
  if (hasToken(link)) score += 0.2;
  if ((around.near & Kind.confirm) !== 0) score += 0.4;
  else if ((around.near & (Kind.verify | Kind.pass)) !== 0) score += 0.3;
  if ((around.near & Kind.click) !== 0) score += 0.12;
  if ((around.near & Kind.validity) !== 0) score += 0.1;
  if (SELLING.test(link.path.toLowerCase()) || PUBLIC_HOST.test(link.host)) score -= 0.5;
  if ((around.near & Kind.denial) !== 0) score -= 0.6;
  if ((around.near & Kind.promo) !== 0) score -= 0.4;
  if ((reading.kinds & PLACES_OF_TRADE) !== 0) {
    const trading = reading.kinds & PLACES_OF_TRADE;
    if ((around.near & trading) !== 0) score -= (around.near & Kind.verify) !== 0 && proving ? 0.15 : 0.4;
    else score -= 0.1;
  }
  // Beside a code, only a link that is said to do the same or carries the code itself.
  if (hasCode && (around.near & Kind.click) === 0 && (around.near & Kind.confirm) === 0) score -= 0.3;
  return Math.round(Math.max(0, Math.min(0.98, score)) * 100) / 100;
}

/** A path or query that was made for one person: long, mixed, or a named token. */
function hasToken(link: Link): boolean {
  if (/[?&#](?:t|token|code|key|k|c|id|sig|hash|h|otp|ticket|uid|u)=[^&]{4,}/i.test(link.path)) return true;
  return link.path
    .split(/[/?&=#.]/)
    .some(
      (part) =>
        (part.length >= 6 && /\d/.test(part) && /[a-z]/i.test(part)) ||
        /^[A-Za-z0-9_-]{16,}$/.test(part) ||
        (part.length >= 4 && /^\d+$/.test(part)) ||
        isScrambled(part),
    );
}

/** `aBcXyZ`: capitals inside, as shortened links have them. */
function isScrambled(part: string): boolean {
  return part.length >= 5 && /[a-z][A-Z]/.test(part) && /^[A-Za-z]+$/.test(part);
}

/** The kinds of the terms in the sentence that leads to a link and in the rest of the line after it. */
function surroundings(reading: Reading, link: Link): { readonly near: number } {
  let near = 0;
  for (let i = reading.termFrom(link.start) - 1; i >= 0; i--) {
    const term = reading.terms[i];
    if (term === undefined) break;
    // A sentence further back speaks for the link only where the link stands alone after it.
    const stops = reading.stops(term.end, link.start);
    if (stops > 1 || (stops === 1 && reading.words(lastStop(reading, link.start), link.start) > 6)) break;
    if (reading.words(term.end, link.start) > NEAR) break;
    near |= term.kinds;
  }
  for (let i = reading.termFrom(link.end); i < reading.terms.length; i++) {
    const term = reading.terms[i];
    if (
      term === undefined ||
      reading.stops(link.end, term.start) > 0 ||
      reading.lines(link.end, term.start) > 0
    )
      break;
    if (reading.words(link.end, term.start) > 12) break;
    near |= term.kinds;
  }
  return { near };
}

function lastStop(reading: Reading, before: number): number {
  for (let i = before - 1; i >= 0; i--) if (reading.stops(i, i + 1) > 0) return i + 1;
  return 0;
}
