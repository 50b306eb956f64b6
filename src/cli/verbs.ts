import { addressesVerb } from "./addresses.ts";
import { awaitVerb } from "./await.ts";
import { backupVerb } from "./backup.ts";
import { checkVerb } from "./check.ts";
import { completionsVerb } from "./completions.ts";
import { consoleVerb } from "./console.ts";
import { demoVerb } from "./demo.ts";
import { doctorVerb } from "./doctor.ts";
import { initVerb } from "./init.ts";
import { messagesVerb } from "./messages.ts";
import { modeVerb } from "./mode.ts";
import { notifyVerb } from "./notify.ts";
import { pairVerb } from "./pair.ts";
import { policyVerb } from "./policy.ts";
import { restoreVerb } from "./restore.ts";
import { schemaVerb } from "./schema.ts";
import { secretVerb } from "./secret.ts";
import { sendVerb } from "./send.ts";
import { serveVerb } from "./serve.ts";
import { simulateVerb } from "./simulate.ts";
import { statusVerb } from "./status.ts";
import { tokenVerb } from "./token.ts";
import { versionVerb } from "./version.ts";

/** Every verb, in the order of the help. */
export const VERBS = [
  serveVerb,
  demoVerb,
  simulateVerb,
  initVerb,
  checkVerb,
  doctorVerb,
  schemaVerb,
  secretVerb,
  statusVerb,
  pairVerb,
  modeVerb,
  addressesVerb,
  sendVerb,
  notifyVerb,
  awaitVerb,
  messagesVerb,
  policyVerb,
  tokenVerb,
  consoleVerb,
  backupVerb,
  restoreVerb,
  completionsVerb,
  versionVerb,
];
