/**
 * The GSM 03.38 default alphabet and its extension table, as Twilio maps Unicode to them.
 * Not in it, though often thought to be: `ç` (only `Ç` is), the backtick, the tab, `á í ó ú`.
 */
const BASIC =
  "\n\r !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz" +
  "¡£¤¥§¿ÄÅÆÉÑÖØÜßàäåæÇèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ";

/** Sent as an escape and a second septet. */
const EXTENSION = "\f[\\]^{|}~€";

const SEPTETS = new Uint8Array(0x2100);
for (const char of BASIC) SEPTETS[char.charCodeAt(0)] = 1;
for (const char of EXTENSION) SEPTETS[char.charCodeAt(0)] = 2;

/** Septets one UTF-16 code unit takes in GSM-7: 1, 2 for the extension table, 0 when the alphabet lacks it. */
export function septetsOf(codeUnit: number): number {
  return SEPTETS[codeUnit] ?? 0;
}

/** Septets of the whole text, or undefined when one character is outside GSM-7 and the message goes as UCS-2. */
export function countSeptets(text: string): number | undefined {
  let sum = 0;
  for (let i = 0; i < text.length; i++) {
    const septets = septetsOf(text.charCodeAt(i));
    if (septets === 0) return undefined;
    sum += septets;
  }
  return sum;
}

export function isGsm7(text: string): boolean {
  return countSeptets(text) !== undefined;
}
