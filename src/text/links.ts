import { verbatim, withoutMarks } from "./marks.ts";

export interface LinkTarget {
  /** Rendered, marks included. */
  readonly label: string;
  readonly href: string;
  readonly image: boolean;
}

/** `label (url)`; the URL alone where the label says nothing else. A URL is never lost. */
export function linkText({ label, href, image }: LinkTarget): string {
  const words = withoutMarks(label).trim();
  // A picture inside the text itself cannot be opened from a phone's message, and would cost dozens of segments.
  if (image && /^data:/i.test(href)) return words === "" ? "image" : label;
  if (href === "") return label;
  if (words === "") return verbatim(href);
  if (says(words, href)) return verbatim(/^(?:mailto|tel|sms):/i.test(href) ? words : href);
  return `${label} (${verbatim(href)})`;
}

/** Does the label only repeat the address, perhaps without scheme or shortened at its end? */
function says(label: string, href: string): boolean {
  if (/^(?:tel|sms):/i.test(href)) return dialled(label) !== "" && dialled(label) === dialled(href);
  const shown = bare(label);
  const full = bare(href);
  if (shown === full || isReference(label, href)) return true;
  const cut = /^(\S{8,}?)(?:…|\.\.\.)$/.exec(shown);
  return cut?.[1] !== undefined && full.startsWith(cut[1]);
}

/** A tracking or order number that the URL spells out anyway. */
function isReference(label: string, href: string): boolean {
  return /^(?=[^\d]*\d)[A-Z0-9-]{8,}$/.test(label) && href.includes(label);
}

function bare(address: string): string {
  return address
    .toLowerCase()
    .replace(/^(?:https?:\/\/|mailto:)/, "")
    .replace(/^www\./, "")
    .replace(/\/$/, "");
}

function dialled(address: string): string {
  return /^(?:tel:|sms:)?[+\d\s().-]+$/i.test(address) ? address.replace(/[^+\d]/g, "") : "";
}
