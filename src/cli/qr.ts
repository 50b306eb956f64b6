import { renderUnicodeCompact } from "uqr";

/** A QR code in half blocks, dark on light, so that it can be scanned off a terminal. */
export function qrCode(text: string): string {
  return renderUnicodeCompact(text, { border: 2 });
}
