import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { TwilioAccount } from "../settings.ts";
import { NUMBERS } from "./number.ts";
import { collect, parseRows } from "./pages.ts";
import { numberShape } from "./resources.ts";
import { createRestClient, type Fetch } from "./rest.ts";
import { accountUrl } from "./urls.ts";

export type AccountNumbers =
  /** E.164, those that can do SMS. */
  | { readonly kind: "ok"; readonly numbers: readonly string[] }
  /** The account's own credentials were not accepted. */
  | { readonly kind: "refused"; readonly reason: string; readonly fix: string }
  | { readonly kind: "failed"; readonly reason: string; readonly fix: string };

/** The numbers of an account that can send and receive SMS. Never rejects. */
export async function accountNumbers(
  account: TwilioAccount,
  seams: { readonly fetch: Fetch; readonly clock: Clock; readonly log: Log },
  signal: AbortSignal,
): Promise<AccountNumbers> {
  const rest = createRestClient({ account, ...seams });
  const url = accountUrl(account, "IncomingPhoneNumbers", [["PageSize", "100"]]);
  const answer = await collect(rest, { base: account.apiUrl, url, form: NUMBERS, maxPages: 10 }, signal);
  if (answer.kind === "refused") {
    const { meaning, fix } = answer.error;
    return { kind: answer.status === 401 ? "refused" : "failed", reason: meaning, fix };
  }
  if (answer.kind !== "ok") return { kind: "failed", reason: answer.reason, fix: answer.fix };
  const { items } = parseRows(answer.value.rows, numberShape);
  const able = items.filter(({ capabilities }) => capabilities.sms !== false);
  return { kind: "ok", numbers: able.map((row) => row.phone_number) };
}
