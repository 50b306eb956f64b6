import { createHash, createHmac } from "node:crypto";
import { readSecret, type SecretSources } from "./credentials.ts";
import type { Path } from "./problems.ts";
import type { Report } from "./report.ts";
import type { ChannelConfig, Config } from "./schema.ts";
import { locate, type Source } from "./tree.ts";

/** A channel's account as far as the file gives it: `twilio:` under the channel's own keys. */
export interface Account {
  readonly accountSid: string | undefined;
  readonly authToken: string | undefined;
  readonly authTokenPrevious: string | undefined;
  readonly apiKeySid: string | undefined;
  readonly apiKeySecret: string | undefined;
  readonly apiUrl: string;
  readonly messagingUrl: string;
}

type OwnAccount = Omit<Account, "apiUrl" | "messagingUrl">;

export interface Accounts {
  /** What `twilio:` holds. */
  readonly shared: OwnAccount;
  /** What each channel holds itself. */
  readonly own: ReadonlyMap<string, OwnAccount>;
  /** What each channel uses. */
  readonly used: ReadonlyMap<string, Account>;
}

/**
 * Reads the secrets of all accounts, once each. `simulatorSeed` is what the simulator's token is made of; whoever
 * knows it can sign webhooks of simulator channels.
 */
export function readAccounts(config: Config, sources: SecretSources, simulatorSeed: string): Accounts {
  const shared = readOwn(["twilio"], config.twilio, sources);
  const own = new Map<string, OwnAccount>();
  const used = new Map<string, Account>();
  for (const [id, channel] of Object.entries(config.channels)) {
    const account = readOwn(["channels", id], channel, sources);
    own.set(id, account);
    used.set(
      id,
      channel.provider === "simulator"
        ? simulatorAccount(account, simulatorSeed)
        : {
            ...merge(account, shared),
            apiUrl: channel.api_url ?? config.twilio.api_url,
            messagingUrl: channel.messaging_url ?? config.twilio.messaging_url,
          },
    );
  }
  return { shared, own, used };
}

function readOwn(path: Path, section: Config["twilio"] | ChannelConfig, sources: SecretSources): OwnAccount {
  return {
    accountSid: section.account_sid,
    authToken: readSecret(sources, path, "auth_token", section.auth_token, section.auth_token_file),
    authTokenPrevious: readSecret(
      sources,
      path,
      "auth_token_previous",
      section.auth_token_previous,
      section.auth_token_previous_file,
    ),
    apiKeySid: section.api_key_sid,
    apiKeySecret: readSecret(
      sources,
      path,
      "api_key_secret",
      section.api_key_secret,
      section.api_key_secret_file,
    ),
  };
}

function merge(own: OwnAccount, shared: OwnAccount): OwnAccount {
  return {
    accountSid: own.accountSid ?? shared.accountSid,
    authToken: own.authToken ?? shared.authToken,
    // The previous token belongs to the token it came before.
    authTokenPrevious:
      own.authTokenPrevious ?? (own.authToken === undefined ? shared.authTokenPrevious : undefined),
    apiKeySid: own.apiKeySid ?? shared.apiKeySid,
    apiKeySecret: own.apiKeySecret ?? shared.apiKeySecret,
  };
}

/** All simulator channels share one account of the simulator; `twilio:` is not for them. */
function simulatorAccount(own: OwnAccount, seed: string): Account {
  const hash = createHash("sha256").update("sms-agent simulator").digest("hex");
  const token = createHmac("sha256", seed).update("simulator auth token").digest("hex");
  return {
    ...own,
    accountSid: own.accountSid ?? `AC${hash.slice(0, 32)}`,
    authToken: own.authToken ?? token.slice(0, 32),
    apiUrl: "",
    messagingUrl: "",
  };
}

/** Reports what twilio channels lack, and what does not belong together. */
export function checkAccounts(config: Config, accounts: Accounts, root: Source, report: Report): void {
  const real = Object.entries(config.channels).flatMap(([id, channel]) =>
    channel.provider === "twilio" && !report.spoiled(["channels", id, "provider"]) ? [id] : [],
  );
  for (const key of ["account_sid", "auth_token"] as const) {
    const field = key === "account_sid" ? "accountSid" : "authToken";
    const lacking = real.filter(
      (id) =>
        accounts.used.get(id)?.[field] === undefined &&
        !report.spoiled(["channels", id, key]) &&
        !report.spoiled(["twilio", key]),
    );
    const [first] = lacking;
    if (first === undefined) continue;
    const empty = locate(root, ["twilio", key]).depth === 2;
    const at: Path = locate(root, ["twilio"]).depth === 1 ? ["twilio", key] : ["channels", first, key];
    report.problem(["twilio", key], {
      at,
      message: `is ${empty ? "empty" : "missing"}; needed by ${lacking.map((id) => `channels.${id}`).join(", ")}`,
      fix: `write ${key}: \${TWILIO_${key.toUpperCase()}} under twilio: and set that variable`,
    });
  }
  checkPair(["twilio"], accounts.shared, report);
  for (const id of real) {
    const own = accounts.own.get(id);
    if (own === undefined) continue;
    checkPair(["channels", id], own, report);
    const shared = accounts.shared.accountSid;
    if (own.accountSid !== undefined && own.accountSid !== shared && shared !== undefined && !own.authToken) {
      report.warning(["channels", id, "account_sid"], {
        message: "is another account than that of twilio:, whose auth_token is used with it",
        fix: "write the auth_token of this account beside it",
      });
    }
  }
}

function checkPair(path: Path, { apiKeySid, apiKeySecret }: OwnAccount, report: Report): void {
  if ((apiKeySid === undefined) === (apiKeySecret === undefined)) return;
  const [given, missing] =
    apiKeySid === undefined ? ["api_key_secret", "api_key_sid"] : ["api_key_sid", "api_key_secret"];
  if (report.spoiled([...path, missing])) return;
  report.problem([...path, missing], {
    message: `is missing, but ${given} is given; an API key is both`,
    fix: `write ${missing} beside it, or take ${given} out`,
  });
}
