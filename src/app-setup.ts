import type { Seams } from "./app-seams.ts";
import type { TwilioAccount } from "./settings.ts";
import { type AccountNumbers, accountNumbers } from "./twilio/account-numbers.ts";

/** The numbers a new channel can be given; asks the account, changes nothing. */
export function numbersOf(account: TwilioAccount, seams: Seams): Promise<AccountNumbers> {
  return accountNumbers(account, seams, new AbortController().signal);
}
