import { policiesOf } from "./app-policies.ts";
import { refuseFixed } from "./configuration.ts";
import { prepareCedar } from "./policy/cedar.ts";
import type { PolicyEngine } from "./policy.ts";
import type { Settings } from "./settings.ts";
import { adminToken, makeDataDir, tokenMatcher } from "./system/files.ts";
import { checkSecrets } from "./webhooks/post.ts";

/** The settings in force and what is read with them. */
export interface Current {
  settings(): Settings;
  policies(): PolicyEngine;
  adminToken(): string;
  /** Whether this is the admin token. */
  isAdmin(credential: string): boolean;
  /** Reads what goes with other settings. Throws AppError, and then nothing has changed. */
  prepare(next: Settings): { readonly commit: () => void };
}

/** Loads policies and makes the data folder. Throws AppError where the settings cannot be put in force. */
export async function openCurrent(first: Settings): Promise<Current> {
  checkSecrets(first.webhooks);
  // Before anything is written: with policies that are refused, nothing is.
  await prepareCedar();
  let settings = first;
  let policies = policiesOf(settings);
  makeDataDir(settings.dataDir);
  let token = adminToken(settings.dataDir, settings.admin.token);
  let matches = tokenMatcher(token);
  return {
    settings: () => settings,
    policies: () => policies,
    adminToken: () => token,
    isAdmin: (credential) => matches(credential),
    prepare(next) {
      refuseFixed(settings, next);
      checkSecrets(next.webhooks);
      const nextPolicies = policiesOf(next, policies);
      const nextToken = adminToken(next.dataDir, next.admin.token);
      return {
        commit() {
          settings = next;
          policies = nextPolicies;
          token = nextToken;
          matches = tokenMatcher(token);
        },
      };
    },
  };
}
