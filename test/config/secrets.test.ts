import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { decrypt, encrypt, loadKey } from "../../src/config/secrets.ts";
import { problemsOf, settingsOf } from "./loading.ts";

const key = (name: string) => ({ bytes: createHash("sha256").update(name).digest(), source: name });
const KEY = Buffer.from(key("right").bytes).toString("base64");
const CONFIG =
  "agents: { parrot: { type: echo } }\nchannels: { sms: { provider: simulator, agent: parrot } }\n";
const KEY_FILE = "/etc/sms-agent/data/secret.key";

test("what was encrypted is decrypted with the same key, whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const value = encrypt(text, key("right").bytes);
      expect(value).toStartWith("enc:v1:");
      expect(decrypt(value, key("right"))).toEqual({ ok: true, text: Buffer.from(text).toString() });
    }),
    { numRuns: 50 },
  );
});

test("the same text is never encrypted to the same value", () => {
  expect(encrypt("a", key("right").bytes)).not.toBe(encrypt("a", key("right").bytes));
});

test("a known value reads as the format says: nonce, ciphertext, tag", () => {
  const value = encrypt("s3cret", key("right").bytes, (count) => new Uint8Array(count).fill(7));
  const bytes = Buffer.from(value.slice("enc:v1:".length), "base64");
  expect(bytes.length).toBe(12 + 6 + 16);
  expect([...bytes.subarray(0, 12)]).toEqual(Array(12).fill(7));
});

test("another key, a changed byte, a cut and an unknown form are refused without showing anything", () => {
  const value = encrypt("s3cret", key("right").bytes);
  const changed = Buffer.from(value.slice(7), "base64");
  changed[14] = (changed[14] ?? 0) ^ 1;
  expect(decrypt(value, key("wrong"))).toMatchObject({
    ok: false,
    message: expect.stringContaining("key of wrong is not the one"),
  });
  for (const bad of [
    `enc:v1:${changed.toString("base64")}`,
    value.slice(0, -6),
    "enc:v1:",
    "enc:v1:ä",
    "enc:v2:AAAA",
    "enc:",
  ]) {
    const result = decrypt(bad, key("right"));
    expect(result.ok).toBe(false);
    expect(JSON.stringify(result)).not.toContain("s3cret");
  }
});

test("no text makes decrypting throw", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.base64String().map((text) => `enc:v1:${text}`),
      ),
      (value) => {
        expect(decrypt(value, key("right")).ok).toBe(false);
      },
    ),
  );
});

describe("the key", () => {
  const none = (): string => {
    throw Object.assign(new Error("none"), { code: "ENOENT" });
  };

  test("comes from SMS_AGENT_KEY before the file", () => {
    const other = Buffer.from(key("other").bytes).toString("base64");
    expect(loadKey({ SMS_AGENT_KEY: KEY }, "/data", () => other)).toMatchObject({
      ok: true,
      key: { source: "SMS_AGENT_KEY" },
    });
    expect(loadKey({}, "/data", () => `${other}\n`)).toMatchObject({
      ok: true,
      key: { source: "/data/secret.key" },
    });
  });

  test("is missing only when neither is there", () => {
    expect(loadKey({ SMS_AGENT_KEY: "" }, "/data", none)).toMatchObject({ ok: false, missing: true });
    const forbidden = () => {
      throw Object.assign(new Error("no"), { code: "EACCES" });
    };
    expect(loadKey({}, "/data", forbidden)).toMatchObject({ ok: false, missing: false });
    expect(loadKey({ SMS_AGENT_KEY: "dG9vIHNob3J0" }, "/data", none)).toMatchObject({
      ok: false,
      missing: false,
    });
  });
});

describe("encrypted values in sms.yaml", () => {
  const text = `${CONFIG}admin: { token: "${encrypt("t0ken", key("right").bytes)}" }\n`;

  test("are decrypted with the key of the environment or of the data folder", () => {
    expect(settingsOf(text, { env: { SMS_AGENT_KEY: KEY } }).admin.token).toBe("t0ken");
    expect(settingsOf(text, { files: { [KEY_FILE]: `${KEY}\n` } }).admin.token).toBe("t0ken");
    const elsewhere = `${text}data_dir: /srv/x\n`;
    expect(settingsOf(elsewhere, { files: { "/srv/x/secret.key": KEY } }).admin.token).toBe("t0ken");
  });

  test("may come from the environment", () => {
    const env = { SMS_AGENT_KEY: KEY, TOKEN: encrypt("t0ken", key("right").bytes) };
    expect(settingsOf(`${CONFIG}admin: { token: \${TOKEN} }\n`, { env }).admin.token).toBe("t0ken");
  });

  test("under another key stop the start, naming the field", () => {
    const env = { SMS_AGENT_KEY: Buffer.from(key("wrong").bytes).toString("base64") };
    expect(problemsOf(text, { env })).toEqual([
      "sms.yaml:3:17 admin.token: cannot be decrypted: the key of SMS_AGENT_KEY is not the one it was encrypted with, or the value was altered — put the right key there, or encrypt the secret again with `sms-agent secret encrypt`",
    ]);
  });

  test("with a key that is none stop the start", () => {
    expect(problemsOf(text, { env: { SMS_AGENT_KEY: "abc" } })).toEqual([
      "sms.yaml:3:17 admin.token: needs the key for encrypted secrets, and SMS_AGENT_KEY holds none — put 32 bytes as base64 there (`openssl rand -base64 32` makes a new one)",
    ]);
  });
});
