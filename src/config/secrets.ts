import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { join } from "node:path";
import type { RandomBytes } from "../ids.ts";
import type { Env } from "./interpolate.ts";

/**
 * Secrets at rest: `enc:v1:` and the base64 of nonce (12 bytes), ciphertext and tag (16 bytes), AES-256-GCM.
 * The key is 32 bytes, from SMS_AGENT_KEY or <data_dir>/secret.key, both base64.
 */
type Decrypted =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly message: string; readonly fix: string };

export type Decrypt = (value: string) => Decrypted;

interface SecretKey {
  readonly bytes: Uint8Array;
  /** Where it came from, for messages. */
  readonly source: string;
}

type LoadedKey =
  | { readonly ok: true; readonly key: SecretKey }
  /** `missing`: neither of the two places has one. */
  | { readonly ok: false; readonly missing: boolean; readonly message: string; readonly fix: string };

const PREFIX = "enc:";
const VERSION = "enc:v1:";
const KEY_LENGTH = 32;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const KEY_VARIABLE = "SMS_AGENT_KEY";
const KEY_FILE = "secret.key";

/** True for values that are meant as encrypted. */
export function isEncrypted(value: string): boolean {
  return value.startsWith(PREFIX);
}

/** Encrypts for sms.yaml, under a fresh nonce each time. `key` must have 32 bytes. */
export function encrypt(text: string, key: Uint8Array, random: RandomBytes = randomBytes): string {
  const nonce = random(NONCE_LENGTH);
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  const sealed = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return VERSION + sealed.toString("base64");
}

/** Reads what `encrypt` wrote. Never throws, and never shows value or key. */
export function decrypt(value: string, key: SecretKey): Decrypted {
  const fix = "write the value `sms-agent secret encrypt` prints";
  if (!value.startsWith(VERSION))
    return { ok: false, message: "is encrypted in a form that is not known", fix };
  const sealed = fromBase64(value.slice(VERSION.length));
  if (sealed === undefined || sealed.length < NONCE_LENGTH + TAG_LENGTH) {
    return { ok: false, message: "is an encrypted value that is cut short or damaged", fix };
  }
  const tag = sealed.subarray(sealed.length - TAG_LENGTH);
  const decipher = createDecipheriv("aes-256-gcm", key.bytes, sealed.subarray(0, NONCE_LENGTH), {
    authTagLength: TAG_LENGTH,
  });
  decipher.setAuthTag(tag);
  try {
    const text = Buffer.concat([
      decipher.update(sealed.subarray(NONCE_LENGTH, sealed.length - TAG_LENGTH)),
      decipher.final(),
    ]);
    return { ok: true, text: text.toString("utf8") };
  } catch {
    return {
      ok: false,
      message: `cannot be decrypted: the key of ${key.source} is not the one it was encrypted with, or the value was altered`,
      fix: `put the right key there, or encrypt the secret again with \`sms-agent secret encrypt\``,
    };
  }
}

/**
 * The key of this installation. SMS_AGENT_KEY wins. `readFile` throws when there is no such file.
 */
export function loadKey(env: Env, dataDir: string, readFile: (path: string) => string): LoadedKey {
  const variable = env[KEY_VARIABLE]?.trim() ?? "";
  if (variable !== "") return parseKey(variable, KEY_VARIABLE);
  const path = join(dataDir, KEY_FILE);
  let text: string;
  try {
    text = readFile(path).trim();
  } catch (error) {
    const missing = codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR";
    const reason = missing ? "there is none" : `${path} cannot be read`;
    return {
      ok: false,
      missing,
      message: `needs the key for encrypted secrets, and ${reason}`,
      fix: `set ${KEY_VARIABLE}, or put the key into ${path}`,
    };
  }
  return parseKey(text, path);
}

function parseKey(text: string, source: string): LoadedKey {
  const bytes = fromBase64(text);
  if (bytes?.length === KEY_LENGTH) return { ok: true, key: { bytes, source } };
  return {
    ok: false,
    missing: false,
    message: `needs the key for encrypted secrets, and ${source} holds none`,
    fix: `put ${KEY_LENGTH} bytes as base64 there (\`openssl rand -base64 ${KEY_LENGTH}\` makes a new one)`,
  };
}

/** Decrypts with the key of this installation, which is read when the first encrypted value is met. */
export function createDecrypt(env: Env, dataDir: string, readFile: (path: string) => string): Decrypt {
  let loaded: LoadedKey | undefined;
  return (value) => {
    loaded ??= loadKey(env, dataDir, readFile);
    return loaded.ok ? decrypt(value, loaded.key) : loaded;
  };
}

/** Buffer.from skips what is not base64; a secret must not be half read. */
function fromBase64(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "") ? bytes : undefined;
}

/** The system's code of a failed file operation (`ENOENT`). */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}
