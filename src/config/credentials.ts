import { resolve } from "node:path";
import { BAD_SECRET, signingKeys } from "../signing-key.ts";
import type { Path } from "./problems.ts";
import type { Report } from "./report.ts";
import { codeOf, type Decrypt, isEncrypted } from "./secrets.ts";

/** What secrets are read with. */
export interface SecretSources {
  /** Folder of the config file. */
  readonly folder: string;
  readonly readFile: (path: string) => string;
  readonly decrypt: Decrypt;
  readonly report: Report;
}

/**
 * The secret `key` of the section at `path`: given itself, encrypted, or as a file. Undefined when absent,
 * which an empty one is, and when it cannot be had, which is then reported and its path spoiled.
 */
export function readSecret(
  sources: SecretSources,
  path: Path,
  key: string,
  value: string | undefined,
  file: string | undefined,
): string | undefined {
  const { report } = sources;
  const at = [...path, key];
  const fileAt = [...path, `${key}_file`];
  if (value && file) {
    report.problem(fileAt, { key: true, message: `is given, and so is ${key}`, fix: "write one of the two" });
    report.spoil(at);
    return undefined;
  }
  if (file) {
    const text = readSecretFile(sources, fileAt, file);
    if (text === undefined) report.spoil(at);
    else if (text === "") {
      report.warning(fileAt, {
        message: "is an empty file, which counts as no secret",
        fix: "write the secret into it",
      });
    }
    return text || undefined;
  }
  if (!value || !isEncrypted(value)) return value || undefined;
  const decrypted = sources.decrypt(value);
  if (decrypted.ok) return decrypted.text || undefined;
  report.problem(at, { message: decrypted.message, fix: decrypted.fix });
  return undefined;
}

/** The `secret` of the section at `path`, with which requests are signed; reported where no key can be read from it. */
export function readSigningSecret(
  sources: SecretSources,
  path: Path,
  section: { readonly secret?: string | undefined; readonly secret_file?: string | undefined },
): string | undefined {
  const secret = readSecret(sources, path, "secret", section.secret, section.secret_file);
  if (secret !== undefined && signingKeys(secret).length === 0)
    sources.report.problem([...path, section.secret_file ? "secret_file" : "secret"], BAD_SECRET);
  return secret;
}

function readSecretFile(
  { folder, readFile, report }: SecretSources,
  at: Path,
  file: string,
): string | undefined {
  try {
    return readFile(resolve(folder, file)).replace(/[\r\n]+$/, "");
  } catch (error) {
    report.problem(at, {
      message: `names a file that cannot be read: ${fileReason(error)}`,
      fix: "write the path of a file this user can read; a relative one starts at the config file's folder",
    });
    return undefined;
  }
}

/** Why a file cannot be read, in words. */
export function fileReason(error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
    case "EPERM":
      return "this user may not read it";
    case "EISDIR":
      return "it is a folder";
    case "ENOTDIR":
      return "a part of its path is not a folder";
    default:
      return code ?? "it could not be opened";
  }
}
