import { encode } from "uqr";
import { act, type Channel } from "./api.ts";
import { useNow } from "./live.ts";
import { Act } from "./parts.tsx";

interface PairingProps {
  readonly channel: Channel;
  readonly path: string;
  readonly changed: () => void;
}

/** The pending code: to scan, to read out, and how long it is good for. */
export function PairingCode({ channel, path, changed }: PairingProps) {
  const now = useNow(1_000);
  const { pairing } = channel;
  if (pairing === undefined)
    return channel.mode === "signal" ? null : (
      <Act run={() => act("POST", `${path}/pairing`)} done={changed}>
        Pair a phone
      </Act>
    );
  const left = Math.max(0, Math.ceil((Date.parse(pairing.expires_at) - now) / 1_000));
  return (
    <div class="pairing">
      <QrCode text={pairing.sms_uri} />
      <div>
        <p class="code">{pairing.code}</p>
        <p>
          Text it to <strong>{pairing.number}</strong>, or scan the picture with the phone's camera.
        </p>
        <p class="quiet" aria-live="off">
          {left === 0 ? "expired" : `good for ${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`}
        </p>
        <div class="row">
          <Act run={() => act("POST", `${path}/pairing`)} done={changed}>
            New code
          </Act>
          <Act run={() => act("DELETE", `${path}/pairing`)} done={changed}>
            Withdraw
          </Act>
        </div>
      </div>
    </div>
  );
}

/** Drawn as one path, dark on light whatever the page's colours: cameras read nothing else. */
function QrCode({ text }: { readonly text: string }) {
  const { data, size } = encode(text, { border: 2 });
  const path = data.flatMap((line, y) => line.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : ""))).join("");
  return (
    <svg class="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={`QR code for ${text}`}>
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  );
}
