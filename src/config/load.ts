import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Settings } from "../settings.ts";
import { checkAccounts, readAccounts } from "./accounts.ts";
import { checkAgents } from "./agent-checks.ts";
import { buildSettings, senderNumbers } from "./build.ts";
import { checkChannels } from "./channel-checks.ts";
import { fileReason, readSecret, readSigningSecret, type SecretSources } from "./credentials.ts";
import { DEFAULTS } from "./defaults.ts";
import type { Env } from "./interpolate.ts";
import { checkAdminToken, checkListeners, checkPublicUrl } from "./listener-checks.ts";
import type { ConfigProblem } from "./problems.ts";
import { createReport, type Report } from "./report.ts";
import { checkRetention } from "./retention-checks.ts";
import { checkHomeAndSchedules } from "./schedule-checks.ts";
import { type Config, configSchema } from "./schema.ts";
import { codeOf, createDecrypt, type Decrypt } from "./secrets.ts";
import { parseYaml } from "./syntax.ts";
import { buildTree, type Source } from "./tree.ts";
import { validate } from "./validate.ts";

interface LoadOptions {
  /** The config file as the operator named it; messages say it so. Relative to the working folder. */
  readonly path: string;
  /** Its content; read from `path` when absent. */
  readonly text?: string;
  readonly env: Env;
  /** Reads the config file, secret files and the key. Throws when it cannot. The file system's when absent. */
  readonly readFile?: (path: string) => string;
  readonly isFolder?: (path: string) => boolean;
  /** Reads `enc:` values; with the key of SMS_AGENT_KEY or the data folder when absent. */
  readonly decrypt?: Decrypt;
  /**
   * What the simulator's auth token is made of, kept for as long as its channels live. One of this process
   * when absent.
   */
  readonly simulatorSeed?: string;
  /** The time zone of the system when absent. */
  readonly systemTimezone?: string;
}

type LoadedConfig =
  | { readonly kind: "ok"; readonly settings: Settings; readonly warnings: readonly ConfigProblem[] }
  | { readonly kind: "invalid"; readonly problems: readonly ConfigProblem[] };

const PROCESS_SEED = randomBytes(32).toString("hex");

/** Reads sms.yaml completely: the settings, or every problem of the file in its order. Never throws. */
export function loadConfig(options: LoadOptions): LoadedConfig {
  const readFile = options.readFile ?? ((path: string) => readFileSync(path, "utf8"));
  let text: string;
  try {
    text = (options.text ?? readFile(resolve(options.path))).replace(/^\uFEFF/, "");
  } catch (error) {
    const fix = codeOf(error) === "ENOENT" ? `make one with sms-agent init, or ${NAME_IT}` : NAME_IT;
    return unreadable(options.path, fileReason(error), fix);
  }
  const yaml = parseYaml(text);
  const tree = buildTree(text, yaml, options.env);
  const report = createReport(options.path, tree.root, yaml.position);
  const firstError = Math.min(...yaml.problems.map(({ span }) => span.start));
  if (yaml.document !== undefined) {
    for (const { path, span, ...finding } of tree.problems) report.problemAt(path, span, finding);
    const config = readShape(tree.root, report);
    if (yaml.problems.length === 0) {
      if (config !== undefined) return finish(config, tree.root, report, { ...options, readFile });
    } else report.keepBefore(lineStart(text, firstError));
  }
  for (const { span, ...finding } of yaml.problems) report.problemAt([], span, finding);
  return invalid(options.path, report);
}

/** Never without a problem, so that no fault of ours passes a wrong file for a right one. */
function invalid(file: string, report: Report): LoadedConfig {
  const problems = report.problems();
  return problems.length > 0
    ? { kind: "invalid", problems }
    : unreadable(file, "its content makes no sense", NAME_IT);
}

const NAME_IT = "name the config file with --config FILE";

function unreadable(file: string, reason: string, fix: string): LoadedConfig {
  const problem = {
    file,
    line: 1,
    column: 1,
    path: "",
    message: `cannot be read: ${reason}`,
    fix,
  };
  return { kind: "invalid", problems: [problem] };
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf("\n", offset - 1) + 1;
}

