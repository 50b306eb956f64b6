import { AppError } from "./errors.ts";
import { ADMIN } from "./token.ts";
import type { WatchOwner } from "./watch.ts";

/**
 * Pending watches, those of calls and those of agents each: every text is held against all of them before it is
 * acknowledged.
 */
export const MAX_WATCHES = 1_000;
/** Of one API token, so that it cannot take them from all others. */
export const MAX_WATCHES_OF_TOKEN = 200;

/** Why `owner` cannot make another watch beside the pending ones of `others`; undefined when it can. */
export function whyNoRoom(owner: WatchOwner, others: Iterable<WatchOwner>): AppError | undefined {
  let [alike, ofToken] = [0, 0];
  for (const other of others) {
    if (other.kind !== owner.kind) continue;
    alike += 1;
    if (owner.kind === "api" && other.kind === "api" && other.token === owner.token) ofToken += 1;
  }
  if (alike >= MAX_WATCHES) return full(`${MAX_WATCHES} watches are pending`);
  const limited = owner.kind === "api" && owner.token !== undefined && owner.token !== ADMIN.id;
  return limited && ofToken >= MAX_WATCHES_OF_TOKEN
    ? full(`${MAX_WATCHES_OF_TOKEN} watches of this token are pending`)
    : undefined;
}

function full(what: string): AppError {
  return new AppError("conflict", `${what}, which is the most there can be.`, {
    fix: "Cancel some that are not needed (DELETE /api/v1/watches/{id}), let them expire sooner, or wait for more with one watch.",
  });
}
