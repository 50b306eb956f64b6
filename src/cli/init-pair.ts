import { inheritedEnv } from "../config/environment.ts";
import type { Settings } from "../settings.ts";
import { openSettings } from "./load.ts";
import { stdout } from "./output.ts";
import { qrCode } from "./qr.ts";
import type { Questions } from "./questions.ts";
import { untilSignal } from "./signals.ts";
import { VERSION } from "./version.ts";

const LOOK = 500;
/** A text that has not arrived after this long is for `messages` to tell of, ms. */
const DELIVERY = 60_000;
const GRACE = 5_000;
const ARRIVED = new Set(["delivered", "read"]);
const LOST = new Set(["failed", "undelivered", "suppressed", "canceled"]);

/** Runs the service until a phone is paired and has got a test text, or Ctrl-C. */
export async function pairNow(
  config: string,
  { timezone }: Settings,
  channel: string,
  ask: Questions,
): Promise<void> {
  const [{ openApp }, { systemSeams }] = await Promise.all([import("../app.ts"), import("../app-seams.ts")]);
  const { file, settings } = openSettings(config);
  const seams = systemSeams({ level: "error", format: "auto" }, inheritedEnv(), VERSION);
  let stopped = false;
  untilSignal().then(() => {
    stopped = true;
  });
  const app = await openApp(settings, { ...seams, configFile: file });
  const { operator } = app;
  /** Looks again until there is something, or the person gives up. */
  const until = async <Found>(look: () => Promise<Found | undefined>, patience = Infinity) => {
    for (let waited = 0; !stopped && waited < patience; waited += LOOK) {
      const found = await look();
      if (found !== undefined) return found;
      await Bun.sleep(LOOK);
    }
    return undefined;
  };
  try {
    const { adminUrl } = await app.listen();
    stdout.line(`Running at ${adminUrl}. Ctrl-C ends it.`);
    let said = "";
    const shown = await until(async () => {
      const view = await operator.channel(channel);
      const words = [view.state.status, view.state.reason, view.state.fix].filter(Boolean).join(": ");
      if (view.pairing === undefined && words !== said) stdout.line(words);
      said = words;
      return view.pairing;
    });
    if (shown === undefined) return;
    stdout.line(qrCode(shown.smsUri));
    stdout.line(`Scan it with your phone, or text  ${shown.code}  to  ${shown.number}`);
    const phone = await until(async () => (await operator.addresses(channel))[0]?.address);
    if (phone === undefined) return;
    stdout.line(`${phone} is paired.`);
    if (!(await ask.confirm("Send it a test text?"))) return;
    const at = new Date().toLocaleTimeString([], { timeZone: timezone });
    const { id } = await operator.send({
      channel,
      to: phone,
      body: `Hello from sms-agent, ${at}. It works.`,
    });
    const end = await until(async () => {
      const message = await operator.message(id);
      return ARRIVED.has(message.state) || LOST.has(message.state) ? message : undefined;
    }, DELIVERY);
    if (end === undefined)
      stdout.line(`It is on its way; sms-agent messages ${id} tells what becomes of it.`);
    else if (ARRIVED.has(end.state)) stdout.line("The phone has got it.");
    else stdout.line(`It is ${end.state}: ${end.error?.meaning ?? ""} ${end.error?.fix ?? ""}`.trim());
  } finally {
    await app.close(GRACE);
    seams.log.flush();
  }
}