/** The values of the file, checked one by one. */
function readShape(root: Source, report: Report): Config | undefined {
  const fix = "write at least channels: and agents:; `sms.example.yaml` has every key";
  if (root.kind === "broken") return undefined;
  if (root.kind === "scalar" && root.value === null) {
    report.problem([], { message: "is empty", fix });
    return undefined;
  }
  if (root.kind !== "map") {
    report.problem([], {
      key: true,
      message: `is ${root.kind === "list" ? "a list" : "a single value"}, not a map of keys`,
      fix,
    });
    return undefined;
  }
  return validate(root, configSchema, report);
}

/** Reads secrets, checks keys against each other and builds the settings. */
function finish(
  config: Config,
  root: Source,
  report: Report,
  options: LoadOptions & { readonly readFile: (path: string) => string },
): LoadedConfig {
  const { env, readFile } = options;
  const folder = dirname(resolve(options.path));
  const decrypt = options.decrypt ?? createDecrypt(env, resolve(folder, config.data_dir), readFile);
  const sources: SecretSources = { folder, readFile, decrypt, report };
  const { admin } = config;
  const adminToken = readSecret(sources, ["admin"], "token", admin.token, admin.token_file);
  const accounts = readAccounts(config, sources, options.simulatorSeed ?? PROCESS_SEED);
  const agentSecrets = readAgentSecrets(config, sources);
  const webhookSecrets = readWebhookSecrets(config, sources);
  const policiesDir = findPolicies(config, folder, options.isFolder ?? isFolder, report);
  const numbers = senderNumbers(config);
  const checked = { config, root, report };
  checkChannels(checked, accounts, numbers);
  checkAccounts(config, accounts, root, report);
  checkAgents(checked);
  checkHomeAndSchedules(checked, numbers);
  checkListeners(checked);
  checkAdminToken(checked, adminToken);
  checkPublicUrl(checked);
  checkRetention(checked);
  const problems = report.problems();
  if (problems.length > 0) return { kind: "invalid", problems };
  const settings = buildSettings(config, {
    folder,
    policiesDir,
    systemTimezone: options.systemTimezone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone,
    adminToken,
    accounts: accounts.used,
    numbers,
    agentSecrets,
    webhookSecrets,
  });
  return { kind: "ok", settings, warnings: report.warnings() };
}

function readAgentSecrets(config: Config, sources: SecretSources): ReadonlyMap<string, string | undefined> {
  const secrets = new Map<string, string | undefined>();
  for (const [id, agent] of Object.entries(config.agents)) {
    const path = ["agents", id];
    if (agent.type === "llm") {
      secrets.set(id, readSecret(sources, path, "api_key", agent.api_key, agent.api_key_file));
    } else if (agent.type === "http") {
      secrets.set(id, readSigningSecret(sources, path, agent));
    }
  }
  return secrets;
}

function readWebhookSecrets(config: Config, sources: SecretSources): readonly (string | undefined)[] {
  return config.webhooks.map((webhook, i) => {
    const path = ["webhooks", i];
    const secret = readSigningSecret(sources, path, webhook);
    if (secret === undefined && !sources.report.spoiled([...path, "secret"])) {
      sources.report.problem([...path, "secret"], {
        message: `is ${webhook.secret === "" ? "empty" : "missing"}; requests are signed with it`,
        fix: `write secret: \${WEBHOOK_SECRET} and set that variable`,
      });
    }
    return secret;
  });
}

/** The folder that was named, which must be there; or the default one, if it is. */
function findPolicies(
  config: Config,
  folder: string,
  exists: (path: string) => boolean,
  report: Report,
): string | undefined {
  if (report.spoiled(["policies"])) return undefined;
  const path = resolve(folder, config.policies ?? DEFAULTS.policies);
  if (exists(path)) return path;
  if (config.policies !== undefined) {
    report.problem(["policies"], {
      message: "is no folder",
      fix: "make the folder, or write another one; a relative path starts at the config file's folder",
    });
  }
  return undefined;
}

/** False also for what cannot be looked at. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
