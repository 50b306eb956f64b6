import type { Account, Inventory } from "./numbers.ts";
import { notFound, type Refusal, refusal } from "./refusals.ts";

/**
 * HTTP Basic with `AC…:auth token` or `SK…:secret`. Returns the account the request is about: the one in the
 * path, or the credential's own where the path has none.
 *
 * In open mode an account that nobody knows comes into being with the auth token it is first used with, and
 * an API key with the secret it is first used with.
 */
export function authenticate(
  inventory: Inventory,
  request: Request,
  pathAccount: string | undefined,
): Account | Refusal {
  const credential = basicCredential(request.headers.get("Authorization"));
  if (!credential) return refusal(20_003, "Authentication Error - no credentials provided");
  const { user, password } = credential;
  const holder = user.startsWith("SK")
    ? keyHolder(inventory, user, password, pathAccount)
    : accountHolder(inventory, user, password);
  if ("code" in holder) return holder;
  if (pathAccount === undefined || pathAccount === holder.sid) return holder;
  const target = inventory.account(pathAccount);
  if (target?.parent === holder.sid) return target;
  return notFound(new URL(request.url).pathname);
}

function accountHolder(inventory: Inventory, sid: string, token: string): Account | Refusal {
  const account = inventory.account(sid);
  if (account) {
    return account.authToken === token ? account : refusal(20_003, "Authentication Error - wrong auth token");
  }
  if (inventory.open && /^AC\w{2,64}$/.test(sid) && token !== "")
    return inventory.addAccount({ sid, authToken: token });
  return refusal(20_003, "Authentication Error - invalid username");
}

function keyHolder(
  inventory: Inventory,
  sid: string,
  secret: string,
  pathAccount: string | undefined,
): Account | Refusal {
  const owner = inventory.keyOwner(sid, secret);
  if (owner) return owner;
  if (inventory.open && secret !== "" && pathAccount !== undefined) {
    const account = inventory.account(pathAccount);
    // Webhooks are signed with the auth token, which an API key does not tell.
    if (!account) {
      return refusal(
        20_003,
        `Authentication Error - the simulator does not know ${pathAccount} yet: make one request with its auth token first, or start the simulator with this account`,
      );
    }
    const learnt = inventory.learnKey(account, sid, secret);
    if (learnt) return learnt;
  }
  return refusal(20_003, "Authentication Error - invalid API key");
}

function basicCredential(
  header: string | null,
): { readonly user: string; readonly password: string } | undefined {
  const encoded = /^Basic\s+([A-Za-z0-9+/=]+)\s*$/i.exec(header ?? "")?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 1 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
